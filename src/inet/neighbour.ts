/**
 * Neighbours: the hardware address behind an IP address on a link, and how sure we are of it. One table for ARP, one for ND.
 *
 *                 first frame             answer                30 s              a frame is sent        5 s
 *     (none) ----------------> INCOMPLETE -------> REACHABLE ----------> STALE -----------------> DELAY -------> PROBE
 *                                 | 3 solicits       ^                                              | answer       | 3 unicast
 *                                 v                  +----------------------------------------------+              v solicits
 *                               FAILED <----------------------------------------------------------------------- FAILED
 *
 * While INCOMPLETE an entry keeps the last 3 frames; more, or no answer, and they are dropped with a reason. An entry that
 * nobody has used for 60 s goes. Times are the kernel's (`net.ipv4.neigh.default.*`). (`net/core/neighbour.c`)
 */
import { HhCache } from '../device/hh_cache.ts';
import type { NetDevice } from '../device/net_device.ts';
import { IFF_UP } from '../device/net_device.ts';
import type { Machine } from '../machine/machine.ts';
import type { Timer } from '../machine/timer.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { type IpAddress, printIp } from '../wire/address.ts';
import { sameIp } from './route.ts';

export const NUD_NONE = 0;
export const NUD_INCOMPLETE = 0x01;
export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_PERMANENT = 0x80;
/** The hardware address may be used. */
export const NUD_VALID: number = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
const NUD_CONNECTED = NUD_REACHABLE | NUD_PERMANENT;
const NUD_TIMED = NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE;

const NUD_NAMES: Readonly<Record<number, string>> = {
  [NUD_NONE]: 'NONE',
  [NUD_INCOMPLETE]: 'INCOMPLETE',
  [NUD_REACHABLE]: 'REACHABLE',
  [NUD_STALE]: 'STALE',
  [NUD_DELAY]: 'DELAY',
  [NUD_PROBE]: 'PROBE',
  [NUD_FAILED]: 'FAILED',
  [NUD_PERMANENT]: 'PERMANENT',
};

const REACHABLE_NS = 30e9;
const DELAY_PROBE_NS = 5e9;
const RETRANS_NS = 1e9;
const GC_STALE_NS = 60e9;
const PROBES_MAX = 3;
/** Frames that an entry without an answer keeps. */
const QUEUE_MAX = 3;
/** Entries of a table. (`gc_thresh3`) */
const ENTRIES_MAX = 1024;
const BUCKETS = 256;

export class Neighbour {
  readonly dev: NetDevice;
  readonly ip: IpAddress;
  readonly lladdr = new Uint8Array(6);
  /** The link header of packets to it. */
  readonly hh = new HhCache();
  readonly queue = new SkbQueue(QUEUE_MAX);
  state: number = NUD_NONE;
  /** Solicitations since the state began. */
  probes = 0;
  deadlineNs = Number.POSITIVE_INFINITY;
  usedNs = 0;
  confirmedNs = 0;
  /** When the hardware address was last set. */
  updatedNs = Number.NEGATIVE_INFINITY;
  nextInBucket: Neighbour | null = null;

  constructor(dev: NetDevice, ip: IpAddress) {
    this.dev = dev;
    this.ip = ip;
  }
}

/** What differs between ARP and ND. */
export interface NeighbourProtocol {
  /** Asks for the neighbour's hardware address: everybody, or (to see whether it is still there) himself. */
  solicit(neighbour: Neighbour, unicast: boolean): void;
  /** Sends a frame whose network header is at `skb.data` to the neighbour; consumes it. */
  transmit(skb: SkBuff, neighbour: Neighbour): void;
}

export class NeighbourTable {
  readonly #machine: Machine;
  readonly #protocol: NeighbourProtocol;
  readonly #buckets: (Neighbour | null)[] = new Array<Neighbour | null>(BUCKETS).fill(null);
  readonly #timer: Timer;
  #count = 0;

  constructor(machine: Machine, protocol: NeighbourProtocol) {
    this.#machine = machine;
    this.#protocol = protocol;
    this.#timer = machine.timers.create(() => this.#tick());
  }

  get size(): number {
    return this.#count;
  }

  lookup(dev: NetDevice, ip: IpAddress): Neighbour | null {
    for (let each = this.#buckets[bucketOf(ip)] ?? null; each !== null; each = each.nextInBucket) {
      if (each.dev === dev && sameIp(each.ip, ip)) return each;
    }
    return null;
  }

  /** The entry, made if there is none; null: the table is full of entries that are in use. (`neigh_create`) */
  create(dev: NetDevice, ip: IpAddress): Neighbour | null {
    const found = this.lookup(dev, ip);
    if (found !== null) return found;
    if (this.#count >= ENTRIES_MAX && !this.#makeRoom()) return null;
    const bucket = bucketOf(ip);
    const neighbour = new Neighbour(dev, ip);
    neighbour.nextInBucket = this.#buckets[bucket] ?? null;
    neighbour.usedNs = this.#machine.executive.now();
    this.#buckets[bucket] = neighbour;
    this.#count++;
    this.#arm(neighbour.usedNs + GC_STALE_NS);
    return neighbour;
  }

  /** Sends the frame now, or when the neighbour has answered; consumes it. (`neigh_resolve_output`) */
  output(dev: NetDevice, ip: IpAddress, skb: SkBuff): void {
    const neighbour = this.create(dev, ip);
    if (neighbour === null) {
      skb.pool.kfree(skb, DropReason.NEIGH_CREATEFAIL);
      return;
    }
    const now = this.#machine.executive.now();
    neighbour.usedNs = now;
    if ((neighbour.state & NUD_VALID) !== 0) {
      if (neighbour.state === NUD_STALE) this.#enter(neighbour, NUD_DELAY, now + DELAY_PROBE_NS);
      this.#protocol.transmit(skb, neighbour);
      return;
    }
    if (!neighbour.queue.queueTail(skb)) {
      const oldest = neighbour.queue.dequeue()!;
      oldest.pool.kfree(oldest, DropReason.NEIGH_QUEUEFULL);
      neighbour.queue.queueTail(skb);
    }
    if (neighbour.state === NUD_INCOMPLETE) return;
    neighbour.probes = 1;
    this.#enter(neighbour, NUD_INCOMPLETE, now + RETRANS_NS);
    this.#protocol.solicit(neighbour, false);
  }

  /**
   * The neighbour has said, or let see, its hardware address (6 bytes at `o`). `state` is what that makes it: REACHABLE for an
   * answer to us, else STALE. An address that is known is replaced only with `override`. (`neigh_update`)
   */
  update(neighbour: Neighbour, bytes: Uint8Array, o: number, state: number, override: boolean): void {
    const now = this.#machine.executive.now();
    const known = (neighbour.state & NUD_VALID) !== 0;
    let same = known;
    for (let i = 0; i < 6; i++) if (neighbour.lladdr[i] !== bytes[o + i]) same = false;
    if (neighbour.state === NUD_PERMANENT) return;
    if (known && !same && !override) return;
    if (same && state === NUD_STALE && (neighbour.state & NUD_CONNECTED) !== 0) return;
    if (!same) {
      for (let i = 0; i < 6; i++) neighbour.lladdr[i] = bytes[o + i]!;
      if (neighbour.hh.len > 0) neighbour.dev.headerOps?.cacheUpdate?.(neighbour.hh, neighbour.lladdr);
    }
    neighbour.updatedNs = now;
    neighbour.probes = 0;
    if (state === NUD_REACHABLE) {
      neighbour.confirmedNs = now;
      this.#enter(neighbour, NUD_REACHABLE, now + REACHABLE_NS);
    } else if (!same || !known) {
      this.#enter(neighbour, state, Number.POSITIVE_INFINITY);
    }
    for (let skb = neighbour.queue.dequeue(); skb !== null; skb = neighbour.queue.dequeue()) {
      this.#protocol.transmit(skb, neighbour);
    }
  }

  /** An entry that is true whatever is heard, until its device goes. False: the table is full. (`ip neigh replace ... nud permanent`) */
  addPermanent(dev: NetDevice, ip: IpAddress, mac: Uint8Array): boolean {
    const neighbour = this.create(dev, ip);
    if (neighbour === null) return false;
    this.update(neighbour, mac, 0, NUD_STALE, true);
    this.#enter(neighbour, NUD_PERMANENT, Number.POSITIVE_INFINITY);
    return true;
  }

  /** Forgets what was on a device that went away or down. (`neigh_ifdown`) */
  flush(dev: NetDevice): void {
    this.#sweep((each) => each.dev === dev);
  }

  /** As `ip neigh` prints it, a line an entry. */
  print(): string {
    const lines: string[] = [];
    this.#sweep((each) => {
      const mac = Array.from(each.lladdr, (byte) => byte.toString(16).padStart(2, '0')).join(':');
      const lladdr = (each.state & NUD_VALID) === 0 ? '' : ` lladdr ${mac}`;
      lines.push(`${printIp(each.ip)} dev ${each.dev.name}${lladdr} ${NUD_NAMES[each.state] ?? each.state}`);
      return false;
    });
    return lines.sort().join('\n');
  }

  #enter(neighbour: Neighbour, state: number, deadlineNs: number): void {
    neighbour.state = state;
    neighbour.deadlineNs = deadlineNs;
    if (deadlineNs !== Number.POSITIVE_INFINITY) this.#arm(deadlineNs);
  }

  #arm(atNs: number): void {
    if (this.#timer.atNs < 0 || this.#timer.atNs > atNs) this.#machine.timers.mod(this.#timer, atNs);
  }

  /** Bound: the entries of the table. (`neigh_timer_handler`, `neigh_periodic_work`) */
  #tick(): void {
    const now = this.#machine.executive.now();
    let nextNs = Number.POSITIVE_INFINITY;
    this.#sweep((each) => {
      if ((each.state & NUD_TIMED) !== 0 && each.deadlineNs <= now) this.#expire(each, now);
      const idle = (each.state & NUD_TIMED) === 0 && each.state !== NUD_PERMANENT;
      if (idle && now - each.usedNs >= GC_STALE_NS) return true;
      if (idle) nextNs = Math.min(nextNs, each.usedNs + GC_STALE_NS);
      nextNs = Math.min(nextNs, each.deadlineNs);
      return false;
    });
    if (nextNs !== Number.POSITIVE_INFINITY) this.#arm(nextNs);
  }

  #expire(neighbour: Neighbour, now: number): void {
    switch (neighbour.state) {
      case NUD_REACHABLE:
        if (now - neighbour.usedNs < DELAY_PROBE_NS) this.#enter(neighbour, NUD_DELAY, now + DELAY_PROBE_NS);
        else this.#enter(neighbour, NUD_STALE, Number.POSITIVE_INFINITY);
        return;
      case NUD_DELAY:
        neighbour.probes = 0;
        this.#probe(neighbour, NUD_PROBE, now);
        return;
      default:
        this.#probe(neighbour, neighbour.state, now);
    }
  }

  /** Asks once more, or gives up. (INCOMPLETE: everybody; PROBE: himself) */
  #probe(neighbour: Neighbour, state: number, now: number): void {
    const here = (neighbour.dev.flags & IFF_UP) !== 0;
    if (neighbour.probes >= PROBES_MAX || !here) {
      this.#enter(neighbour, NUD_FAILED, Number.POSITIVE_INFINITY);
      neighbour.queue.purge(DropReason.NEIGH_FAILED);
      return;
    }
    neighbour.probes++;
    this.#enter(neighbour, state, now + RETRANS_NS);
    this.#protocol.solicit(neighbour, state === NUD_PROBE);
  }

  /** Drops the entry that was not used for longest among those that nobody waits for. (`neigh_forced_gc`) */
  #makeRoom(): boolean {
    let oldest: Neighbour | null = null;
    for (let b = 0; b < BUCKETS; b++) {
      for (let each = this.#buckets[b] ?? null; each !== null; each = each.nextInBucket) {
        const free = each.queue.length === 0 && (each.state & (NUD_CONNECTED | NUD_INCOMPLETE)) === 0;
        if (free && (oldest === null || each.usedNs < oldest.usedNs)) oldest = each;
      }
    }
    if (oldest === null) return false;
    this.#sweep((each) => each === oldest);
    return true;
  }

  /** Visits every entry; those for which `gone` says so are taken out, their frames dropped. */
  #sweep(gone: (neighbour: Neighbour) => boolean): void {
    for (let b = 0; b < BUCKETS; b++) {
      let before: Neighbour | null = null;
      for (let each = this.#buckets[b] ?? null; each !== null; each = each.nextInBucket) {
        if (!gone(each)) {
          before = each;
          continue;
        }
        each.queue.purge(DropReason.NEIGH_FAILED);
        if (before === null) this.#buckets[b] = each.nextInBucket;
        else before.nextInBucket = each.nextInBucket;
        this.#count--;
      }
    }
  }
}

function bucketOf(ip: IpAddress): number {
  if (ip.family === 4) return (ip.v4 ^ (ip.v4 >>> 8)) & (BUCKETS - 1);
  return (ip.v6[15]! ^ ip.v6[14]! ^ ip.v6[13]! ^ ip.v6[7]!) & (BUCKETS - 1);
}
