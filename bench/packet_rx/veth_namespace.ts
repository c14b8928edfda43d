/**
 * A network namespace of this process's own with a veth pair in it, for a flood that nobody else hears.
 *
 *     namespace npbr<pid>:   flood0 --------- rx0        no IP address, no ARP, no multicast chatter
 */
import { execFileSync } from 'node:child_process';

export const SEND_SIDE = 'flood0';
export const RECEIVE_SIDE = 'rx0';

export interface VethNamespace {
  readonly name: string;
  /** Command line that runs `command` in the namespace on processor `cpu`. Each step is an exec: the pid is the command's. */
  inside(cpu: number, command: readonly string[]): [file: string, args: string[]];
  /** Gives the receiving side this hardware address. */
  address(mac: Uint8Array): void;
  /** Gives the receiving side the address that the floods are sent to, so that the kernel's stack takes them; or no address. */
  ip(change: 'replace' | 'flush'): void;
  /** Takes the pair with it. */
  remove(): void;
}

/** Throws what `ip` said where it failed. */
export function createVethNamespace(): VethNamespace {
  const name = `npbr${process.pid}`;
  ip('netns', 'add', name);
  try {
    ip('-n', name, 'link', 'add', SEND_SIDE, 'type', 'veth', 'peer', 'name', RECEIVE_SIDE);
    for (const side of [SEND_SIDE, RECEIVE_SIDE]) {
      ip('-n', name, 'link', 'set', side, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off');
      ip('-n', name, 'link', 'set', side, 'up');
    }
  } catch (error) {
    ip('netns', 'del', name);
    throw error;
  }
  return {
    name,
    inside: (cpu, command) => ['ip', ['netns', 'exec', name, 'taskset', '-c', String(cpu), ...command]],
    address: (mac) =>
      ip(
        '-n',
        name,
        'link',
        'set',
        RECEIVE_SIDE,
        'address',
        Buffer.from(mac)
          .toString('hex')
          .replace(/..(?=.)/g, '$&:'),
      ),
    ip: (change) =>
      ip('-n', name, 'address', change, ...(change === 'flush' ? [] : ['10.0.0.1/8']), 'dev', RECEIVE_SIDE),
    remove: () => ip('netns', 'del', name),
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
