// hot
/**
 * Where the rest of a datagram goes that does not fit into its slot, because it is several in one (UDP_GRO): 64 KiB behind each message.
 *
 *     message i:  | slot i: the first bytes | tail i: what follows |
 *
 * Tails are copied from and never handed up. They lie in the arena, which is mapped: untouched ones cost no memory.
 */
import type { HostArena, RingArea } from '../arena.ts';

export const TAIL_SIZE = 64 << 10;

/** Set-up: takes memory for `count` tails; null: the arena has no such area left. */
export function openTails(memory: HostArena, count: number): UdpTails | null {
  try {
    return new UdpTails(memory, memory.takeRing(count * TAIL_SIZE, TAIL_SIZE, noFrame));
  } catch {
    return null;
  }
}

export class UdpTails {
  readonly #memory: HostArena;
  readonly #area: RingArea;

  constructor(memory: HostArena, area: RingArea) {
    this.#memory = memory;
    this.#area = area;
  }

  /** Of tail `i`. */
  addressOf(i: number): number {
    return this.#area.at + i * TAIL_SIZE;
  }

  /** Copies `len` bytes at `from` of message `i` to `to`; its first `room` bytes lie at `head`. Positions in the arena. */
  copy(i: number, from: number, to: number, len: number, head: number, room: number): void {
    const { bytes } = this.#memory;
    const inHead = from < room ? Math.min(len, room - from) : 0;
    if (inHead > 0) bytes.copyWithin(to, head + from, head + from + inHead);
    if (inHead === len) return;
    const tail = this.#area.offset + i * TAIL_SIZE + from + inHead - room;
    bytes.copyWithin(to + inHead, tail, tail + len - inHead);
  }

  /** Gives the memory back. */
  close(): void {
    this.#memory.giveRing(this.#area, 0);
  }
}

function noFrame(): void {}
