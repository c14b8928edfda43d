// hot
/**
 * The backlog: frames of drivers without NAPI, and frames that another CPU has sent here (RPS), wait for the NET_RX softirq.
 *
 *     netifRx (any context) --> input queue --> process queue --> process_backlog, a NAPI poll of its own --> netif_receive_skb
 *         \--> input queue of another CPU, which is sent an interrupt at the end of this CPU's net_rx_action
 *
 * The input queue takes 1,001 frames: it is looked at whether more than 1,000 are there. What process_backlog has taken over does
 * not count. A frame that finds no room is dropped and counted (softnet `dropped`, reason CPU_BACKLOG): the work that the interrupt
 * did for it is lost. That is the livelock which NAPI ends by not taking the frame off the hardware at all.
 *
 * `tail` counts frames that were put in, `head` those that were handed up; both wrap at 2^32. RFS tells by them whether the last
 * frame of a flow has left this CPU.
 */
import { NET_RX_DROP, NET_RX_SUCCESS } from '../base/status.ts';
import {
  NAPI_POLL_WEIGHT,
  NAPI_STATE_SCHED,
  type NapiStruct,
  napiCompleteDone,
  napiEnable,
  napiScheduleOwned,
  netifNapiAdd,
} from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import { allocNetdev, devOf, type NetDevice, netifRunning, STAT_RX_DROPPED } from '../device/net_device.ts';
import type { Softnet } from '../device/softnet.ts';
import { IrqLine } from '../machine/irq.ts';
import { Softirq } from '../machine/softirq.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { skbGetHash } from '../skb/get_hash.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { FlowLimit } from './flow_limit.ts';

/** More frames than these in a CPU's backlog, and the next one is dropped (`net.core.netdev_max_backlog`). */
export const NETDEV_MAX_BACKLOG = 1000;

/** A CPU's backlog as other CPUs see it, wherever that CPU runs. */
export interface CpuBacklog {
  /** Frames that were ever put in, and that were handed up, modulo 2^32. */
  readonly tail: number;
  readonly head: number;
  /** Frames that wait: not yet looked at, and taken over by the CPU's poll. */
  readonly inputLength: number;
  readonly processLength: number;
  /** False: the CPU is gone, and takes nothing any more. (`cpu_online`) */
  readonly online: boolean;
  /** The next one that is owed an interrupt. */
  ipiNext: CpuBacklog | null;
  /** As Backlog.enqueue. */
  enqueue(skb: SkBuff, from: Backlog): number;
  /** The CPU has been given frames: it is to look. */
  interrupt(): void;
}

export class Backlog implements CpuBacklog {
  readonly online = true;
  readonly softnet: Softnet;
  readonly napi: NapiStruct;
  readonly input: SkbQueue;
  readonly process: SkbQueue;
  maxBacklog = NETDEV_MAX_BACKLOG;
  /** Frames that were ever put in, and that were handed up, modulo 2^32. */
  tail = 0;
  head = 0;
  /** Drops of one flow before those of others; null: not on this CPU. */
  flowLimit: FlowLimit | null = null;
  /** Other CPUs' backlogs that are owed an interrupt, linked by `ipiNext` (`rps_ipi_list`). */
  ipiList: CpuBacklog | null = null;
  ipiNext: CpuBacklog | null = null;
  readonly #net: Net;
  readonly #call: IrqLine;

  constructor(net: Net, softnet: Softnet) {
    this.#net = net;
    this.softnet = softnet;
    this.input = new SkbQueue(Number.POSITIVE_INFINITY);
    this.process = new SkbQueue(Number.POSITIVE_INFINITY);
    // Set-up. The instance belongs to a device that nobody sees, as the kernel's dummy net_device.
    const ops = { open: () => 0, startXmit: () => 0 };
    const dev = allocNetdev(net, { name: `backlog${softnet.cpu.id}`, ops, setup: () => {} });
    this.napi = netifNapiAdd(dev, (napi, budget) => this.#poll(napi, budget), NAPI_POLL_WEIGHT);
    napiEnable(this.napi);
    this.#call = new IrqLine(net.machine, -1, 'CAL', softnet.cpu, () => this.#called());
  }

  /**
   * Takes a frame for this CPU, from any CPU in any context; `from` is the backlog of the CPU that runs. NET_RX_DROP: the device is
   * down, there is no room, or its flow has had its share; the frame is freed. (`enqueue_to_backlog`)
   */
  enqueue(skb: SkBuff, from: Backlog): number {
    const dev = devOf(skb);
    if (!netifRunning(dev)) {
      dev.stats.add(STAT_RX_DROPPED);
      skb.pool.kfree(skb, DropReason.DEV_READY);
      return NET_RX_DROP;
    }
    const waiting = this.input.length;
    // Nobody takes it out again after a panic, and netpoll, which lives on, needs the memory.
    if (waiting > this.maxBacklog || this.#net.machine.dead || this.#limited(skb, waiting)) {
      this.softnet.dropped++;
      dev.stats.add(STAT_RX_DROPPED);
      skb.pool.kfree(skb, DropReason.CPU_BACKLOG);
      return NET_RX_DROP;
    }
    this.input.queueTail(skb);
    this.tail = (this.tail + 1) >>> 0;
    if (waiting === 0 && (this.napi.state & NAPI_STATE_SCHED) === 0) {
      this.napi.state |= NAPI_STATE_SCHED;
      this.#schedule(from);
    }
    return NET_RX_SUCCESS;
  }

  /** Interrupts the CPUs that this one has given frames. (`net_rps_send_ipi`) */
  sendIpis(): void {
    let each = this.ipiList;
    this.ipiList = null;
    while (each !== null) {
      const next: CpuBacklog | null = each.ipiNext;
      each.ipiNext = null;
      each.interrupt();
      each = next;
    }
  }

  get inputLength(): number {
    return this.input.length;
  }

  get processLength(): number {
    return this.process.length;
  }

  interrupt(): void {
    this.#call.raise();
  }

  /** `target` is owed an interrupt, at the end of this CPU's net_rx_action. */
  owe(target: CpuBacklog): void {
    target.ipiNext = this.ipiList;
    this.ipiList = target;
    if (!this.softnet.inNetRxAction) this.#net.machine.softirq.raise(Softirq.NET_RX);
  }

  /** Drops what waits of a device that goes away. (`flush_backlog`) */
  flush(dev: NetDevice): void {
    const gone = new SkbQueue(0);
    this.input.moveOf(dev, gone);
    this.process.moveOf(dev, gone);
    this.head = (this.head + gone.length) >>> 0;
    gone.purge(DropReason.QUEUE_PURGE);
  }

  #limited(skb: SkBuff, waiting: number): boolean {
    if (this.flowLimit === null || waiting < this.maxBacklog >>> 1) return false;
    const exceeded = this.flowLimit.exceeded(skbGetHash(skb));
    if (exceeded) this.softnet.flowLimitCount++;
    return exceeded;
  }

  /** Has this backlog polled: here at once, elsewhere when the CPU is done with its own. (`napi_schedule_rps`) */
  #schedule(from: Backlog): void {
    if (from === this) napiScheduleOwned(this.napi);
    else from.owe(this);
  }

  /** In the interrupt, on this backlog's CPU. (`rps_trigger_softirq`) */
  #called(): void {
    this.softnet.receivedRps++;
    napiScheduleOwned(this.napi);
  }

  /** Bound: `budget` frames. Budget 0 (netpoll): nothing. (`process_backlog`) */
  #poll(napi: NapiStruct, budget: number): number {
    if (this.ipiList !== null) this.sendIpis();
    let work = 0;
    while (work < budget) {
      const skb = this.process.dequeue();
      if (skb !== null) {
        this.softnet.deliver(skb);
        this.head = (this.head + 1) >>> 0;
        work++;
      } else if (this.input.length > 0) {
        this.process.splice(this.input);
      } else {
        napiCompleteDone(napi, work);
        break;
      }
    }
    return work;
  }
}

/** Gives every CPU a backlog, by its number. */
export function backlogInit(net: Net): Backlog[] {
  return net.softnet.map((softnet) => new Backlog(net, softnet));
}
