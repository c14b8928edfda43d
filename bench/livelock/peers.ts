/**
 * The peers of the flood benches, compiled when they are wanted from the folder that NETPOLL_PEERS names, ../shared/bench/src if it is not
 * set: `flood`, which sends at a rate. `receive`, by recvmmsg(), is ours and lies here.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const sources = resolve(root, process.env.NETPOLL_PEERS ?? '../shared/bench/src');

export interface FloodPeers {
  readonly flood: string;
  readonly receive: string;
  remove(): void;
}

/** Why there are none; null: their sources are there. */
export function noPeers(): string | null {
  return existsSync(join(sources, 'flood.c')) ? null : 'needs flood.c of the peers (NETPOLL_PEERS)';
}

/** Throws what the compiler said. */
export function compileFloodPeers(): FloodPeers {
  const folder = mkdtempSync(join(tmpdir(), 'livelock-'));
  const compile = (name: string, source: string): string => {
    const path = join(folder, name);
    execFileSync('gcc', ['-O2', '-w', '-o', path, source], { stdio: ['ignore', 'ignore', 'pipe'] });
    return path;
  };
  return {
    flood: compile('flood', join(sources, 'flood.c')),
    receive: compile('receive', join(root, 'bench/livelock/receive.c')),
    remove: () => rmSync(folder, { recursive: true }),
  };
}
