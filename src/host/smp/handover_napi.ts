// hot
/**
 * What other CPUs hand over, as a NAPI instance: process_backlog of a CPU whose givers are other threads.
 *
 *     doorbell --interrupt--> napiSchedule --> NET_RX softirq --> poll: 1 memory of ours that has come back is taken back
 *                                                                      2 each giver in turn, up to the budget, frames go up
 *                                                                      3 fewer than that: asleep, look once more, complete
 *
 * Under load this CPU does not sleep and nobody rings. The instance belongs to a device that nobody sees, as the backlog's.
 *
 * Memory goes back on its own ring with each frame that is freed. Its owner is woken for that when GIVEN_MAX pieces have gone back
 * unseen, or when this CPU has nothing more to do: a block of the kernel's ring must not wait for an owner that sleeps.
 */
import { type NapiStruct, napiCompleteDone, napiEnable, napiSchedule, netifNapiAdd } from '../../device/napi_struct.ts';
import type { Net } from '../../device/net.ts';
import {
  allocNetdev,
  type NetDevice,
  netifRunning,
  STAT_RX_DROPPED,
  STAT_TX_DROPPED,
} from '../../device/net_device.ts';
import type { Softnet } from '../../device/softnet.ts';
import { IrqLine } from '../../machine/irq.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { type CpuTable, counterAt } from './cpu_table.ts';
import type { DeviceNumbers } from './device_numbers.ts';
import type { Doorbells } from './doorbell.ts';
import { HANDOVER_XMIT } from './handover_entry.ts';
import { HandoverReceiver } from './handover_receiver.ts';
import type { RemoteCpu } from './remote_cpu.ts';

/** The weight of a backlog. */
const WEIGHT = 64;
const GIVEN_MAX = 256;
/** Frames of one giver before it is the next one's turn. */
const TURN = 16;
const TAKEN_OVER = counterAt('taken_over');

/** A CPU that hands over to this one. */
interface Giver {
  readonly cpu: number;
  readonly receiver: HandoverReceiver;
  /** Pieces of memory that went back and that it was not woken for. */
  given: number;
}

export class HandoverNapi {
  readonly napi: NapiStruct;
  readonly line: IrqLine;
  /** Sends a frame that another CPU has given for a device of ours. */
  onXmit: (skb: SkBuff, dev: NetDevice) => void;
  /** Called at each poll, before anything else: CPUs that came or went. */
  onLook: () => void = () => {};
  readonly #me: number;
  readonly #softnet: Softnet;
  readonly #table: CpuTable;
  readonly #counters: Float64Array;
  readonly #bells: Doorbells;
  readonly #devices: DeviceNumbers;
  readonly #givers: Giver[] = [];
  readonly #remotes: readonly RemoteCpu[];
  #next = 0;
  #polling = false;

  constructor(
    net: Net,
    me: number,
    table: CpuTable,
    bells: Doorbells,
    devices: DeviceNumbers,
    remotes: readonly RemoteCpu[],
    onXmit: (skb: SkBuff, dev: NetDevice) => void,
  ) {
    this.#me = me;
    this.#softnet = net.softnet[me]!;
    this.#table = table;
    this.#counters = table.counters(me);
    this.#bells = bells;
    this.#devices = devices;
    this.#remotes = remotes;
    this.onXmit = onXmit;
    for (const { cpu } of remotes) {
      const receiver = new HandoverReceiver(table.pair(cpu, me), net.machine.skbs, () => this.#gave(giver));
      const giver: Giver = { cpu, receiver, given: 0 };
      this.#givers.push(giver);
    }
    const ops = { open: () => 0, startXmit: () => 0 };
    const dev = allocNetdev(net, { name: 'handover', ops, setup: () => {} });
    this.napi = netifNapiAdd(dev, (napi, budget) => this.#poll(napi, budget), WEIGHT);
    napiEnable(this.napi);
    this.line = new IrqLine(net.machine, -1, 'CAL', net.machine.cpus[me]!, () => this.#called());
  }

  /** Frames that wait here, from all CPUs. */
  get waiting(): number {
    let n = 0;
    for (let i = 0; i < this.#givers.length; i++) n += this.#givers[i]!.receiver.length;
    return n;
  }

  /** In the interrupt. (`rps_trigger_softirq`) */
  #called(): void {
    this.#softnet.receivedRps++;
    napiSchedule(this.napi);
  }

  /** Bound: `budget` frames, and the memory that has come back. */
  #poll(napi: NapiStruct, budget: number): number {
    this.onLook();
    this.#polling = true;
    for (let i = 0; i < this.#remotes.length; i++) this.#remotes[i]!.sender.reap();
    let work = 0;
    let idle = 0;
    const { length } = this.#givers;
    while (work < budget && idle < length) {
      const giver = this.#givers[this.#next]!;
      const took = this.#take(giver, budget - work);
      work += took;
      idle = took === 0 ? idle + 1 : 0;
      if (++this.#next === length) this.#next = 0;
    }
    this.#polling = false;
    this.#wakeOwners(work < budget);
    if (work < budget && napiCompleteDone(napi, work)) this.#sleep(napi);
    return work;
  }

  #take({ receiver }: Giver, room: number): number {
    const limit = Math.min(room, TURN);
    let n = 0;
    for (; n < limit; n++) {
      const skb = receiver.take();
      if (skb === null) break;
      this.#counters[TAKEN_OVER]!++;
      this.#up(skb, receiver.device, receiver.kind);
      receiver.taken();
    }
    if (n > 0) receiver.publish();
    return n;
  }

  #up(skb: SkBuff, device: number, kind: number): void {
    const dev = this.#devices.deviceOf(device);
    if (dev === null || !netifRunning(dev)) {
      dev?.stats.add(kind === HANDOVER_XMIT ? STAT_TX_DROPPED : STAT_RX_DROPPED);
      skb.pool.kfree(skb, DropReason.DEV_READY);
      return;
    }
    skb.dev = dev;
    if (kind === HANDOVER_XMIT) this.onXmit(skb, dev);
    else this.#softnet.deliver(skb);
  }

  /** Whoever puts something in from here on wakes us; what came before that is seen now. */
  #sleep(napi: NapiStruct): void {
    this.#table.fallAsleep(this.#me);
    if ((this.waiting > 0 || this.#returning()) && this.#table.claimWake(this.#me)) napiSchedule(napi);
  }

  #returning(): boolean {
    for (let i = 0; i < this.#remotes.length; i++) if (this.#remotes[i]!.sender.returning) return true;
    return false;
  }

  #gave(giver: Giver): void {
    giver.given++;
    // Outside of a poll of ours nobody else will say so.
    if (giver.given >= GIVEN_MAX || !this.#polling) this.#wake(giver);
  }

  #wakeOwners(all: boolean): void {
    if (!all) return;
    for (let i = 0; i < this.#givers.length; i++) if (this.#givers[i]!.given > 0) this.#wake(this.#givers[i]!);
  }

  #wake(giver: Giver): void {
    giver.given = 0;
    giver.receiver.publish();
    this.#bells.ring(giver.cpu);
  }
}
