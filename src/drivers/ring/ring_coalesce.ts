/**
 * How long the textbook card keeps its interrupts back, and who says so: the user (`ethtool -C`), or the load (adaptive: DIM).
 *
 *     poll is over --> sample(queue): frames, bytes, interrupts --every 64 interrupts--> Dim --> a profile --> work --> registers
 *
 * Each queue has a Dim for either direction. Its profile is written in process context, as the kernel's dim work does; until then
 * samples count for nothing.
 */
import { Errno } from '../../base/status.ts';
import { COALESCE_DEFAULTS, type CoalesceName, type CoalesceParams, coalesceValid } from '../../device/coalesce.ts';
import { DIM_RX_EQE, DIM_TX_EQE, Dim } from '../../device/dim.ts';
import type { Machine } from '../../machine/machine.ts';
import { Work } from '../../machine/timer.ts';
import type { RingHardware } from './hardware.ts';
import { Q_RX_FRAMES, Q_RX_USECS, Q_TX_FRAMES, Q_TX_USECS, qreg } from './registers.ts';
import type { RingQueue } from './ring_queue.ts';

export const RING_COALESCE_PARAMS: readonly CoalesceName[] = [
  'rxUsecs',
  'rxFrames',
  'txUsecs',
  'txFrames',
  'adaptiveRx',
  'adaptiveTx',
];

export class RingCoalesce {
  /** What the user has set; with adaptive on, usecs and frames are what it goes back to. */
  params: CoalesceParams = { ...COALESCE_DEFAULTS, rxFrames: 1, txFrames: 1 };
  readonly #hw: RingHardware;
  readonly #machine: Machine;
  readonly #rx: Dim[];
  readonly #tx: Dim[];

  constructor(machine: Machine, hw: RingHardware) {
    this.#hw = hw;
    this.#machine = machine;
    const dims = (profiles: typeof DIM_RX_EQE, usecs: number, frames: number): Dim[] =>
      Array.from({ length: hw.queues }, (_, q) => {
        const work = new Work(machine, () => {
          const profile = dim.profiles[dim.profileIx]!;
          hw.write(qreg(q, usecs), profile.usecs);
          hw.write(qreg(q, frames), profile.frames);
          dim.start();
        });
        const dim: Dim = new Dim(profiles, () => work.schedule());
        return dim;
      });
    this.#rx = dims(DIM_RX_EQE, Q_RX_USECS, Q_RX_FRAMES);
    this.#tx = dims(DIM_TX_EQE, Q_TX_USECS, Q_TX_FRAMES);
  }

  /** What is in force: with adaptive on, queue 0's profile. (`ethtool -c`) */
  get(): CoalesceParams {
    const [rx, tx] = [this.#rx[0]!, this.#tx[0]!];
    const now = { ...this.params };
    if (now.adaptiveRx) Object.assign(now, named('rx', rx));
    if (now.adaptiveTx) Object.assign(now, named('tx', tx));
    return now;
  }

  /** 0, or -EINVAL for a pair that would never interrupt. (`ethtool -C`) */
  set(params: CoalesceParams, queues: number): number {
    if (coalesceValid(params.rxUsecs, params.rxFrames) !== 0) return -Errno.EINVAL;
    if (coalesceValid(params.txUsecs, params.txFrames) !== 0) return -Errno.EINVAL;
    this.params = params;
    this.write(queues);
    return 0;
  }

  /** Into the registers of the first `queues` queues. */
  write(queues: number): void {
    const { rxUsecs, rxFrames, txUsecs, txFrames, adaptiveRx, adaptiveTx } = this.params;
    for (let q = 0; q < queues; q++) {
      const rx = adaptiveRx ? profileOf(this.#rx[q]!) : { usecs: rxUsecs, frames: rxFrames };
      const tx = adaptiveTx ? profileOf(this.#tx[q]!) : { usecs: txUsecs, frames: txFrames };
      this.#hw.write(qreg(q, Q_RX_USECS), rx.usecs);
      this.#hw.write(qreg(q, Q_RX_FRAMES), rx.frames);
      this.#hw.write(qreg(q, Q_TX_USECS), tx.usecs);
      this.#hw.write(qreg(q, Q_TX_FRAMES), tx.frames);
    }
  }

  /** A poll of the queue is over, and its interrupt is about to be unmasked. (`net_dim`) */
  sample(queue: RingQueue): void {
    const { adaptiveRx, adaptiveTx } = this.params;
    const events = queue.line!.count & 0xffff;
    const timeUs = this.#machine.executive.now() / 1000;
    const rx = this.#rx[queue.index]!;
    if (adaptiveRx && rx.due(events)) rx.sample({ timeUs, packets: queue.rxPackets, bytes: queue.rxBytes, events });
    const tx = this.#tx[queue.index]!;
    if (adaptiveTx && tx.due(events)) tx.sample({ timeUs, packets: queue.txPackets, bytes: queue.txBytes, events });
  }
}

function profileOf(dim: Dim): { readonly usecs: number; readonly frames: number } {
  return dim.profiles[dim.profileIx]!;
}

function named(way: 'rx' | 'tx', dim: Dim): Partial<CoalesceParams> {
  const { usecs, frames } = profileOf(dim);
  return way === 'rx' ? { rxUsecs: usecs, rxFrames: frames } : { txUsecs: usecs, txFrames: frames };
}
