/**
 * Values under /sys and /proc/sys that are changed for as long as somebody needs them, and put back however he ends.
 *
 *     1  read the value that is there             nothing to do where it is what is wanted
 *     2  start the keeper: sh, waiting for the end of a pipe whose other end we hold
 *     3  write ours
 *     ...
 *     close()         we tell the keeper, who puts the values back and ends
 *     exit, SIGKILL   the pipe ends: the keeper does the same, some milliseconds later
 *
 * A value that somebody else has changed meanwhile is left to him. What cannot be helped: the keeper killed with us (kill -9 on a whole
 * control group), or a machine that stops; neither sysfs nor sysctl outlives the latter. An interface that was renamed keeps ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * For each of (path, ours, before): if it is still ours, what was before. Not by the shell's own `read`, which asks for a byte at a time: a
 * sysctl gives its first byte and no more.
 */
const KEEPER = `
trap '' HUP INT TERM
read -r word
while [ $# -ge 3 ]; do
  [ "$(cat "$1")" = "$2" ] && printf '%s\\n' "$3" > "$1"
  shift 3
done 2> /dev/null`;

export interface Setting {
  readonly path: string;
  readonly value: string;
}

export class KeptSettings {
  /** Of those that were changed: what they were. */
  readonly before: readonly Setting[];
  /** Why a value could not be changed, one sentence each. */
  readonly refused: readonly string[];
  readonly #keeper: ChildProcess | undefined;

  /** Changes what is not so already, and what `mayChange` gives away, by its present value. Throws nothing: see `refused`. */
  constructor(wanted: readonly Setting[], mayChange: (now: string) => boolean = () => true) {
    const refused: string[] = [];
    const changes: { path: string; value: string; old: string }[] = [];
    for (const { path, value } of wanted) {
      try {
        const old = readFileSync(path, 'latin1').trim();
        if (old !== value && mayChange(old)) changes.push({ path, value, old });
      } catch (error) {
        refused.push(whyNot(path, value, error));
      }
    }
    this.#keeper = changes.length === 0 ? undefined : startKeeper(changes);
    const before: Setting[] = [];
    for (const { path, value, old } of changes) {
      try {
        writeFileSync(path, value);
        before.push({ path, value: old });
      } catch (error) {
        refused.push(whyNot(path, value, error));
      }
    }
    this.before = before;
    this.refused = refused;
  }

  /** Puts back what is still ours. The keeper does it, within milliseconds. */
  close(): void {
    this.#keeper?.stdin?.end();
  }

  /** Closes, and waits until all is as it was. */
  async closed(): Promise<void> {
    this.close();
    const keeper = this.#keeper;
    if (keeper !== undefined && keeper.exitCode === null && keeper.pid !== undefined) await once(keeper, 'exit');
  }
}

/** It leads a session of its own, so that no Ctrl-C or hang-up of a terminal is for it, and does not keep this process alive. */
function startKeeper(changes: readonly { path: string; value: string; old: string }[]): ChildProcess {
  const args = changes.flatMap(({ path, value, old }) => [path, value, old]);
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'netpoll-settings', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    cwd: '/',
  });
  // Without /bin/sh the values are simply left as they are.
  keeper.on('error', () => {});
  keeper.stdin?.on('error', () => {});
  keeper.unref();
  (keeper.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return keeper;
}

function whyNot(path: string, value: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const why =
    code === 'ENOENT'
      ? 'there is no such file here (another network namespace, or a container)'
      : (code ?? String(error));
  return `cannot set ${path} to ${value}: ${why}`;
}
