// hot
/**
 * Who is bound to which UDP port (the kernel's udp_table): chains in an array that the port's low bits index.
 *
 *     slot[port & 255] --> { port, socket, next } --> { ... } --> null
 *
 * Two Maps asked once a frame, here and in stack/packet_type.ts, were a tenth of the way from the driver to a socket.
 */
import type { UdpBinding } from './udp.ts';

const SLOTS = 256;

interface UdpEntry {
  readonly port: number;
  readonly socket: UdpBinding;
  next: UdpEntry | null;
}

export class UdpTable {
  readonly #slots: (UdpEntry | null)[] = new Array<UdpEntry | null>(SLOTS).fill(null);
  /** The socket of port 0: it gets what no other one wants. */
  #any: UdpBinding | null = null;

  /** The socket bound to just this port. */
  get(port: number): UdpBinding | null {
    if (port === 0) return this.#any;
    let entry = this.#slots[port & (SLOTS - 1)] ?? null;
    while (entry !== null && entry.port !== port) entry = entry.next;
    return entry === null ? null : entry.socket;
  }

  /** The socket that a datagram to `port` belongs to. */
  lookup(port: number): UdpBinding | null {
    return this.get(port) ?? this.#any;
  }

  /** The port must be free. */
  add(port: number, socket: UdpBinding): void {
    if (port === 0) {
      this.#any = socket;
      return;
    }
    const slot = port & (SLOTS - 1);
    this.#slots[slot] = { port, socket, next: this.#slots[slot] ?? null };
  }

  remove(port: number): void {
    if (port === 0) {
      this.#any = null;
      return;
    }
    const slot = port & (SLOTS - 1);
    let before: UdpEntry | null = null;
    for (let entry = this.#slots[slot] ?? null; entry !== null; before = entry, entry = entry.next) {
      if (entry.port !== port) continue;
      if (before === null) this.#slots[slot] = entry.next;
      else before.next = entry.next;
      return;
    }
  }
}
