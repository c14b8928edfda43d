// The queue in front of a QEMU's socket; here the socket is a number of frames for which there is room.
import { describe, expect, it } from 'vitest';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createHostArena, type HostArena } from '../arena.ts';
import { DEPTH, FRAME_MAX, FrameQueue } from './frame_queue.ts';

const EPIPE = 32;
const memory = createHostArena({ slots: 8, reserveBytes: 0 });

/** Takes `room` frames; refuses those of 666 bytes; is lost where it is told so. */
class Socket extends FrameQueue {
  room = Number.POSITIVE_INFINITY;
  breaks = false;
  pushes = 0;
  readonly gone: number[] = [];

  constructor(arena: HostArena) {
    super(arena);
  }

  protected override place(): void {}

  protected override push(): void {
    this.pushes++;
    for (; this.head !== this.tail; ) {
      if (this.breaks) {
        this.lost = EPIPE;
        return;
      }
      if (this.room === 0) {
        this.blocked = true;
        return;
      }
      const len = this.lens[this.head & (DEPTH - 1)]!;
      if (len === 666) {
        this.refused();
        continue;
      }
      this.room--;
      this.gone.push(len);
      this.sent();
    }
  }
}

function batchOf(lens: readonly number[], firstTag = 0): FrameBatch {
  const batch = new FrameBatch(Math.max(1, lens.length));
  lens.forEach((len, i) => {
    batch.len[i] = len;
    batch.cookie[i] = firstTag + i;
  });
  return batch;
}

function tags(queue: FrameQueue): number[] {
  const done = new FrameBatch(64);
  const found: number[] = [];
  for (let n = queue.reap(done); n > 0; n = queue.reap(done)) found.push(...done.cookie.slice(0, n));
  return found.sort((a, b) => a - b);
}

describe('frames that wait for a QEMU', () => {
  it('are those that an Ethernet carries; others are errors, and finished', () => {
    const queue = new Socket(memory);
    expect(queue.burst(batchOf([13, 14, FRAME_MAX, FRAME_MAX + 1]), 4, true)).toBe(4);
    expect([queue.gone, queue.errors, queue.frames, queue.bytes]).toEqual([[14, FRAME_MAX], 2, 2, 14 + FRAME_MAX]);
    expect(tags(queue)).toEqual([0, 1, 2, 3]);
  });

  it('are finished and counted where nobody is there, and where the kernel does not want one', () => {
    const queue = new Socket(memory);
    expect(queue.burst(batchOf([60, 13]), 2, false)).toBe(2);
    expect([queue.dropped, queue.errors]).toEqual([2, 0]);
    expect(queue.burst(batchOf([60, 666, 70], 2), 3, true)).toBe(3);
    expect([queue.gone, queue.errors, queue.frames, tags(queue)]).toEqual([[60, 70], 1, 2, [0, 1, 2, 3, 4]]);
  });

  it('wait for room without asking again, and go on when there is some', () => {
    const queue = new Socket(memory);
    queue.room = 1;
    queue.burst(batchOf([60, 61]), 2, true);
    expect([queue.blocked, queue.waiting, queue.pushes]).toEqual([true, 1, 1]);
    queue.burst(batchOf([62], 2), 1, true);
    expect([queue.waiting, queue.pushes]).toEqual([2, 1]);
    queue.room = 5;
    queue.flush();
    expect([queue.blocked, queue.waiting, queue.gone, tags(queue)]).toEqual([false, 0, [60, 61, 62], [0, 1, 2]]);
  });

  it('are no more than the queue holds', () => {
    const queue = new Socket(memory);
    queue.room = 0;
    const many = batchOf(Array<number>(DEPTH + 9).fill(60));
    expect([queue.burst(many, DEPTH + 9, true), queue.burst(many, 1, true), queue.waiting]).toEqual([DEPTH, 0, DEPTH]);
  });

  it('are no more than can be told of, once they have left', () => {
    const queue = new Socket(memory);
    let taken = 0;
    for (let n = 1; n > 0 && taken < 5000; taken += n) {
      n = queue.burst(batchOf(Array<number>(30).fill(60), taken), 30, true);
    }
    expect(queue.done).toBe(taken);
    expect(tags(queue)).toEqual([...Array(taken).keys()]);
    expect(queue.burst(batchOf([60]), 1, true)).toBe(1);
  });

  it('are finished and counted when the peer is gone, and the next one finds nothing of that', () => {
    const queue = new Socket(memory);
    queue.room = 0;
    queue.burst(batchOf([60, 61]), 2, true);
    queue.breaks = true;
    queue.flush();
    expect(queue.lost).toBe(EPIPE);
    queue.blocked = true;
    queue.drop();
    expect([queue.lost, queue.blocked, queue.dropped, queue.waiting, tags(queue)]).toEqual([0, false, 2, 0, [0, 1]]);
    queue.breaks = false;
    queue.room = 9;
    queue.burst(batchOf([62]), 1, true);
    expect(queue.gone).toEqual([62]);
  });
});
