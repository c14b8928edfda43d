// hot
/**
 * pktgen: a packet generator in front of a device, as the kernel has one. It calls the driver itself, past the queueing disciplines.
 *
 *     ring    | skb 0 | skb 1 | skb 2 | ... |          made once, of the template
 *               users 1: here alone     users 2: the driver has it too, it is not written to
 *     turn    due? --> headers.next, write --> startXmit ... startXmit, xmitMore but for the last
 *
 *   1. A turn of the machine sends what is due, at most MAX_BEFORE_SOFTIRQ frames or SLICE_NS long, then others have theirs.
 *   2. What is due follows from when the run began: a turn that comes late sends more, so the rate holds in the mean. Beyond
 *      LATE_NS frames are not made up for, but counted as `slipped`.
 *   3. Less than `spinNs` to the next frame: the turn waits for it (on a host: busily). Else a timer has the next turn.
 *   4. No room (queue stopped, BUSY, all frames of the ring on their way): `errors`, idle, again in the next turn. The same frame is tried again.
 *
 * A device that does not share frames (`txSkbSharing`) gets a new one each time. The ring is the pktgen's; stop() gives it back.
 * Answers to: net/core/pktgen.c.
 */
import { devXmitComplete, SetupError } from '../../base/status.ts';
import { type NetDevice, netifRunning } from '../../device/net_device.ts';
import { type NetdevQueue, txTrylock, txUnlock } from '../../device/netdev_queue.ts';
import type { Machine } from '../../machine/machine.ts';
import { Work } from '../../machine/timer.ts';
import { NET_SKB_PAD } from '../../skb/pool.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { PktgenHeaders } from './headers.ts';
import type { PktgenParams } from './params.ts';
import type { PktgenPayload } from './payload.ts';

/** Frames and time of one turn. (`max_before_softirq`) */
const MAX_BEFORE_SOFTIRQ = 10_000;
const SLICE_NS = 10e6;
const LATE_NS = 250e6;
/** Bursts between two looks at the clock where no rate is kept: a reading is an object on the heap. */
const CLOCK_EVERY = 16;
const PKTGEN_RING = 256;
/** Until the next try of a device without room, under a virtual clock; a host's loop comes round by itself. */
const IDLE_NS = 10e3;

export interface PktgenOptions {
  readonly payload?: PktgenPayload;
  readonly seed?: number;
  /** Waits shorter than this are waited for within the turn: on a host, 100 us as the kernel does; 0 under a virtual clock, the default. */
  readonly spinNs?: number;
  /** The run is over: count reached, stop(), or the device went down. */
  readonly onStop?: () => void;
}

export class Pktgen {
  readonly dev: NetDevice;
  readonly params: PktgenParams;
  readonly headers: PktgenHeaders;
  running = false;
  /** Frames and bytes that the driver took; refusals; frames whose time had passed. */
  sofar = 0;
  txBytes = 0;
  errors = 0;
  slipped = 0;
  seqNum = 1;
  startedNs = 0;
  stoppedNs = 0;
  /** Waiting for room, not for time. */
  idleNs = 0;
  readonly #machine: Machine;
  readonly #work: Work;
  readonly #spinNs: number;
  readonly #onStop: () => void;
  readonly #ring: SkBuff[] = [];
  #at = 0;
  /** The frame that goes next, and how often it will have gone then; 0: it is still to be made. */
  #frame: SkBuff | null = null;
  #clones = 0;
  /** When the next frame is due. */
  #nextNs = 0;
  #blockedNs = -1;
  /** Its first turn is still to come: the run begins with that. */
  #fresh = false;

  /** Set-up; `dev` is up. Throws SetupError `ERR_NETPOLL_OPTIONS`: settings that do not go together, or not with this device. */
  constructor(dev: NetDevice, params: PktgenParams, options: PktgenOptions = {}) {
    this.dev = dev;
    this.params = params;
    this.#machine = dev.net.machine;
    this.headers = new PktgenHeaders(params, options.payload ?? { kind: 'pktgen' }, dev.devAddr, options.seed ?? 1);
    this.#spinNs = options.spinNs ?? 0;
    this.#onStop = options.onStop ?? (() => {});
    this.#work = new Work(this.#machine, () => this.#turn());
    const { template } = this.headers;
    const room = Math.min(dev.mtu + 14 + 8, this.#machine.arena.slotSize - NET_SKB_PAD);
    const queues = dev.txQueues.length;
    if (template.length > room) throw refusal(dev, 'takes frames of at most ' + room + ' bytes');
    if (params.cloneSkb > 1 && !dev.txSkbSharing) throw refusal(dev, 'does not share frames: clone_skb 0');
    if (Math.max(params.queueMapMin, params.queueMapMax) >= queues) throw refusal(dev, 'has so many queues: ' + queues);
  }

  /** Begins. Throws SetupError `ERR_NETPOLL_MEMORY` where there is none for the ring. */
  start(): void {
    this.sofar = this.txBytes = this.errors = this.slipped = this.idleNs = 0;
    this.seqNum = 1;
    this.#clones = 0;
    this.#at = 0;
    this.#blockedNs = -1;
    while (this.dev.txSkbSharing && this.#ring.length < PKTGEN_RING) {
      const skb = this.#make();
      if (skb === null) {
        this.#release();
        throw new SetupError('ERR_NETPOLL_MEMORY', 'pktgen: no memory for a ring of ' + PKTGEN_RING + ' frames');
      }
      this.#ring.push(skb);
    }
    this.running = true;
    this.#fresh = true;
    this.startedNs = this.#machine.executive.now();
    this.#work.schedule();
  }

  /** Ends the run; the device keeps what it was given. */
  stop(): void {
    if (!this.running) return;
    this.running = false;
    this.stoppedNs = this.#machine.executive.now();
    this.#blocked(this.stoppedNs, false);
    this.#work.cancel();
    this.#release();
    this.#onStop();
  }

  /** How long it has run, in nanoseconds, up to now or its end. */
  get totalNs(): number {
    return (this.running ? this.#machine.executive.now() : this.stoppedNs) - this.startedNs;
  }

  /** Bound: MAX_BEFORE_SOFTIRQ frames or SLICE_NS, and one burst more. */
  #turn(): void {
    if (!this.running) return;
    if (!netifRunning(this.dev)) {
      this.stop();
      return;
    }
    const { executive } = this.#machine;
    const { delayNs, count } = this.params;
    let now = executive.now();
    if (this.#fresh) {
      this.#fresh = false;
      this.startedNs = now;
      this.#nextNs = now;
    }
    const endNs = now + SLICE_NS;
    // The wall clock is read once a turn, and moved on with the other one; first, so that no frame says that it was sent later than it was.
    const wallUs = executive.wallUs() - executive.now() / 1e3;
    this.headers.stamp(wallUs + now / 1e3);
    let left = MAX_BEFORE_SOFTIRQ;
    for (let round = 1; left > 0 && now < endNs; round++) {
      let n = delayNs === 0 ? left : Math.min(left, this.#due(now));
      if (count > 0) n = Math.min(n, count - this.sofar);
      if (n > 0) {
        n = Math.min(n, this.params.burst);
        const sent = this.#xmit(n);
        left -= sent;
        this.#nextNs += sent * delayNs;
        if (count > 0 && this.sofar >= count) {
          this.stop();
          return;
        }
        if (sent < n) {
          this.#blocked(now, true);
          break;
        }
        if (this.#blockedNs >= 0) this.#blocked(now, false);
      } else if (this.#nextNs - now > this.#spinNs) {
        break;
      }
      if (delayNs === 0 && (round & (CLOCK_EVERY - 1)) !== 0) continue;
      now = executive.now();
      this.headers.stamp(wallUs + now / 1e3);
    }
    let waitNs = delayNs === 0 ? 0 : this.#nextNs - now - this.#spinNs;
    if (this.#blockedNs >= 0) waitNs = this.#spinNs > 0 ? 0 : IDLE_NS;
    this.#work.schedule(waitNs > 0 ? waitNs : 0);
  }

  /** Frames whose time has come. */
  #due(now: number): number {
    const { delayNs } = this.params;
    const late = now - this.#nextNs;
    if (late < 0) return 0;
    if (late > LATE_NS) {
      const slipped = Math.floor(late / delayNs);
      this.slipped += slipped;
      this.#nextNs += slipped * delayNs;
      return 1;
    }
    return Math.floor(late / delayNs) + 1;
  }

  /** Sends at most `n` frames, behind one doorbell where the driver can; gives how many it took. */
  #xmit(n: number): number {
    const machine = this.#machine;
    const { cpu } = machine;
    const { headers } = this;
    cpu.localBhDisable();
    let sent = 0;
    while (sent < n && this.#ready()) {
      const txq = this.dev.txQueues[headers.curQueueMap]!;
      if (!txTrylock(txq, cpu.id)) break;
      const took = this.#xmitTo(txq, n - sent);
      txUnlock(txq);
      sent += took;
      if (took === 0) break;
    }
    machine.softirq.localBhEnable(cpu);
    return sent;
  }

  /** Makes the next frame, unless there is one that was not taken. False: none can be made now. */
  #ready(): boolean {
    if (this.#clones > 0) return true;
    const shared = this.#ring.length > 0;
    const skb = shared ? this.#ring[this.#at]! : this.#make();
    if (skb === null) this.errors++;
    if (skb === null || skb.users !== 1) return false;
    const { headers } = this;
    headers.next();
    const len = headers.write(skb.arena.view, skb.data, this.seqNum);
    skb.len = len;
    skb.tail = skb.data + len;
    this.#frame = skb;
    this.#clones = 1;
    return true;
  }

  /** The frame that is ready, and those behind it, as far as they go to this queue, which the caller has. */
  #xmitTo(txq: NetdevQueue, n: number): number {
    const ring = this.#ring;
    if (ring.length === 0) return this.#xmitNew(txq, n);
    const { headers, dev } = this;
    const { cloneSkb } = this.params;
    const { txQueues } = dev;
    const { view } = this.#machine.arena;
    // All state in locals: this loop is what a flood consists of.
    let skb = this.#frame!;
    let at = this.#at;
    let clones = this.#clones;
    let seq = this.seqNum;
    let bytes = 0;
    let sent = 0;
    while (sent < n && !txq.frozenOrStopped) {
      const last = clones >= cloneSkb;
      const nextAt = last ? (at + 1) & (PKTGEN_RING - 1) : at;
      const next = ring[nextAt]!;
      const free = !last || next.users === 1;
      const { len } = skb;
      skb.users++;
      txq.xmitMore = free && sent + 1 < n && headers.oneQueue;
      if (!devXmitComplete(dev.ops.startXmit(skb, dev, txq))) {
        skb.users--;
        this.errors++;
        break;
      }
      sent++;
      seq = (seq + 1) >>> 0;
      bytes += len;
      at = nextAt;
      if (!last) {
        clones++;
        continue;
      }
      clones = 0;
      if (!free || sent === n) break;
      headers.next();
      const size = headers.write(view, next.data, seq);
      next.len = size;
      next.tail = next.data + size;
      skb = next;
      clones = 1;
      if (txQueues[headers.curQueueMap] !== txq) break;
    }
    this.#frame = skb;
    this.#at = at;
    this.#clones = clones;
    this.seqNum = seq;
    this.sofar += sent;
    this.txBytes += bytes;
    return sent;
  }

  /** The same for a device that does not share frames: each is a new one, and the driver's alone. */
  #xmitNew(txq: NetdevQueue, n: number): number {
    const { headers, dev } = this;
    let sent = 0;
    txq.xmitMore = false;
    do {
      if (txq.frozenOrStopped) break;
      const { len } = this.#frame!;
      if (!devXmitComplete(dev.ops.startXmit(this.#frame!, dev, txq))) {
        this.errors++;
        break;
      }
      this.#frame = null;
      this.#clones = 0;
      this.sofar++;
      this.seqNum = (this.seqNum + 1) >>> 0;
      this.txBytes += len;
      sent++;
    } while (sent < n && this.#ready() && dev.txQueues[headers.curQueueMap] === txq);
    return sent;
  }

  #make(): SkBuff | null {
    const { template } = this.headers;
    const skb = this.#machine.skbs.allocForDevice(this.dev, template.length);
    if (skb === null) return null;
    skb.arena.bytes.set(template, skbPut(skb, template.length));
    return skb;
  }

  #blocked(now: number, on: boolean): void {
    if (on) {
      if (this.#blockedNs < 0) this.#blockedNs = now;
      return;
    }
    if (this.#blockedNs >= 0) this.idleNs += now - this.#blockedNs;
    this.#blockedNs = -1;
  }

  #release(): void {
    const { length } = this.#ring;
    if (length === 0 && this.#frame !== null) this.#frame.pool.consume(this.#frame);
    for (let i = 0; i < length; i++) this.#ring[i]!.pool.consume(this.#ring[i]!);
    this.#ring.length = 0;
    this.#frame = null;
    this.#clones = 0;
  }
}

function refusal(dev: NetDevice, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', 'pktgen: ' + dev.name + ' ' + why);
}
