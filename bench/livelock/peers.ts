/**
 * The peers of the flood benches, compiled when they are wanted from the folder that NETPOLL_PEERS names, ../shared/bench/src if it is not
 * set: `flood`, which sends at a rate, and `rxmm`, which receives by recvmmsg().
 */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const sources = resolve(root, process.env.NETPOLL_PEERS ?? '../shared/bench/src');
const NAMES = ['flood', 'rxmm'] as const;

export interface FloodPeers {
  readonly flood: string;
  readonly rxmm: string;
  remove(): void;
}

/** Why there are none; null: their sources are there. */
export function noPeers(): string | null {
  const missing = NAMES.find((name) => !existsSync(join(sources, `${name}.c`)));
  return missing === undefined ? null : `needs ${missing}.c of the peers (NETPOLL_PEERS)`;
}

/** Throws what the compiler said. */
export function compileFloodPeers(): FloodPeers {
  const folder = mkdtempSync(join(tmpdir(), 'livelock-'));
  const compiled = NAMES.map((name) => {
    const path = join(folder, name);
    execFileSync('gcc', ['-O2', '-w', '-o', path, join(sources, `${name}.c`)], { stdio: ['ignore', 'ignore', 'pipe'] });
    return path;
  });
  return { flood: compiled[0]!, rxmm: compiled[1]!, remove: () => rmSync(folder, { recursive: true }) };
}
