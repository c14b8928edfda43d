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
  /** Columns of /proc/net/softnet_stat. */
  processed = 0;
  dropped = 0;
  timeSqueeze = 0;
  /** Interrupts that other CPUs sent for their frames. */
  receivedRps = 0;
  flowLimitCount = 0;

  constructor(cpu: Cpu, sink: ReceiveSink) {
    this.cpu = cpu;
    this.deliver = sink;
    this.enqueue = sink;
  }
}
