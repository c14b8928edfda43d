/**
 * netpoll_info: what all netpoll clients of a device share. It lives while the device has clients.
 */
import { Counters } from '../base/counters.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Work } from '../machine/timer.ts';
import type { SkbQueue } from '../skb/queue.ts';
import type { Netpoll } from './netpoll.ts';

export const NETPOLL_COUNTERS = [
  'sent',
  'deferred',
  'deferred_sent',
  'dropped',
  'not_running',
  'no_memory',
  'spins',
  'polls',
  'received',
  'trapped_dropped',
  'arp_replies',
  'malformed',
  'bad_checksum',
] as const;
export type NetpollCounter = (typeof NETPOLL_COUNTERS)[number];

/** What netpoll keeps for a device (`struct netpoll_info`). */
export class NetpollInfo {
  readonly dev: NetDevice;
  refs = 0;
  /** Clients with an rxHook; all are asked, in the order in which they were set up. */
  readonly receivers: Netpoll[] = [];
  /** Frames that wait for process context. */
  readonly txq: SkbQueue;
  readonly txWork: Work;
  readonly counters: Counters<NetpollCounter> = new Counters(NETPOLL_COUNTERS);
  /** How many owners have trapped the device: nobody else gets its frames. */
  trapped = 0;
  /** Netpoll polls this device now (the kernel's dev_lock). */
  polling = false;

  constructor(dev: NetDevice, txq: SkbQueue, txWork: (info: NetpollInfo) => Work) {
    this.dev = dev;
    this.txq = txq;
    this.txWork = txWork(this);
  }
}

/** What netpoll keeps for `dev`, or null if nobody uses netpoll on it. */
export function npinfoOf(dev: NetDevice): NetpollInfo | null {
  return dev.npinfo as NetpollInfo | null;
}
