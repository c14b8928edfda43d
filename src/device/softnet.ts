// hot
/**
 * softnet_data: what each CPU keeps for networking, and the two sinks that the layers to the right install here.
 *
 *     hardware --napiSchedule--> pollList --net_rx_action--> napi.poll --> deliver()   (stack: netif_receive_skb)
 *     old driver ---------------------------------------------------> enqueue()        (stack: netif_rx, the backlog)
 *
 * Without a stack the sinks of napi/napi_init.ts stand here: netpoll sees the frame, and everything else is dropped.
 */
import { List } from '../base/list.ts';
import type { Cpu } from '../machine/cpu.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { NapiStruct } from './napi_struct.ts';
import type { Qdisc } from './qdisc.ts';
import type { XmitFlusher } from './xmit_flush.ts';

const PROCESSED = 0;
const DROPPED = 1;
const TIME_SQUEEZE = 2;
const RECEIVED_RPS = 3;
const FLOW_LIMIT = 4;
/** Counters of a CPU. */
export const SOFTNET_COUNTERS = 5;

/** Takes a frame in softirq context, and with it the reference; returns NET_RX_SUCCESS or NET_RX_DROP. */
export type ReceiveSink = (skb: SkBuff) => number;

export class Softnet {
  readonly cpu: Cpu;
  /** Instances that have something to poll. */
  readonly pollList = new List<NapiStruct>();
  /** net_rx_action runs on this CPU and will look at pollList again by itself. */
  inNetRxAction = false;
  /** Where NAPI hands frames up. */
  deliver: ReceiveSink;
  /** Where drivers without NAPI put frames, from any context. */
  enqueue: ReceiveSink;
  /** Takes a frame that another CPU is to handle (RPS); false: it goes up here. Installed by the stack when it is wanted. */
  steer: ((skb: SkBuff) => boolean) | null = null;
  /** Interrupts the CPUs that this one has given frames; called at the end of net_rx_action. Installed by the stack. */
  sendIpis: (() => void) | null = null;
  /** Frames that interrupts have left to be freed, linked by `next`, the last one first (`completion_queue`). */
  completionQueue: SkBuff | null = null;
  /** Qdiscs that have frames to send, a singly linked list in order (`output_queue`). */
  outputQueue: Qdisc | null = null;
  outputTail: Qdisc | null = null;
  /** A napi instance is polled on this CPU; transmits may wait for its end (xmit_flush.ts). */
  polling = false;
  flushList: XmitFlusher | null = null;
  /** Depth of devQueueXmit calls from inside a driver's startXmit. */
  xmitRecursion = 0;
  /** The counters below; shared memory where other threads read them. */
  #row: Float64Array = new Float64Array(SOFTNET_COUNTERS);

  /** Frames for this CPU that others had to drop, where they count them themselves. */
  droppedElsewhere: () => number = () => 0;

  constructor(cpu: Cpu, sink: ReceiveSink) {
    this.cpu = cpu;
    this.deliver = sink;
    this.enqueue = sink;
  }

  /** Set-up: from here on the counters are in `row` (SOFTNET_COUNTERS long), as they stand there. */
  useRow(row: Float64Array): void {
    this.#row = row;
  }

  /** Columns of /proc/net/softnet_stat. */
  get processed(): number {
    return this.#row[PROCESSED]!;
  }

  set processed(value: number) {
    this.#row[PROCESSED] = value;
  }

  get dropped(): number {
    return this.#row[DROPPED]!;
  }

  set dropped(value: number) {
    this.#row[DROPPED] = value;
  }

  get timeSqueeze(): number {
    return this.#row[TIME_SQUEEZE]!;
  }

  set timeSqueeze(value: number) {
    this.#row[TIME_SQUEEZE] = value;
  }

  /** Interrupts that other CPUs sent for their frames. */
  get receivedRps(): number {
    return this.#row[RECEIVED_RPS]!;
  }

  set receivedRps(value: number) {
    this.#row[RECEIVED_RPS] = value;
  }

  get flowLimitCount(): number {
    return this.#row[FLOW_LIMIT]!;
  }

  set flowLimitCount(value: number) {
    this.#row[FLOW_LIMIT] = value;
  }
}
