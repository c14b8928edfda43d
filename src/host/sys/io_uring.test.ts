// Bursts through an io_uring to real descriptors: what comes back, what does not wait, what is refused.
import { openSync } from 'node:fs';
import { constants } from 'node:os';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { EAGAIN } from './errno.ts';
import { IORING_OP_READ, IORING_OP_WRITE, IORING_OP_WRITEV, type IoUring, openIoUring } from './io_uring.ts';
import { libc } from './libc.ts';
import { type Pinned, pinned, writeWord } from './pinned.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.ts';

const { EINVAL, ECANCELED } = constants.errno;
const IORING_OP_POLL_ADD = 6;
const LOOPBACK = Buffer.from([2, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

/** Why there is no ring here; null: there is one. */
function noRing(): string | null {
  const fd = openSync('/dev/null', 'r+');
  try {
    openIoUring(fd, 2, IORING_OP_READ).close();
    return null;
  } catch (error) {
    return (error as Error).message;
  } finally {
    libc().close(fd);
  }
}

const missing = noRing();

describe.skipIf(missing !== null)(missing === null ? 'IoUring' : `IoUring (skip: ${missing})`, () => {
  const rings: IoUring[] = [];
  const fds: number[] = [];

  afterEach(() => {
    for (const ring of rings.splice(0)) ring.close();
    for (const fd of fds.splice(0)) libc().close(fd);
  });

  function ringOf(fd: number, entries: number): IoUring {
    const ring = openIoUring(fd, entries, IORING_OP_READ);
    rings.push(ring);
    return ring;
  }

  /** A bound socket that sends to itself. */
  function loop(): number {
    const fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'test', '');
    fds.push(fd);
    expect(libc().bind(fd, LOOPBACK, 16)).toBe(0);
    const name = Buffer.alloc(16);
    const length = Buffer.from([16, 0, 0, 0]);
    libc().getsockname(fd, name, length);
    expect(libc().connect(fd, name, 16)).toBe(0);
    return fd;
  }

  function put(ring: IoUring, i: number, opcode: number, memory: Pinned, offset: number, len: number): void {
    const at = memory.at + offset;
    ring.put(i, opcode, (at % 2 ** 32) | 0, Math.floor(at / 2 ** 32), len);
  }

  it('writes and reads bursts of any size, in order, around the ring', () => {
    const fd = loop();
    const ring = ringOf(fd, 8);
    const from = pinned(8 * 64);
    const to = pinned(8 * 64);
    let next = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), (n) => {
        const sent: number[] = [];
        for (let i = 0; i < n; i++) {
          sent.push(next & 0xff);
          from.bytes.fill(next++ & 0xff, i * 64, i * 64 + 64);
          put(ring, i, IORING_OP_WRITE, from, i * 64, 1 + i);
        }
        expect(ring.submit(n)).toBe(n);
        expect(Array.from(ring.results.slice(0, n))).toEqual(sent.map((_, i) => 1 + i));
        for (let i = 0; i < n; i++) put(ring, i, IORING_OP_READ, to, i * 64, 64);
        expect(ring.submit(n)).toBe(n);
        expect(Array.from(ring.results.slice(0, n))).toEqual(sent.map((_, i) => 1 + i));
        expect(sent.map((_, i) => to.bytes[i * 64])).toEqual(sent);
      }),
    );
    expect(ring.broken).toBe(false);
  });

  it('does not wait for what is not there, and reads what came first', () => {
    const fd = loop();
    const ring = ringOf(fd, 4);
    const memory = pinned(4 * 64);
    const read = () => {
      for (let i = 0; i < 4; i++) put(ring, i, IORING_OP_READ, memory, i * 64, 64);
      expect(ring.submit(4)).toBe(4);
      return Array.from(ring.results);
    };
    expect(read()).toEqual([-EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN]);
    for (const len of [7, 9]) libc().sendto(fd, Buffer.alloc(len), len, 0, null, 0);
    expect(read()).toEqual([7, 9, -EAGAIN, -EAGAIN]);
    expect(ring.broken).toBe(false);
  });

  it('gives each request its own error, and does the others', () => {
    const fd = loop();
    const ring = ringOf(fd, 4);
    const memory = pinned(64);
    const vector = pinned(32);
    writeWord(vector.view, 0, memory.at);
    vector.view.setUint32(8, 3, true);
    writeWord(vector.view, 16, memory.at + 10);
    vector.view.setUint32(24, 4, true);
    put(ring, 0, IORING_OP_WRITE, memory, 0, 5);
    put(ring, 1, 200, memory, 0, 5);
    put(ring, 2, IORING_OP_WRITEV, vector, 0, 2);
    expect(ring.submit(3)).toBe(3);
    expect(Array.from(ring.results.slice(0, 3))).toEqual([5, -EINVAL, 7]);
  });

  it('cancels what would wait all the same, before the call returns, and says that it is broken', () => {
    const fd = loop();
    const ring = ringOf(fd, 4);
    const memory = pinned(64);
    put(ring, 0, IORING_OP_WRITE, memory, 0, 5);
    // Waits for an error of the socket, for ever.
    ring.put(1, IORING_OP_POLL_ADD, 0, 0, 0);
    put(ring, 2, IORING_OP_READ, memory, 0, 64);
    expect(ring.submit(3)).toBe(3);
    expect(Array.from(ring.results.slice(0, 3))).toEqual([5, -ECANCELED, 5]);
    expect(ring.broken).toBe(true);
  });

  it('does not hold the descriptor', () => {
    const fd = loop();
    const name = Buffer.alloc(16);
    libc().getsockname(fd, name, Buffer.from([16, 0, 0, 0]));
    const ring = ringOf(fd, 2);
    ring.close();
    ring.close();
    libc().close(fds.pop()!);
    const again = openSocket(AF_INET, SOCK_DGRAM, 0, 'test', '');
    fds.push(again);
    expect(libc().bind(again, name, 16)).toBe(0);
  });

  it('says why there is none', () => {
    const refused = (fd: number, entries: number): SetupError => {
      try {
        ringOf(fd, entries);
      } catch (error) {
        if (error instanceof SetupError) return error;
        throw error;
      }
      throw new Error('nothing was thrown');
    };
    expect(refused(0, 0)).toMatchObject({
      code: 'ERR_NETPOLL_NO_IO_URING',
      message: expect.stringContaining('older than 6.0'),
    });
  });
});
