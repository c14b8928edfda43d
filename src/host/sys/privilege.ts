/**
 * What this process, or this kernel, lacks for a port: one sentence that says what is missing, what mends it, and which scheme works as
 * things are. It is made when the kernel has refused, not before: who may what is the kernel's business.
 *
 *     packet:  CAP_NET_RAW                              instead: udp: (nothing)
 *     xdp:     CAP_NET_RAW, CAP_BPF, CAP_NET_ADMIN      instead: packet: where CAP_NET_RAW is there, else udp:
 *     tap:     CAP_NET_ADMIN, /dev/net/tun              instead: qemu: for a guest, udp: for datagrams
 */
import { readFileSync } from 'node:fs';
import { SetupError } from '../../base/status.ts';

const BITS = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_BPF: 39 } as const;
export type Capability = keyof typeof BITS;

const NEEDS = {
  packet: ['CAP_NET_RAW'],
  xdp: ['CAP_NET_RAW', 'CAP_BPF', 'CAP_NET_ADMIN'],
  tap: ['CAP_NET_ADMIN'],
} as const satisfies Record<string, readonly Capability[]>;
export type Privileged = keyof typeof NEEDS;

/** ERR_NETPOLL_EPERM: the kernel has refused `what` to a port of `scheme` on `name`. */
export function notPermitted(scheme: Privileged, name: string, what: string, cause?: unknown): SetupError {
  const needed: readonly Capability[] = NEEDS[scheme];
  const missing = needed.filter((each) => !hasCapability(each));
  const lacks =
    missing.length > 0
      ? `the process lacks ${listed(missing)}`
      : `refused although the process has ${listed(needed)} (by a container's user namespace or seccomp filter)`;
  const node = `setcap ${needed.join(',').toLowerCase()}+ep ${process.execPath}`;
  const mend = missing.length > 0 ? `run it as root, or: ${node}` : 'run it outside of the container';
  const message = `${what}: ${lacks}; ${mend}; ${schemeInstead(scheme, name)}`;
  return new SetupError('ERR_NETPOLL_EPERM', message, { cause });
}

/** The scheme that works in the place of this one here. */
export function schemeInstead(scheme: Privileged, name: string): string {
  if (scheme === 'xdp' && hasCapability('CAP_NET_RAW')) return `packet:${name} works without`;
  if (scheme === 'tap') return 'without it qemu:SOCKET joins a guest, and udp:ADDRESS:PORT takes datagrams';
  return 'udp:ADDRESS:PORT works without';
}

/** True if it is among the thread's effective capabilities, or that cannot be read. */
export function hasCapability(capability: Capability): boolean {
  let status: string;
  try {
    status = readFileSync('/proc/thread-self/status', 'latin1');
  } catch {
    return true;
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (effective === undefined) return true;
  return Math.floor(Number.parseInt(effective, 16) / 2 ** BITS[capability]) % 2 === 1;
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
