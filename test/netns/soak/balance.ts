/**
 * Where every frame of a flood went, in the kernel's counters and ours.
 *
 *     sent = received                                    by the UDP socket of our stack
 *          + reasons of our stack's drops                `netpoll ls drops`
 *          + what the port counts                        no room, too long, unread when it was closed
 *          + what the kernel's own stack got or dropped  while nobody of us was attached, or before our socket
 *          + the rest: frames that the kernel lost where it counts nothing
 *
 * The rest must be 0, except for the places that UNCOUNTED names, and there not above what fits into them.
 */

export interface SenderCounts {
  readonly sent: number;
  readonly refused: Readonly<Record<string, number>>;
}

export interface ReceiverCounts {
  readonly received: number;
  readonly late: number;
  readonly up: boolean;
  readonly drops: Readonly<Record<string, number>>;
  readonly snmp: Readonly<Record<string, number>>;
  readonly port: Readonly<Record<string, number>>;
  readonly dev: Readonly<Record<string, number>>;
}

/** `smp`: packet: over the threads of a machine with several CPUs. */
export type Scheme = 'packet' | 'xdp' | 'tap' | 'udp' | 'smp';

/** Names of places, and how many frames ended there; `sent` and `uncounted` beside them. */
export interface Balance {
  readonly sent: number;
  readonly received: number;
  /** What the kernel would not take from the sender, by its word; not part of `sent`. */
  readonly refused: Readonly<Record<string, number>>;
  /** By name; none of them is 0. */
  readonly drops: Readonly<Record<string, number>>;
  readonly uncounted: number;
}

type Place = readonly [most: number, place: string];
const BACKLOG: Place = [
  1000,
  'the CPU\u2019s backlog, of frames of that interface (flush_backlog; netdev_max_backlog)',
];
const VETH_RING: Place = [256, 'the receive ring of a veth, freed with what is in it (veth_napi_del; VETH_RING_SIZE)'];

/** Places that lose frames and count nothing, by scheme and fault: how many can be there at once, and why. */
export const UNCOUNTED: Readonly<Record<Scheme, Readonly<Record<string, Place>>>> = {
  packet: { deleted: BACKLOG },
  xdp: { deleted: VETH_RING, down: VETH_RING },
  tap: { deleted: [1000, 'the queue of a TAP device (tun_queue_purge; txqueuelen)'] },
  udp: { deleted: BACKLOG },
  smp: { deleted: BACKLOG, 'worker killed': [1, 'the frame that the thread was looking at when it was ended'] },
};

/** What happened between two readings at which nothing was on its way. */
export function balance(
  scheme: Scheme,
  sender: readonly [SenderCounts, SenderCounts],
  receiver: readonly [ReceiverCounts, ReceiverCounts],
): Balance {
  const sent = sender[1].sent - sender[0].sent;
  const refused: Record<string, number> = {};
  for (const [name, n] of Object.entries(sender[1].refused)) {
    if (n !== sender[0].refused[name]) refused[name] = n - (sender[0].refused[name] ?? 0);
  }
  const received = receiver[1].received - receiver[0].received;
  const since = (of: 'drops' | 'snmp' | 'port' | 'dev', name: string): number =>
    (receiver[1][of][name] ?? 0) - (receiver[0][of][name] ?? 0);
  const drops: Record<string, number> = {};
  const put = (name: string, n: number): void => {
    if (n !== 0) drops[name] = n;
  };
  for (const name of Object.keys(receiver[1].drops)) put(`stack ${name}`, since('drops', name));
  for (const name of PORT_DROPS[scheme]) put(`port ${name}`, since('port', name));
  const toKernel = since('snmp', 'IpInReceives');
  if (scheme === 'packet' || scheme === 'smp') {
    // The kernel's stack gets a copy of each frame; what it got more than our socket came while none was bound.
    const read = scheme === 'smp' ? ['kernel_frames'] : ['rx_frames', ...PORT_DROPS.packet];
    const seen = read.reduce((sum, name) => sum + since('port', name), 0);
    put('kernel: no socket bound', toKernel - seen);
  } else if (scheme === 'xdp') {
    // Frames that the program takes never come there.
    put('kernel: no program attached', toKernel);
  } else if (scheme === 'udp') {
    for (const name of ['IpInHdrErrors', 'IpInAddrErrors', 'IpInDiscards', 'UdpNoPorts', 'UdpInErrors']) {
      put(`kernel: ${name}`, since('snmp', name));
    }
  }
  return { sent, received, refused, drops, uncounted: sent - received - total(drops) };
}

/** Counters of a port for frames that it, or the kernel on its behalf, has dropped. */
const PORT_DROPS: Readonly<Record<Scheme, readonly string[]>> = {
  packet: ['rx_dropped_kernel', 'rx_length_errors', 'rx_unread'],
  xdp: ['rx_dropped', 'rx_ring_full', 'rx_unread'],
  // What did not fit into a TAP device's queue was refused to its sender.
  tap: ['rx_bad_headers', 'rx_length_errors', 'rx_no_buffer'],
  // Its receive buffer's drops are the kernel's UdpInErrors.
  udp: [],
  smp: ['kernel_drops', 'softnet_dropped', 'unread'],
};

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, n) => sum + n, 0);
}

/** The sum of several. */
export function addUp(all: readonly Balance[]): Balance {
  const add = (of: 'drops' | 'refused'): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const each of all) for (const [name, n] of Object.entries(each[of])) sums[name] = (sums[name] ?? 0) + n;
    return sums;
  };
  const sum = (of: 'sent' | 'received' | 'uncounted'): number => all.reduce((s, each) => s + each[of], 0);
  return {
    sent: sum('sent'),
    received: sum('received'),
    refused: add('refused'),
    drops: add('drops'),
    uncounted: sum('uncounted'),
  };
}

/** `sent 10 (refused 3 ENOBUFS) = received 7 + 2 stack NO_SOCKET + uncounted 1` */
export function printBalance({ sent, received, refused, drops, uncounted }: Balance): string {
  const parts = [`received ${received}`, ...Object.entries(drops).map(([name, n]) => `${n} ${name}`)];
  if (uncounted !== 0) parts.push(`uncounted ${uncounted}`);
  const not = Object.entries(refused).map(([name, n]) => `${n} ${name}`);
  return `sent ${sent}${not.length > 0 ? ` (refused ${not.join(', ')})` : ''} = ${parts.join(' + ')}`;
}
