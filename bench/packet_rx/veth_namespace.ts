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
  /**
   * Has the kernel receive on processor `cpu` what comes in there: by RPS, an interrupt between processors for each frame; or by NAPI in a
   * thread, as a card's queue whose interrupt is bound to that processor, with a ring that overflows at the sender's cost; or nowhere, on the
   * sender's processor.
   */
  steer(cpu: number, by: 'rps' | 'napi' | 'nowhere'): void;
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
    steer: (cpu, by) => {
      const at = `/sys/class/net/${RECEIVE_SIDE}`;
      const rps = `echo ${by === 'rps' ? (1 << cpu).toString(16) : 0} > ${at}/queues/rx-0/rps_cpus`;
      // A veth has NAPI with GRO or XDP; the threads are this machine's only ones of that name.
      const napi =
        by !== 'napi'
          ? `echo 0 > ${at}/threaded; ethtool -K ${RECEIVE_SIDE} gro off`
          : `ethtool -K ${RECEIVE_SIDE} gro on; echo 1 > ${at}/threaded; ` +
            `for t in $(pgrep '^napi/${RECEIVE_SIDE}-'); do taskset -pc ${cpu} $t > /dev/null; done`;
      ip('netns', 'exec', name, 'sh', '-c', `${rps}; ${napi}`);
    },
    remove: () => ip('netns', 'del', name),
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
