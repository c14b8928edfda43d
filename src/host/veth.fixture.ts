/**
 * For tests: a veth pair of this process's own, both ends up, with nobody on it who talks unasked.
 */
import { execFileSync } from 'node:child_process';

export interface Veth {
  readonly a: string;
  readonly b: string;
  remove(): void;
}

/** Why a veth pair cannot be made here, null if it can. */
export const noVeth: string | null = process.getuid?.() === 0 ? null : 'needs root (a veth pair)';

let made = 0;

/** Names carry the process id, so that runs beside each other do not meet. */
export function createVeth(): Veth {
  const stem = `np${process.pid.toString(36)}${(made++).toString(36)}`;
  const [a, b] = [`${stem}a`, `${stem}b`];
  ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b);
  for (const end of [a, b]) {
    ip('link', 'set', end, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off');
    ip('link', 'set', end, 'up');
  }
  return { a, b, remove: () => ip('link', 'del', a) };
}

export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
