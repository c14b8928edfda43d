// hot
/**
 * The transmit half of a qemu port: frames wait here, where they lie in the arena, until the peer's socket has taken them.
 *
 *     burst --> | next | ... | last |  --flush--> socket          finished tags --> reap
 *                 ^head        ^tail                              the kernel has no room: they wait, `blocked`
 *
 *   1. A frame's memory stays the port's until its last byte is with the kernel. No copy is made.
 *   2. At most DEPTH frames wait: then less is taken, the driver stops, and room in the socket is an interrupt that makes it go on.
 *   3. The peer is lost, or there is none: what waits is finished and counted (`dropped`), nobody waits for ever.
 *
 * How frames are laid out for the kernel, and what it has taken, is the subclass's: a stream or datagrams.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import type { HostArena } from '../arena.ts';
import { DoneTags } from '../done_tags.ts';

/** Frames that wait at most; a power of two. */
export const DEPTH = 128;
/** What QEMU takes. (`NET_BUFSIZE`) */
export const FRAME_MAX = 4096 + 65536;

/** An end that is closed is an errno, not a signal. */
export const MSG_NOSIGNAL = 0x4000;

export abstract class FrameQueue {
  frames = 0;
  bytes = 0;
  /** Frames that no wire carries, or that the kernel refused for good. */
  errors = 0;
  /** Frames for which there was no peer. */
  dropped = 0;
  /** The kernel had no room: it is to be asked when it has. */
  blocked = false;
  /** The errno with which the peer was lost; 0: it is there. */
  lost = 0;
  /** The next frame to go and the one behind the last, as counts for ever. */
  protected head = 0;
  protected tail = 0;
  protected readonly lens = new Int32Array(DEPTH);
  protected readonly memory: HostArena;
  readonly #tags = new Int32Array(DEPTH);
  readonly #done = new DoneTags();

  constructor(memory: HostArena) {
    this.memory = memory;
  }

  /** Lays frame `slot`, `len` bytes at `at` of the arena, out for the kernel. */
  protected abstract place(slot: number, at: number, len: number): void;
  /** Gives the kernel what waits; calls `sent` or `refused` for each that is over, sets `blocked` or `lost`. */
  protected abstract push(): void;

  /** Finished frames that wait to be reaped. */
  get done(): number {
    return this.#done.count;
  }

  /** Frames that wait for room. */
  get waiting(): number {
    return this.tail - this.head;
  }

  /** Takes the first frames of batch[0..n) and gives how many. `up`: there is a peer. */
  burst(batch: FrameBatch, n: number, up: boolean): number {
    const limit = Math.min(n, DEPTH - this.waiting, this.#done.room - this.waiting);
    for (let i = 0; i < limit; i++) {
      const len = batch.len[i]!;
      if (!up || len < ETH_HLEN || len > FRAME_MAX) {
        if (up) this.errors++;
        else this.dropped++;
        this.#done.putTag(batch.cookie[i]!);
        continue;
      }
      const slot = this.tail & (DEPTH - 1);
      this.#tags[slot] = batch.cookie[i]!;
      this.lens[slot] = len;
      this.place(slot, batch.offset[i]!, len);
      this.tail++;
    }
    if (this.head !== this.tail && !this.blocked) this.push();
    return limit;
  }

  /** There may be room again. */
  flush(): void {
    this.blocked = false;
    if (this.head !== this.tail) this.push();
  }

  reap(done: FrameBatch): number {
    return this.#done.reap(done);
  }

  /** The peer is gone: what waits is finished. */
  drop(): void {
    while (this.head !== this.tail) {
      this.dropped++;
      this.#finish();
    }
    this.blocked = false;
    this.lost = 0;
  }

  /** The frame at the head is with the kernel. */
  protected sent(): void {
    this.frames++;
    this.bytes += this.lens[this.head & (DEPTH - 1)]!;
    this.#finish();
  }

  /** The kernel does not want the frame at the head. */
  protected refused(): void {
    this.errors++;
    this.#finish();
  }

  #finish(): void {
    this.#done.putTag(this.#tags[this.head & (DEPTH - 1)]!);
    this.head++;
  }
}
