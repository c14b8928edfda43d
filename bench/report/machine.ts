// What a result was found on, and how much of the machine others had meanwhile.
//
//   /proc/stat        what all processors did
//   /proc/self/stat   what our children did, once they have been waited for
//   the difference is others' load; a hypervisor's is `steal`
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  readonly processor: string;
  readonly processors: number;
  readonly memoryGiB: number;
  readonly virtual: boolean;
  readonly system: string;
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  readonly koffi: string;
  readonly commit: string;
}

/** Of a run, as shares of all processors' time. null: not known on this system. */
export interface Load {
  readonly seconds: number;
  readonly own: number | null;
  readonly others: number | null;
  readonly steal: number | null;
}

/** `root`: the folder of package.json. */
export function machine(root: string): Machine {
  const all = cpus();
  return {
    processor: all[0]?.model.trim() ?? 'unknown',
    processors: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    virtual: / hypervisor( |$)/m.test(text('/proc/cpuinfo')),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(text('/etc/os-release'))?.[1] ?? type(),
    kernel: release(),
    node: process.versions.node,
    v8: process.versions.v8,
    koffi: versionOf(join(root, 'node_modules/koffi/package.json')),
    commit: commitOf(root),
  };
}

/** Begins; the function that it gives ends, and may be called once the children have been waited for. */
export function measureLoad(): () => Load {
  const startedMs = performance.now();
  const before = ticks();
  return () => {
    const after = ticks();
    const seconds = (performance.now() - startedMs) / 1000;
    if (before === null || after === null) return { seconds, own: null, others: null, steal: null };
    const all = after.all - before.all || 1;
    const own = (after.own - before.own) / all;
    const busy = (after.busy - before.busy) / all;
    return { seconds, own, others: Math.max(0, busy - own), steal: (after.steal - before.steal) / all };
  };
}

function ticks(): { all: number; busy: number; steal: number; own: number } | null {
  const line = /^cpu +(.*)$/m.exec(text('/proc/stat'))?.[1];
  const own = text('/proc/self/stat')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 15)
    .map(Number);
  if (line === undefined || own.length < 4) return null;
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, hard = 0, soft = 0, steal = 0] = line
    .split(' ')
    .map(Number);
  const busy = user + nice + system + hard + soft;
  return { all: busy + idle + wait + steal, busy, steal, own: own.reduce((a, b) => a + b, 0) };
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function versionOf(path: string): string {
  const found = text(path);
  return found === '' ? 'none' : (JSON.parse(found) as { version: string }).version;
}

function commitOf(root: string): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return 'unknown';
  }
}
