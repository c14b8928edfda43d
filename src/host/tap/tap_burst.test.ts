// Bursts of a tap port, with io_uring and without: the same frames in the same order, whole, tagged, in pieces, shared.
import { afterEach, describe, expect, it } from 'vitest';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { ip } from '../veth.fixture.ts';
import { createTap, noTap, removeTap } from './tap.fixture.ts';
import { TapPort, type TapPortOptions } from './tap_port.ts';

const ARENA = { slots: 512, reserveBytes: 24 << 20 };
const FRAMES = 200;
const HEADROOM = 64;
const TCI = 0x2005;

describe.skipIf(noTap !== null)(noTap === null ? 'TapPort bursts' : `TapPort bursts (skip: ${noTap})`, () => {
  const executive = new HostExecutive();
  const memory = createHostArena(ARENA);
  const close: (() => void)[] = [];

  afterEach(() => {
    for (const each of close.splice(0).reverse()) each();
    expect(memory.available).toBe(ARENA.slots);
  });

  /** A tap port and, in the kernel's place, a packet port on its interface. */
  function cable(options: TapPortOptions) {
    const name = createTap();
    close.push(() => removeTap(name));
    ip('link', 'set', name, 'txqueuelen', '1000');
    const tap = new TapPort(name, executive, options);
    tap.open(memory, () => {});
    close.push(() => tap.close());
    const peer = openPort(`packet:${name}`, executive, { blocks: 8, blockSize: 64 << 10, retireMs: 1 });
    const peerMemory = createHostArena(ARENA);
    peer.open(peerMemory, () => {});
    close.push(() => peer.close());
    return { tap, peer, peerMemory };
  }

  /** Frame `n`: its number, and bytes that follow from it. */
  function frame(n: number): Uint8Array {
    const bytes = Uint8Array.from({ length: 60 + ((n * 37) % 1400) }, (_, i) => (n * 31 + i * 7) & 0xff);
    bytes.set([2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 7, 0x88, 0xb5, n >> 8, n & 0xff]);
    return bytes;
  }

  for (const options of [{}, { offload: false }, { ioUring: false }, { ioUring: false, offload: false }]) {
    const words = JSON.stringify(options);

    it(`receives what the kernel sends, in order and unchanged: ${words}`, () => {
      const { tap, peer, peerMemory } = cable(options);
      const batch = new FrameBatch(64);
      for (let n = 0; n < FRAMES; n++) {
        const bytes = frame(n);
        peerMemory.bytes.set(bytes, HEADROOM);
        batch.offset[0] = HEADROOM;
        batch.len[0] = bytes.length;
        expect(peer.txBurst(0, batch, 1)).toBe(1);
        peer.txReap(0, batch);
      }
      const got: number[] = [];
      for (let k = tap.rxBurst(0, batch, 64); k > 0; k = tap.rxBurst(0, batch, 64)) {
        for (let i = 0; i < k; i++) {
          const bytes = memory.bytes.slice(batch.offset[i]!, batch.offset[i]! + batch.len[i]!);
          const n = (bytes[14]! << 8) | bytes[15]!;
          // What the kernel says of itself meanwhile is no frame of ours.
          if (bytes[12] === 0x88 && bytes[13] === 0xb5) {
            expect(Buffer.compare(bytes, frame(n))).toBe(0);
            got.push(n);
          }
          memory.release(batch.buf[i]!);
        }
      }
      expect(got).toEqual(Array.from({ length: FRAMES }, (_, n) => n));
      expect(tap.rxBurst(0, batch, 64)).toBe(0);
      expect(tap.counters.get('rx_no_buffer') + tap.counters.get('rx_length_errors')).toBe(0);
    });

    it(`sends bursts of every kind of frame in order, and leaves what is shared as it was: ${words}`, async () => {
      const { tap, peer, peerMemory } = cable(options);
      const batch = new FrameBatch(64, 64);
      const slots = Array.from({ length: 64 }, () => memory.alloc());
      close.push(() => {
        for (const slot of slots) memory.release(slot);
      });
      const got: number[] = [];
      const rx = new FrameBatch(64);
      const drain = async () => {
        for (let quiet = 0; quiet < 3; ) {
          const k = peer.rxBurst(0, rx, 64);
          quiet = k === 0 ? quiet + 1 : 0;
          if (k === 0) await new Promise((resolve) => setTimeout(resolve, 4));
          for (let i = 0; i < k; i++) {
            const bytes = peerMemory.bytes.slice(rx.offset[i]!, rx.offset[i]! + rx.len[i]!);
            const n = (bytes[14]! << 8) | bytes[15]!;
            if (bytes[12] === 0x88 && bytes[13] === 0xb5) {
              expect(Buffer.compare(bytes, frame(n))).toBe(0);
              expect(rx.vlanTci[i]).toBe(n % 5 === 1 ? TCI : -1);
              got.push(n);
            }
            peerMemory.release(rx.buf[i]!);
          }
        }
      };
      for (let first = 0; first < FRAMES; first += 50) {
        let pieces = 0;
        for (let i = 0; i < 50; i++) {
          const n = first + i;
          const bytes = frame(n);
          const at = memory.start(slots[i]!) + (n % 5 === 4 ? 0 : HEADROOM);
          memory.bytes.fill(0xa5, memory.start(slots[i]!), at);
          memory.bytes.set(bytes, at);
          batch.buf[i] = slots[i]!;
          batch.offset[i] = at;
          batch.len[i] = bytes.length;
          batch.cookie[i] = n;
          batch.vlanTci[i] = n % 5 === 1 ? TCI : -1;
          batch.pieces[i] = 0;
          if (n % 5 === 2) {
            batch.pieces[i] = 1;
            batch.pieceOffset[pieces] = at + 40;
            batch.pieceLen[pieces++] = bytes.length - 40;
          }
          if (n % 5 === 3) memory.get(slots[i]!);
        }
        const tags: number[] = [];
        let taken = 0;
        const done = new FrameBatch(64);
        while (taken < 50) {
          taken += tap.txBurst(0, batch, 50);
          for (let k = tap.txReap(0, done); k > 0; k = tap.txReap(0, done)) tags.push(...done.cookie.slice(0, k));
          expect(taken).toBe(50);
        }
        expect(tags.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => first + i));
        for (let i = 3; i < 50; i += 5) {
          const start = memory.start(slots[i]!);
          expect(memory.bytes.slice(start, start + HEADROOM).every((byte) => byte === 0xa5)).toBe(true);
          memory.release(slots[i]!);
        }
        await drain();
      }
      expect(got).toEqual(Array.from({ length: FRAMES }, (_, n) => n));
      expect([tap.counters.get('tx_frames'), tap.counters.get('tx_errors')]).toEqual([FRAMES, 0]);
    });
  }

  it('has every frame of a burst counted where the interface is down', () => {
    const { tap } = cable({});
    ip('link', 'set', tap.interfaceName, 'down');
    const batch = new FrameBatch(64);
    const slot = memory.alloc();
    batch.buf.fill(slot);
    batch.offset.fill(memory.start(slot) + HEADROOM);
    batch.len.fill(60);
    expect(tap.txBurst(0, batch, 40)).toBe(40);
    expect([tap.counters.get('tx_errors'), tap.counters.get('tx_frames')]).toEqual([40, 0]);
    memory.release(slot);
  });

  it('says nothing where it got what it wanted', () => {
    expect(cable({}).tap.notices).toEqual([]);
  });
});
