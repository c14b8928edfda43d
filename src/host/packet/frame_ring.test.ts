/** The ring of slots against the ring of blocks on the same wire, and what only it does: tell of each frame at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { createVeth, noVeth, type Veth } from '../veth.fixture.ts';
import type { PacketPort, PacketPortOptions } from './packet_port.ts';

const SMALL = { blocks: 8, blockSize: 32 << 10 };
const SLOTS = (8 * (32 << 10)) / 2048;
const TYPE = 0x88b5;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Number `seed`, of `len` bytes, with a tag if there is one. */
function frame(seed: number, len: number, tag: readonly number[] = []): Uint8Array {
  const bytes = Uint8Array.from({ length: len }, (_, i) => seed * 31 + i * 7);
  bytes.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, ...tag, TYPE >> 8, TYPE & 255]);
  new DataView(bytes.buffer).setUint32(14 + tag.length, seed);
  return bytes;
}

describe.skipIf(noVeth !== null)(`ring of slots${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  const executive = new HostExecutive();
  const memory = createHostArena({ slots: 256, reserveBytes: 8 << 20 });
  const batch = new FrameBatch(64);
  const open: PacketPort[] = [];
  beforeAll(() => {
    veth = createVeth();
  });
  afterAll(() => veth.remove());

  function port(name: string, options: PacketPortOptions, irq: () => void = () => {}): PacketPort {
    const made = openPort(`packet:${name}`, executive, { ...SMALL, ...options }) as PacketPort;
    made.open(memory, irq);
    open.push(made);
    return made;
  }

  function closeAll(): void {
    for (const each of open.splice(0)) each.close();
  }

  function send(from: PacketPort, bytes: Uint8Array): void {
    const buf = memory.alloc();
    memory.bytes.set(bytes, memory.start(buf) + 64);
    batch.offset[0] = memory.start(buf) + 64;
    batch.len[0] = bytes.length;
    batch.vlanTci[0] = -1;
    expect(from.txBurst(0, batch, 1)).toBe(1);
    while (from.txReap(0, batch) > 0);
    memory.release(buf);
  }

  /** All that is there of our type, each as text of its tag and its bytes. */
  function heard(by: PacketPort): string[] {
    const all: string[] = [];
    for (let n = by.rxBurst(0, batch, 64); n > 0; n = by.rxBurst(0, batch, 64)) {
      for (let i = 0; i < n; i++) {
        const at = batch.offset[i]!;
        const bytes = memory.bytes.slice(at, at + batch.len[i]!);
        all.push(`${batch.vlanTci[i]} ${batch.csum[i]} ${Buffer.from(bytes).toString('hex')}`);
        memory.release(batch.buf[i]!);
      }
    }
    return all.filter((text) => text.includes('88b5'));
  }

  it('hands up what the ring of blocks does: bytes, tags, order', async () => {
    const a = port(veth.a, {});
    const blocks = port(veth.b, {});
    const slots = port(veth.b, { wakePerFrame: true });
    const [one, other]: [string[], string[]] = [[], []];
    for (let seed = 0; seed < 400; seed++) {
      const tag = seed % 3 === 0 ? [0x81, 0, 0x20, seed & 255] : seed % 7 === 0 ? [0x88, 0xa8, 0, 5] : [];
      send(a, frame(seed, 60 + ((seed * 37) % 1440), tag));
      if (seed % 40 !== 39) continue;
      await pause(3);
      one.push(...heard(blocks));
      other.push(...heard(slots));
    }
    expect(one.length).toBe(400);
    expect(other).toEqual(one);
    expect(slots.counters.toJSON()).toMatchObject({ rx_dropped_kernel: 0, rx_length_errors: 0 });
    closeAll();
  });

  it('interrupts for one frame at once, where the ring of blocks waits for its time-out', async () => {
    const a = port(veth.a, {});
    const took = async (wakePerFrame: boolean): Promise<number> => {
      let atMs = 0;
      const b = port(veth.b, { wakePerFrame, retireMs: 8 }, () => {
        atMs = performance.now();
      });
      const waits: number[] = [];
      for (let seed = 0; seed < 15; seed++) {
        b.irqEnable(0, true);
        atMs = 0;
        const began = performance.now();
        send(a, frame(seed, 60));
        while (atMs === 0) await new Promise((resolve) => setImmediate(resolve));
        waits.push(atMs - began);
        b.irqEnable(0, false);
        heard(b);
      }
      b.close();
      open.pop();
      return waits.sort((x, y) => x - y)[7]!;
    };
    const [slot, block] = [await took(true), await took(false)];
    expect(slot).toBeLessThan(block / 2);
    closeAll();
  });

  it('does not interrupt again for a frame that is held and was seen', async () => {
    const a = port(veth.a, {});
    let fired = 0;
    const b = port(veth.b, { wakePerFrame: true }, () => fired++);
    send(a, frame(1, 60));
    await pause(3);
    const held: number[] = [];
    for (let n = b.rxBurst(0, batch, 64); n > 0; n = b.rxBurst(0, batch, 64)) {
      for (let i = 0; i < n; i++) held.push(batch.buf[i]!);
    }
    expect(b.irqEnable(0, true)).toBe(false);
    await pause(10);
    expect([held.length, fired]).toEqual([1, 0]);
    send(a, frame(2, 60));
    for (let i = 0; i < 100 && fired === 0; i++) await pause(2);
    expect(fired).toBe(1);
    for (const buf of held) memory.release(buf);
    closeAll();
  });

  it('stops where a frame is held, counts what the kernel drops there, and goes on when it is released', async () => {
    const a = port(veth.a, {});
    const b = port(veth.b, { wakePerFrame: true });
    send(a, frame(0, 60));
    await pause(2);
    expect(b.rxBurst(0, batch, 1)).toBe(1);
    const held = batch.buf[0]!;
    for (let seed = 1; seed <= SLOTS + 20; seed++) send(a, frame(seed, 60));
    await pause(3);
    const got = heard(b).length;
    expect(got).toBe(SLOTS - 1);
    memory.release(held);
    for (let seed = 0; seed < 10; seed++) send(a, frame(seed, 60));
    await pause(3);
    expect(heard(b).length).toBe(10);
    expect(b.counters.toJSON()).toMatchObject({ rx_frames: 1 + SLOTS - 1 + 10, rx_dropped_kernel: 21 });
    closeAll();
  });

  it('gives its memory back, also what is held beyond its closing', async () => {
    const before = memory.available;
    const a = port(veth.a, {});
    for (let round = 0; round < 30; round++) {
      const b = port(veth.b, { wakePerFrame: true });
      send(a, frame(round, 60));
      await pause(1);
      const n = b.rxBurst(0, batch, 64);
      const bufs = [...batch.buf.subarray(0, n)];
      b.close();
      open.pop();
      for (const buf of bufs) memory.release(buf);
    }
    closeAll();
    expect(memory.available).toBe(before);
  });
});
