/**
 * What code costs on a simulated CPU, and where its time goes.
 *
 * The default prices are those of a 2.6 GHz server core, rounded: entering and leaving an interrupt costs as much as taking a
 * frame half way up the stack, which is the whole reason for NAPI.
 */
import type { Cpu } from '../machine/cpu.ts';

/** Prices in nanoseconds. */
export interface CpuCosts {
  /** Entry and exit of a hardware interrupt, with the registers read and written in its handler. */
  readonly irqNs: number;
  /** One pass over the raised softirqs. */
  readonly softirqNs: number;
  /** Asking the card once for received frames. */
  readonly pollNs: number;
  /** The driver, per frame received: descriptor, buffer, sk_buff. */
  readonly driverNs: number;
  /** Putting a frame on the backlog. (`netif_rx`) */
  readonly enqueueNs: number;
  /** From netif_receive_skb to the socket, per frame. */
  readonly stackNs: number;
  /** The driver, per frame sent. */
  readonly transmitNs: number;
  /** Switching from one task to another. */
  readonly switchNs: number;
}

export const DEFAULT_COSTS: CpuCosts = {
  irqNs: 2_000,
  softirqNs: 300,
  pollNs: 200,
  driverNs: 700,
  enqueueNs: 300,
  stackNs: 3_500,
  transmitNs: 600,
  switchNs: 1_000,
};

/** Columns of `cpu_time`, as /proc/stat has them; ksoftirqd and turns are parts of `system` there. */
export const CPU_TIMES = ['hardirq', 'softirq', 'ksoftirqd', 'system', 'task'] as const;
export type CpuTimeName = (typeof CPU_TIMES)[number];

const HARDIRQ = 0;
const SOFTIRQ = 1;
const KSOFTIRQD = 2;
const SYSTEM = 3;
export const TASK = 4;

/** Whose time it is that passes now on `cpu`. */
export function timeColumn(cpu: Cpu, inKsoftirqd: boolean, inTask: boolean): number {
  if (cpu.inHardirq) return HARDIRQ;
  if (cpu.inServingSoftirq) return inKsoftirqd ? KSOFTIRQD : SOFTIRQ;
  return inTask && !cpu.inInterrupt ? TASK : SYSTEM;
}
