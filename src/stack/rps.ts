// hot
/**
 * Receive packet steering: which CPU takes a frame up the stack.
 *
 *     frame --hash--> RFS: the CPU whose application reads this flow --> backlog of that CPU, in order
 *                 \-> RPS: a CPU of the receive queue's list, by hash --> backlog of that CPU
 *                 \-> neither: here
 *
 *  1. An application that reads a flow leaves its CPU in the sockets' table (rpsRecordSockFlow), with the upper bits of the hash.
 *  2. The receive queue's flow table has the CPU where the flow's frames go now, and how far that CPU's backlog was filled with
 *     its last one (lastQtail). The flow moves to where the application is only when that frame has been handed up: so frames of a
 *     flow stay in order. Only its first move, away from where the list had sent it, does not wait; nor does the kernel's.
 *  3. Without an entry the queue's list of CPUs decides, by the upper part of the hash times its length.
 *
 * A CPU that has gone takes no more frames: what the list gives it stays here, and flows that went there move on.
 *
 * A frame without a hash is dissected (skb/get_hash.ts). (`get_rps_cpu`, `set_rps_cpu`)
 */
import { NET_RX_SUCCESS } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { devOf, type NetDevice } from '../device/net_device.ts';
import { Loglevel } from '../machine/printk.ts';
import { skbGetHash } from '../skb/get_hash.ts';
import { skbGetRxQueue, skbRxQueueRecorded } from '../skb/rx_queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { Backlog, CpuBacklog } from './backlog.ts';
import { hash32 } from './flow_limit.ts';

/** No application has read the flow. (`RPS_NO_CPU`) */
export const RPS_NO_CPU = 0xffff;
/** Entries of a table at most: 2^29. */
const MAX_FLOWS = 2 ** 29;

/** Where flows of one receive queue go now. (`rps_dev_flow_table`) */
export class RpsDevFlowTable {
  readonly bits: number;
  readonly cpu: Uint16Array;
  readonly lastQtail: Uint32Array;

  /** Room for `flows`, rounded up to a power of two. */
  constructor(flows: number) {
    this.bits = powerOfTwoBits(flows);
    this.cpu = new Uint16Array(1 << this.bits).fill(RPS_NO_CPU);
    this.lastQtail = new Uint32Array(1 << this.bits);
  }
}

/** One receive queue's steering, as in /sys/class/net/DEV/queues/rx-N. */
export interface RpsQueue {
  /** CPUs that take its frames; empty: the one that received them (`rps_cpus`). */
  map: Uint16Array;
  /** RFS for this queue; null: off (`rps_flow_cnt`). */
  flows: RpsDevFlowTable | null;
}

export class Rps {
  readonly #net: Net;
  /** By CPU; those of CPUs that run elsewhere are put in by setBacklog. */
  readonly #backlogs: CpuBacklog[];
  readonly #own: readonly Backlog[];
  /** What the upper bits of a hash are told from CPU numbers by. */
  readonly #cpuMask: number;
  #sockFlows: Uint32Array | null = null;
  /** The entry that get() has used last, whose lastQtail is set when the frame is queued; -1: none. */
  #slot = -1;
  #table: RpsDevFlowTable | null = null;

  constructor(net: Net, backlogs: readonly Backlog[]) {
    this.#net = net;
    this.#backlogs = [...backlogs];
    this.#own = backlogs;
    this.#cpuMask = (1 << powerOfTwoBits(net.machine.cpus.length)) - 1;
  }

  /** Set-up: `cpu` runs elsewhere, and this is the way there. */
  setBacklog(cpu: number, backlog: CpuBacklog): void {
    this.#backlogs[cpu] = backlog;
  }

  /** The backlog of `cpu`, wherever it runs. */
  backlog(cpu: number): CpuBacklog {
    return this.#backlogs[cpu]!;
  }

  /** Set-up: steers frames that receive queue `queue` of `dev` got to `cpus` by hash; none: not. (`rps_cpus`) */
  setCpus(dev: NetDevice, queue: number, cpus: readonly number[]): void {
    this.#queue(dev, queue).map = Uint16Array.from(cpus.filter((cpu) => cpu >= 0 && cpu < this.#backlogs.length));
  }

  /** Remembers where up to `flows` flows of the queue go; 0: not. (`rps_flow_cnt`) */
  setFlowCount(dev: NetDevice, queue: number, flows: number): void {
    this.#queue(dev, queue).flows = flows === 0 ? null : new RpsDevFlowTable(Math.min(flows, MAX_FLOWS));
  }

  /** Entries of the sockets' table, rounded up to a power of two; 0: no RFS. (`net.core.rps_sock_flow_entries`) */
  setSockFlowEntries(entries: number): void {
    const size = 1 << powerOfTwoBits(Math.min(entries, MAX_FLOWS));
    this.#sockFlows = entries === 0 ? null : new Uint32Array(size).fill(RPS_NO_CPU);
  }

  /** The same with a table that CPUs elsewhere use too: a power of two long, filled with RPS_NO_CPU by who made it; null: no RFS. */
  useSockFlows(table: Uint32Array | null): void {
    this.#sockFlows = table;
  }

  /** The CPU that runs reads the flow with this hash. Called where an application takes or sends a frame. (`rps_record_sock_flow`) */
  recordSockFlow(hash: number): void {
    const table = this.#sockFlows;
    if (table === null || hash === 0) return;
    table[hash & (table.length - 1)] = (hash & ~this.#cpuMask) | this.#net.machine.cpu.id;
  }

  /** The CPU for the frame, or -1: the one that has it. */
  get(skb: SkBuff): number {
    this.#slot = -1;
    const dev = devOf(skb);
    const queues = dev.rpsQueues as RpsQueue[] | null;
    if (queues === null) return -1;
    const recorded = skbRxQueueRecorded(skb);
    if (recorded && dev.realNumRxQueues > 0 && skbGetRxQueue(skb) >= dev.realNumRxQueues)
      return this.#foreignQueue(dev, skb);
    const queue = queues[recorded ? skbGetRxQueue(skb) : 0];
    if (queue === undefined || (queue.flows === null && queue.map.length === 0)) return -1;
    const hash = skbGetHash(skb);
    if (queue.flows !== null && this.#sockFlows !== null) {
      const entry = this.#sockFlows[hash & (this.#sockFlows.length - 1)]!;
      // An entry of another flow that fell on the same place says nothing about this one.
      if (((entry ^ hash) & ~this.#cpuMask) === 0) {
        const cpu = this.#follow(queue.flows, hash, entry & this.#cpuMask);
        if (cpu >= 0) return cpu;
      }
    }
    const { map } = queue;
    if (map.length === 0) return -1;
    const cpu = map[Math.floor((hash * map.length) / 0x100000000)]!;
    return this.#online(cpu) ? cpu : -1;
  }

  /** The driver names a queue that is not in use: said once. */
  #foreignQueue(dev: NetDevice, skb: SkBuff): number {
    const what = dev.name + ' received packet on queue ' + skbGetRxQueue(skb);
    dev.net.sayOnce(Loglevel.WARNING, what + ', but number of RX queues is ' + dev.realNumRxQueues, 'rx queue');
    return -1;
  }

  /** Takes the frame from the driver's side. False: it goes up here, and is still the caller's. (first half of `netif_receive_skb`) */
  steer(skb: SkBuff): boolean {
    const cpu = this.get(skb);
    if (cpu < 0) return false;
    this.enqueue(skb, cpu);
    return true;
  }

  /** Puts the frame on a backlog: that of `cpu`, or of the CPU that runs for -1. */
  enqueue(skb: SkBuff, cpu: number): number {
    const here = this.#own[this.#net.machine.cpu.id]!;
    const backlog: CpuBacklog = cpu < 0 ? here : this.#backlogs[cpu]!;
    const status = backlog.enqueue(skb, here);
    if (this.#slot >= 0 && status === NET_RX_SUCCESS) this.#table!.lastQtail[this.#slot] = backlog.tail;
    return status;
  }

  /** Where the flow goes, moved to `next` if its last frame has left the CPU where it went; -1: nowhere. */
  #follow(table: RpsDevFlowTable, hash: number, next: number): number {
    const slot = hash32(hash, table.bits);
    const now = table.cpu[slot]!;
    if (now !== next) {
      const left = !this.#online(now) || ((this.#backlogs[now]!.head - table.lastQtail[slot]!) | 0) >= 0;
      if (left) {
        table.cpu[slot] = next;
        table.lastQtail[slot] = this.#online(next) ? this.#backlogs[next]!.head : 0;
      }
    }
    const cpu = table.cpu[slot]!;
    if (!this.#online(cpu)) return -1;
    this.#slot = slot;
    this.#table = table;
    return cpu;
  }

  #online(cpu: number): boolean {
    return cpu >= 0 && cpu < this.#backlogs.length && this.#backlogs[cpu]!.online;
  }

  #queue(dev: NetDevice, index: number): RpsQueue {
    const queues = (dev.rpsQueues ??= []) as RpsQueue[];
    while (queues.length <= index) queues.push({ map: new Uint16Array(0), flows: null });
    for (const softnet of this.#net.softnet) softnet.steer ??= (skb) => this.steer(skb);
    return queues[index]!;
  }
}

/** Bits of the power of two that is not below `n`. */
function powerOfTwoBits(n: number): number {
  return n <= 1 ? 0 : 32 - Math.clz32(n - 1);
}
