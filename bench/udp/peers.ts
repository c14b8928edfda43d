/**
 * The peers in C of the udp benches, compiled when they are wanted.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Peers {
  /** Path of a compiled peer. */
  readonly path: (name: 'recvmmsg' | 'sendmmsg') => string;
  readonly remove: () => void;
}

/** Why there are none; null: there is a compiler. */
export function noCompiler(): string | null {
  const found = spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0;
  return found ? null : 'needs a C compiler for the peers (apt-get install gcc)';
}

/** Compiles them into a folder of their own. Throws what the compiler said. */
export function compilePeers(): Peers {
  const folder = mkdtempSync(join(tmpdir(), 'netpoll-bench-'));
  for (const name of ['recvmmsg', 'sendmmsg']) {
    const source = join('bench/udp', `${name}.c`);
    const { status, stderr } = spawnSync('cc', ['-O2', '-o', join(folder, name), source], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${source}: ${stderr}`);
  }
  return { path: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true }) };
}
