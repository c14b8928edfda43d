/** For tests: a persistent TAP device of this process's own, up, with nobody behind it who talks unasked. */
import { existsSync } from 'node:fs';
import { ip } from '../veth.fixture.ts';

/** Why a TAP device cannot be made here, null if it can. */
export const noTap: string | null =
  process.getuid?.() !== 0 ? 'needs root (a TAP device)' : existsSync('/dev/net/tun') ? null : 'needs /dev/net/tun';

let made = 0;

/** A name that no other run uses. */
export function tapName(): string {
  return `nt${process.pid.toString(36)}${(made++).toString(36)}`;
}

/** Gives its name; `words` are further ones of `ip tuntap add`. */
export function createTap(...words: string[]): string {
  const name = tapName();
  ip('tuntap', 'add', 'dev', name, 'mode', 'tap', ...words);
  ip('link', 'set', name, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off');
  ip('link', 'set', name, 'up');
  return name;
}

export function removeTap(name: string): void {
  ip('link', 'del', name);
}
