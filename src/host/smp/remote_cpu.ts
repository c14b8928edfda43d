// hot
/**
 * A CPU that is another thread, as this one sees it: its backlog, and its doorbell.
 *
 *     RPS --enqueue--> ring of entries ..(end of net_rx_action).. interrupt --> asleep? --yes--> its doorbell
 *                                                                                  \---no---> it will look by itself
 *
 * A doorbell is rung once for however many frames, and only for a CPU that sleeps: under load it is not a system call a frame, but
 * none (`napi_schedule_rps`, `net_rps_send_ipi`).
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../../base/status.ts';
import { devOf, netifRunning, STAT_RX_DROPPED } from '../../device/net_device.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import type { Backlog, CpuBacklog } from '../../stack/backlog.ts';
import { type CpuTable, counterAt, TICKETS } from './cpu_table.ts';
import type { DeviceNumbers } from './device_numbers.ts';
import type { Doorbells } from './doorbell.ts';
import { type HandoverSender, handoverReady } from './handover.ts';
import { HANDOVER_RECEIVE, HANDOVER_XMIT } from './handover_entry.ts';

const HANDED_OVER = counterAt('handed_over');
const XMIT_HANDED_OVER = counterAt('xmit_handed_over');

/** Frames that the other CPU is not shown before. */
const PUBLISH_MAX = 32;
/** A quarter of a backlog. */
const HELD_MAX = 256;

export class RemoteCpu implements CpuBacklog {
  readonly cpu: number;
  readonly sender: HandoverSender;
  online = false;
  ipiNext: CpuBacklog | null = null;
  /** Frames of a kernel's ring that it holds before the next ones are copied: a held frame holds its block. */
  heldMax = HELD_MAX;
  readonly #me: number;
  readonly #table: CpuTable;
  readonly #counters: Float64Array;
  readonly #bells: Doorbells;
  readonly #devices: DeviceNumbers;
  #owed = false;
  #unpublished = 0;

  /** `me` hands over to `cpu`. */
  constructor(
    me: number,
    cpu: number,
    table: CpuTable,
    sender: HandoverSender,
    bells: Doorbells,
    devices: DeviceNumbers,
  ) {
    this.#me = me;
    this.cpu = cpu;
    this.#table = table;
    this.#counters = table.counters(me);
    this.sender = sender;
    this.#bells = bells;
    this.#devices = devices;
  }

  get tail(): number {
    return this.sender.tail;
  }

  get head(): number {
    return this.sender.head;
  }

  get inputLength(): number {
    return this.sender.length;
  }

  get processLength(): number {
    return 0;
  }

  /** Answers to enqueue_to_backlog: a frame that finds no room is dropped, CPU_BACKLOG, and counted for the CPU that it was for. */
  enqueue(skb: SkBuff, from: Backlog): number {
    const dev = devOf(skb);
    if (!netifRunning(dev)) {
      dev.stats.add(STAT_RX_DROPPED);
      skb.pool.kfree(skb, DropReason.DEV_READY);
      return NET_RX_DROP;
    }
    if (!this.online || this.sender.full(1)) return this.#drop(skb);
    const own = handoverReady(skb, this.sender.out >= this.heldMax);
    if (own === null) return NET_RX_DROP;
    if (!this.sender.send(own, this.#devices.numberOf(dev), HANDOVER_RECEIVE)) return this.#drop(own);
    if (++this.#unpublished === PUBLISH_MAX) this.#publish();
    if (!this.#owed) {
      this.#owed = true;
      from.owe(this);
    }
    return NET_RX_SUCCESS;
  }

  #drop(skb: SkBuff): number {
    this.#table.countPairDrop(this.#me, this.cpu);
    devOf(skb).stats.add(STAT_RX_DROPPED);
    skb.pool.kfree(skb, DropReason.CPU_BACKLOG);
    return NET_RX_DROP;
  }

  /** There is room for the frame, and for what it points to. */
  hasRoom(skb: SkBuff): boolean {
    const { sender } = this;
    const pieces = 1 + skb.pool.info.nrFrags[skb.shinfo]!;
    if (sender.out + pieces > TICKETS) sender.reap();
    return sender.out + pieces <= TICKETS && !sender.full(pieces);
  }

  /** The frame is to be sent by the device of its number there. False: no room, and it is still the caller's. */
  xmit(skb: SkBuff, device: number): boolean {
    if (!this.online || !this.sender.send(skb, device, HANDOVER_XMIT)) return false;
    this.#counters[XMIT_HANDED_OVER]!++;
    this.#publish();
    this.#bells.ring(this.cpu);
    return true;
  }

  #publish(): void {
    this.#counters[HANDED_OVER]! += this.#unpublished;
    this.#unpublished = 0;
    this.sender.publish();
  }

  interrupt(): void {
    this.#owed = false;
    this.#publish();
    this.sender.reap();
    this.#bells.ring(this.cpu);
  }
}
