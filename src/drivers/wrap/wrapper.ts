/**
 * A Port around a Port: passes everything on. What wants to see or change frames on their way extends it, and can be put around
 * another one: pcap around faults around a card.
 *
 *     nic driver --> tracer --> faults --> sim:0          wrappers compose from the outside in
 */
import type { Counters } from '../../base/counters.ts';
import { NETIF_F_FRAGLIST, NETIF_F_SG } from '../../device/features.ts';
import type { Arena } from '../../skb/arena.ts';
import type { FrameBatch, Port, PortCaps, PortRxMode, PortTuning } from '../nic/port.ts';

/** The port's abilities, less those for frames in pieces: for who looks at the bytes of what is sent. */
export function capsInOnePiece(caps: PortCaps): PortCaps {
  return { ...caps, features: caps.features & ~(NETIF_F_SG | NETIF_F_FRAGLIST) };
}

export class PortWrapper implements Port {
  /** The port inside. */
  readonly inner: Port;
  /** The port's memory while it is open; what lies in a batch is read here. */
  protected arena: Arena | null = null;

  constructor(inner: Port) {
    this.inner = inner;
  }

  get name(): string {
    return this.inner.name;
  }

  get caps(): PortCaps {
    return this.inner.caps;
  }

  get counters(): Counters {
    return this.inner.counters;
  }

  open(memory: Arena, irq: (queue: number) => void, linkChanged?: () => void): void {
    this.inner.open(memory, irq, linkChanged);
    this.arena = memory;
  }

  rxBurst(queue: number, out: FrameBatch, limit: number): number {
    return this.inner.rxBurst(queue, out, limit);
  }

  txBurst(queue: number, batch: FrameBatch, n: number): number {
    return this.inner.txBurst(queue, batch, n);
  }

  txReap(queue: number, done: FrameBatch): number {
    return this.inner.txReap(queue, done);
  }

  irqEnable(queue: number, on: boolean): boolean {
    return this.inner.irqEnable(queue, on);
  }

  get tuning(): PortTuning | undefined {
    return this.inner.tuning;
  }

  setRxMode(mode: PortRxMode): void {
    this.inner.setRxMode?.(mode);
  }

  setAddress(mac: Uint8Array): void {
    this.inner.setAddress?.(mac);
  }

  link(): boolean {
    return this.inner.link();
  }

  close(): void {
    this.inner.close();
  }
}
