/**
 * netpoll_info: what all netpoll clients of a device share. It lives while the device has clients.
 */
import { Counters } from '../base/counters.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Work } from '../machine/timer.ts';
import type { SkbQueue } from '../skb/queue.ts';
import type { Netpoll } from './netpoll.ts';
import type { RxSlot } from './rx_slot.ts';

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
  'neigh_replies',
] as const;
export type NetpollCounter = (typeof NETPOLL_COUNTERS)[number];

/** Positions of the counters that are counted once a frame. */
export const NP_SENT = NETPOLL_COUNTERS.indexOf('sent');
export const NP_SPINS = NETPOLL_COUNTERS.indexOf('spins');
export const NP_POLLS = NETPOLL_COUNTERS.indexOf('polls');
export const NP_RECEIVED = NETPOLL_COUNTERS.indexOf('received');
export const NP_TRAPPED_DROPPED = NETPOLL_COUNTERS.indexOf('trapped_dropped');
export const NP_MALFORMED = NETPOLL_COUNTERS.indexOf('malformed');
export const NP_BAD_CHECKSUM = NETPOLL_COUNTERS.indexOf('bad_checksum');

/** What netpoll keeps for a device (`struct netpoll_info`). */
export class NetpollInfo {
  readonly dev: NetDevice;
  /** Everybody who uses netpoll on the device, in the order in which they were set up. */
  readonly clients: Netpoll[] = [];
  /** Clients with an rxHook, in that order. A new array whenever one comes or goes, so that a walk over it is not disturbed. */
  receivers: readonly Netpoll[] = [];
  /** Clients that a stacked device keeps here. Replaced as `receivers` is. */
  lowers: readonly Netpoll[] = [];
  /** Frames that wait for process context. */
  readonly txq: SkbQueue;
  readonly txWork: Work;
  readonly counters: Counters<NetpollCounter> = new Counters(NETPOLL_COUNTERS);
  /** How many owners have trapped the device: nobody else gets its frames. */
  trapped = 0;
  /** Netpoll polls this device now (the kernel's dev_lock). */
  polling = false;
  /** What the poll under way may take in, 0 while there is none; and what devices below this one took in for it. */
  rxBudget = 0;
  rxWork = 0;
  /** What a hook is given, while no hook has it. */
  rxSlot: RxSlot | null = null;
  /** Whom the answer under way is for (neigh_reply.ts). */
  readonly askerMac = new Uint8Array(6);
  readonly askerIp = new Uint8Array(16);
  /** The arena by words, and the memory that was copied from last with a view of it (copy_in.ts). */
  readonly words: Int32Array;
  lastSource: ArrayBufferLike | null = null;
  lastView: DataView | null = null;
  /** Undoes what the set-up of the first client did besides this object. */
  forget: () => void = () => {};

  constructor(dev: NetDevice, txq: SkbQueue, txWork: (info: NetpollInfo) => Work) {
    this.dev = dev;
    this.txq = txq;
    this.txWork = txWork(this);
    const { bytes } = dev.net.machine.arena;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  }

  /** How many clients there are (`refcnt`). */
  get refs(): number {
    return this.clients.length;
  }
}

/** What netpoll keeps for `dev`, or null if nobody uses netpoll on it. */
export function npinfoOf(dev: NetDevice): NetpollInfo | null {
  return dev.npinfo as NetpollInfo | null;
}
