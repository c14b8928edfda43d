/**
 * What every Port must do, as one list of cases for all of them, in both worlds.
 *
 *     portCases('packet port', makeRig, { 'name of a case': 'why it cannot hold here' })
 *
 * A rig is a Port which is not open yet, its memory, and the other end of its wire: `inject` makes the other end send a
 * frame, `sent` gives what it has heard. `settle` lets that much time pass (virtual or real) that whatever is on its way
 * has arrived. A skip names a case and the reason; a skip of an unknown case fails.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FrameBatch, type Port } from '../../src/drivers/nic/port.ts';
import type { Arena } from '../../src/skb/arena.ts';

export interface PortRig {
  readonly port: Port;
  readonly memory: Arena;
  /** A frame that this wire carries, made from `seed`, about `len` bytes long (60 to 1400). */
  frame(seed: number, len: number): Uint8Array;
  inject(bytes: Uint8Array): void;
  sent(): Uint8Array[];
  /** True if `there` is what comes out of the wire for `here`; byte for byte if absent. */
  same?(here: Uint8Array, there: Uint8Array): boolean;
  settle(): Promise<void>;
  close(): void | Promise<void>;
}

const PAYLOAD_ROOM = 64;
/** More frames than any port's transmit ring and unreaped tags together. */
const MANY = 2048;

type Case = (use: Use) => Promise<void>;

/** A rig in use: what the cases do with it. */
class Use {
  readonly rig: PortRig;
  readonly port: Port;
  readonly memory: Arena;
  readonly out = new FrameBatch(64);
  interrupts = 0;

  constructor(rig: PortRig) {
    this.rig = rig;
    this.port = rig.port;
    this.memory = rig.memory;
  }

  /** Opens with a handler that masks, as a driver's does. */
  open(): void {
    this.port.open(this.memory, (queue) => {
      this.interrupts++;
      this.port.irqEnable(queue, false);
    });
  }

  bytes(i: number): Uint8Array {
    return this.memory.bytes.slice(this.out.offset[i], this.out.offset[i]! + this.out.len[i]!);
  }

  expectSame(here: Uint8Array, there: Uint8Array): void {
    if (this.rig.same !== undefined) expect(this.rig.same(here, there)).toBe(true);
    else expect(there).toEqual(here);
  }

  /** One frame into the arena and into entry `i` of a batch; the reference stays ours. */
  place(batch: FrameBatch, i: number, bytes: Uint8Array, cookie: number): number {
    const buf = this.memory.alloc();
    expect(buf).toBeGreaterThanOrEqual(0);
    const start = this.memory.start(buf);
    this.memory.bytes.set(bytes, start + PAYLOAD_ROOM);
    batch.buf[i] = buf;
    batch.offset[i] = start + PAYLOAD_ROOM;
    batch.len[i] = bytes.length;
    batch.end[i] = start + this.memory.slotSize;
    batch.cookie[i] = cookie;
    batch.csum[i] = 0;
    batch.vlanTci[i] = -1;
    return buf;
  }

  /** Settles and receives until `n` frames came or patience ends; `take` owns each. */
  async receive(n: number, take: (i: number) => void = (i) => this.memory.release(this.out.buf[i]!)): Promise<number> {
    let got = 0;
    for (let patience = 20; got < n && patience > 0; patience--) {
      await this.rig.settle();
      for (let burst = this.port.rxBurst(0, this.out, 64); burst > 0; burst = this.port.rxBurst(0, this.out, 64)) {
        for (let i = 0; i < burst; i++) take(i);
        got += burst;
      }
    }
    return got;
  }

  async reap(n: number): Promise<number[]> {
    const tags: number[] = [];
    for (let patience = 20; tags.length < n && patience > 0; patience--) {
      await this.rig.settle();
      for (let got = this.port.txReap(0, this.out); got > 0; got = this.port.txReap(0, this.out)) {
        tags.push(...this.out.cookie.slice(0, got));
      }
    }
    return tags;
  }
}

const CASES: Record<string, Case> = {
  async 'says what it is: a name, an address of six bytes, queues, headroom'({ port }) {
    expect(port.name).toMatch(/^[a-z]+:/);
    expect(port.caps.mac.length).toBe(6);
    expect(port.caps.rxQueues).toBeGreaterThanOrEqual(1);
    expect(port.caps.txQueues).toBeGreaterThanOrEqual(1);
    expect(port.caps.headroom).toBeGreaterThanOrEqual(32);
    expect(port.caps.mtu).toBeGreaterThanOrEqual(68);
  },

  async 'hands frames up in order and whole, each with one reference and headroom'(use) {
    use.open();
    const frames = Array.from({ length: 40 }, (_, i) => use.rig.frame(i, 60 + i * 30));
    for (const frame of frames) use.rig.inject(frame);
    let next = 0;
    const got = await use.receive(40, (i) => {
      const buf = use.out.buf[i]!;
      use.expectSame(frames[next++]!, use.bytes(i));
      expect(use.memory.refs(buf)).toBe(1);
      expect(use.out.offset[i]! - use.memory.start(buf)).toBeGreaterThanOrEqual(use.port.caps.headroom);
      expect(use.out.end[i]).toBeGreaterThanOrEqual(use.out.offset[i]! + use.out.len[i]!);
      use.memory.release(buf);
    });
    expect(got).toBe(40);
  },

  async 'gives no more than it is asked for, and the rest when asked again'(use) {
    use.open();
    for (let i = 0; i < 10; i++) use.rig.inject(use.rig.frame(i, 80));
    await use.rig.settle();
    let got = 0;
    for (let patience = 200; got < 10 && patience > 0; patience--) {
      const burst = use.port.rxBurst(0, use.out, 3);
      expect(burst).toBeLessThanOrEqual(3);
      for (let i = 0; i < burst; i++) use.memory.release(use.out.buf[i]!);
      got += burst;
      if (burst === 0) await use.rig.settle();
    }
    expect(got).toBe(10);
    expect(use.port.rxBurst(0, use.out, 0)).toBe(0);
  },

  async 'interrupts when a frame comes while unmasked, and not while masked'(use) {
    use.open();
    use.rig.inject(use.rig.frame(1, 60));
    await use.rig.settle();
    expect(use.interrupts).toBe(0);
    await use.receive(1);
    expect(use.port.irqEnable(0, true)).toBe(false);
    await use.rig.settle();
    expect(use.interrupts).toBe(0);
    use.rig.inject(use.rig.frame(2, 60));
    await use.rig.settle();
    expect(use.interrupts).toBe(1);
    use.rig.inject(use.rig.frame(3, 60));
    await use.rig.settle();
    expect(use.interrupts).toBe(1);
    expect(await use.receive(2)).toBe(2);
  },

  async 'loses no wake-up: work that came while masked is told on unmasking, or interrupts'(use) {
    use.open();
    for (let round = 0; round < 5; round++) {
      use.interrupts = 0;
      use.port.irqEnable(0, false);
      use.rig.inject(use.rig.frame(round, 60));
      await use.rig.settle();
      const waiting = use.port.irqEnable(0, true);
      await use.rig.settle();
      expect(waiting || use.interrupts === 1).toBe(true);
      expect(await use.receive(1)).toBe(1);
    }
  },

  async 'sends frames in order and whole, and gives every tag back once'(use) {
    use.open();
    await use.rig.settle();
    use.rig.sent();
    const batch = new FrameBatch(40);
    const frames = Array.from({ length: 40 }, (_, i) => use.rig.frame(i, 60 + i * 30));
    const bufs = frames.map((frame, i) => use.place(batch, i, frame, 100 + i));
    expect(use.port.txBurst(0, batch, 40)).toBe(40);
    const tags = await use.reap(40);
    expect(tags.sort((a, b) => a - b)).toEqual(frames.map((_, i) => 100 + i));
    for (const buf of bufs) use.memory.release(buf);
    const heard: Uint8Array[] = [];
    for (let patience = 20; heard.length < 40 && patience > 0; patience--) {
      await use.rig.settle();
      heard.push(...use.rig.sent());
    }
    expect(heard.length).toBe(40);
    heard.forEach((frame, i) => {
      use.expectSame(frame, frames[i]!);
    });
    expect(use.port.txReap(0, use.out)).toBe(0);
  },

  async 'takes less than it is given when it is full, and goes on when it was reaped'(use) {
    use.open();
    const batch = new FrameBatch(16);
    const frame = use.rig.frame(1, 60);
    const buf = use.place(batch, 0, frame, 0);
    for (let i = 1; i < 16; i++) {
      batch.offset[i] = batch.offset[0]!;
      batch.len[i] = batch.len[0]!;
      batch.vlanTci[i] = -1;
    }
    let taken = 0;
    let full = false;
    while (taken < MANY && !full) {
      const n = use.port.txBurst(0, batch, 16);
      taken += n;
      full = n < 16;
    }
    expect(full).toBe(true);
    expect((await use.reap(taken)).length).toBe(taken);
    expect(use.port.txBurst(0, batch, 16)).toBeGreaterThan(0);
    await use.reap(16);
    use.memory.release(buf);
  },

  async 'interrupts, or says on unmasking, that sent frames can be reaped'(use) {
    use.open();
    const batch = new FrameBatch(1);
    const buf = use.place(batch, 0, use.rig.frame(1, 60), 7);
    expect(use.port.irqEnable(0, true)).toBe(false);
    expect(use.port.txBurst(0, batch, 1)).toBe(1);
    await use.rig.settle();
    expect(use.interrupts >= 1 || use.port.irqEnable(0, true)).toBe(true);
    expect(await use.reap(1)).toEqual([7]);
    use.memory.release(buf);
  },

  async 'does not throw for a frame that no wire carries, and sends the next one'(use) {
    use.open();
    await use.rig.settle();
    use.rig.sent();
    const batch = new FrameBatch(2);
    const good = use.rig.frame(5, 100);
    const bufs = [use.place(batch, 0, good, 1), use.place(batch, 1, good, 2)];
    batch.len[0] = 3;
    expect(use.port.txBurst(0, batch, 2)).toBe(2);
    expect((await use.reap(2)).sort()).toEqual([1, 2]);
    const heard: Uint8Array[] = [];
    for (let patience = 20; heard.length < 1 && patience > 0; patience--) {
      await use.rig.settle();
      heard.push(...use.rig.sent());
    }
    use.expectSame(heard.at(-1)!, good);
    for (const buf of bufs) use.memory.release(buf);
  },

  async 'leaves alone what a consumer holds, while other frames come and go'(use) {
    use.open();
    const held: { buf: number; at: number; seen: Uint8Array }[] = [];
    for (let i = 0; i < 16; i++) use.rig.inject(use.rig.frame(i, 200));
    const got = await use.receive(16, (i) =>
      held.push({ buf: use.out.buf[i]!, at: use.out.offset[i]!, seen: use.bytes(i) }),
    );
    expect(got).toBe(16);
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 16; i++) use.rig.inject(use.rig.frame(1000 + i, 200));
      expect(await use.receive(16)).toBe(16);
    }
    for (const { buf, at, seen } of held) {
      expect(use.memory.bytes.slice(at, at + seen.length)).toEqual(seen);
      use.memory.release(buf);
    }
  },

  async 'comes back after the arena had no slot left'(use) {
    use.open();
    const all: number[] = [];
    while (use.memory.available > 0) all.push(use.memory.alloc());
    for (let i = 0; i < 4; i++) use.rig.inject(use.rig.frame(i, 60));
    await use.receive(4);
    for (const buf of all) use.memory.release(buf);
    use.rig.inject(use.rig.frame(9, 60));
    expect(await use.receive(1)).toBe(1);
  },

  async 'gives all memory back on closing, is quiet afterwards, and opens again'(use) {
    const before = use.memory.available;
    for (let life = 0; life < 3; life++) {
      use.open();
      for (let i = 0; i < 4; i++) use.rig.inject(use.rig.frame(i, 60));
      await use.rig.settle();
      use.port.irqEnable(0, true);
      use.port.close();
      use.interrupts = 0;
      expect(use.port.rxBurst(0, use.out, 64)).toBe(0);
      await use.rig.settle();
      expect(use.interrupts).toBe(0);
      expect(use.memory.available).toBe(before);
    }
    use.port.close();
    use.open();
    await use.receive(1);
    use.rig.inject(use.rig.frame(77, 60));
    expect(await use.receive(1)).toBeGreaterThanOrEqual(1);
  },

  async 'tells frames in flight as finished after closing'(use) {
    use.open();
    const batch = new FrameBatch(8);
    const bufs = Array.from({ length: 8 }, (_, i) => use.place(batch, i, use.rig.frame(i, 60), 50 + i));
    expect(use.port.txBurst(0, batch, 8)).toBe(8);
    use.port.close();
    expect((await use.reap(8)).sort((a, b) => a - b)).toEqual([50, 51, 52, 53, 54, 55, 56, 57]);
    for (const buf of bufs) use.memory.release(buf);
  },
};

/**
 * Declares all cases as tests. `contrary` names those that contradict what the port is for (a fault injector keeps no order), with
 * the reason: they are not declared at all.
 */
export function portCases(
  title: string,
  make: () => PortRig | Promise<PortRig>,
  skips: Readonly<Record<string, string>> = {},
  contrary: Readonly<Record<string, string>> = {},
): void {
  describe(title, () => {
    let rig: PortRig;
    let free: number;
    beforeEach(async () => {
      rig = await make();
      free = rig.memory.available;
    });
    afterEach(async () => {
      rig.port.close();
      const left = rig.memory.available;
      await rig.close();
      expect(left).toBe(free);
    });

    for (const [name, run] of Object.entries(CASES)) {
      if (name in contrary) continue;
      const reason = skips[name];
      if (reason === undefined) it(name, () => run(new Use(rig)));
      else it.skip(`${name} (skip: ${reason})`, () => {});
    }
    it('has only skips of cases that there are', () => {
      expect([...Object.keys(skips), ...Object.keys(contrary)].filter((name) => !(name in CASES))).toEqual([]);
    });
  });
}
