import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { createHostArena, type HostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { createVeth, ip, noVeth, type Veth } from '../veth.fixture.ts';
import type { PacketPort, PacketPortOptions } from './packet_port.ts';

const TEST_TYPE = 0x88b5;

/** A frame of `len` bytes whose content follows from `seed`. */
function frameBytes(seed: number, len: number): Uint8Array {
  const bytes = new Uint8Array(len);
  for (let i = 0; i < len; i++) bytes[i] = (seed * 31 + i * 7) & 0xff;
  bytes.fill(0xff, 0, 6);
  bytes.set([2, 0, 0, 0, 0, 1], 6);
  new DataView(bytes.buffer).setUint16(12, TEST_TYPE);
  new DataView(bytes.buffer).setUint32(14, seed);
  return bytes;
}

class Sender {
  readonly batch = new FrameBatch(64);
  readonly done = new FrameBatch(64);
  readonly memory: HostArena;
  readonly port: PacketPort;

  constructor(memory: HostArena, port: PacketPort) {
    this.memory = memory;
    this.port = port;
  }

  /** Sends frames [first, first + n) with frameBytes(seed, len(seed)); gives how many the port took. */
  send(first: number, n: number, len: (seed: number) => number): number {
    const { batch, memory, port, done } = this;
    for (let i = 0; i < n; i++) {
      const buf = memory.alloc();
      const bytes = frameBytes(first + i, len(first + i));
      batch.buf[i] = buf;
      batch.offset[i] = memory.start(buf) + 64;
      batch.len[i] = bytes.length;
      batch.vlanTci[i] = -1;
      batch.cookie[i] = first + i;
      memory.bytes.set(bytes, batch.offset[i]);
    }
    const taken = port.txBurst(0, batch, n);
    for (let i = 0; i < n; i++) memory.release(batch.buf[i]!);
    while (port.txReap(0, done) > 0);
    return taken;
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const openFds = () => readdirSync('/proc/self/fd').length;
const ringMaps = () =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('socket:')).length;

describe.skipIf(noVeth !== null)(`packet port${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  const executive = new HostExecutive();
  const memory = createHostArena({ slots: 512, reserveBytes: 8 << 20 });
  beforeAll(() => {
    veth = createVeth();
  });
  afterAll(() => veth.remove());

  function ports(
    options: PacketPortOptions = {},
    irq: () => void = () => {},
  ): { a: PacketPort; b: PacketPort; close(): void } {
    const small = { blocks: 8, blockSize: 32 << 10 };
    const a = openPort(`packet:${veth.a}`, executive, small) as PacketPort;
    const b = openPort(veth.b, executive, { ...small, ...options }) as PacketPort;
    a.open(memory, () => {});
    b.open(memory, irq);
    return {
      a,
      b,
      close() {
        a.close();
        b.close();
      },
    };
  }

  /** Receives until `n` frames came or a second has passed. */
  async function receive(port: PacketPort, n: number, take: (out: FrameBatch, i: number) => void): Promise<number> {
    const out = new FrameBatch(64);
    let got = 0;
    for (const end = Date.now() + 1000; got < n && Date.now() < end; ) {
      const burst = port.rxBurst(0, out, 64);
      for (let i = 0; i < burst; i++) take(out, i);
      got += burst;
      if (burst === 0) await pause(1);
    }
    return got;
  }

  it('moves a thousand frames of all sizes byte for byte and in order, round the ring', async () => {
    const { a, b, close } = ports();
    const sender = new Sender(memory, a);
    const length = (seed: number) => 60 + ((seed * 53) % 1455);
    let next = 0;
    for (let sent = 0; sent < 1000; ) {
      sent += sender.send(sent, Math.min(50, 1000 - sent), length);
      await receive(b, sent - next, (out, i) => {
        const expected = frameBytes(next, length(next));
        const at = out.offset[i]!;
        expect(out.len[i]).toBe(expected.length);
        expect(Buffer.compare(memory.bytes.subarray(at, at + out.len[i]!), expected)).toBe(0);
        expect(at - memory.start(out.buf[i]!)).toBeGreaterThanOrEqual(b.caps.headroom);
        expect(Math.abs(out.tstampUs[i]! - executive.wallUs())).toBeLessThan(2e6);
        memory.release(out.buf[i]!);
        next++;
      });
      expect(next).toBe(sent);
    }
    expect(next).toBe(1000);
    expect(b.counters.get('rx_frames')).toBe(1000);
    expect(a.counters.get('tx_frames')).toBe(1000);
    expect(b.counters.get('rx_dropped_kernel')).toBe(0);
    expect(memory.available).toBe(512);
    close();
  });

  it('interrupts once when a frame comes, and not again until it is unmasked', async () => {
    let interrupts = 0;
    const { a, b, close } = ports({}, () => interrupts++);
    expect(b.irqEnable(0, true)).toBe(false);
    const sender = new Sender(memory, a);
    sender.send(1, 1, () => 60);
    await pause(30);
    expect(interrupts).toBe(1);
    sender.send(2, 1, () => 60);
    await pause(30);
    expect(interrupts).toBe(1);
    expect(b.irqEnable(0, true)).toBe(true);
    expect(await receive(b, 2, (out, i) => memory.release(out.buf[i]!))).toBe(2);
    close();
  });

  it('stays quiet while somebody holds a frame of the last block, and interrupts for the next', async () => {
    let interrupts = 0;
    const { a, b, close } = ports({}, () => interrupts++);
    const sender = new Sender(memory, a);
    const held: number[] = [];
    sender.send(1, 1, () => 60);
    expect(await receive(b, 1, (out, i) => held.push(out.buf[i]!))).toBe(1);
    expect(b.irqEnable(0, true)).toBe(false);
    await pause(30);
    expect(interrupts).toBe(0);
    sender.send(2, 1, () => 60);
    await pause(30);
    expect(interrupts).toBe(1);
    expect(await receive(b, 1, (out, i) => held.push(out.buf[i]!))).toBe(1);
    for (const buf of held) memory.release(buf);
    close();
  });

  it('keeps what is held whole when all blocks are held, and counts what the kernel drops', async () => {
    const { a, b, close } = ports();
    const sender = new Sender(memory, a);
    const held: { buf: number; at: number; len: number; seed: number }[] = [];
    const hold = (out: FrameBatch, i: number): void => {
      const at = out.offset[i]!;
      held.push({ buf: out.buf[i]!, at, len: out.len[i]!, seed: memory.view.getUint32(at + 14) });
    };
    for (let sent = 0; sent < 400; ) {
      sent += sender.send(sent, 40, () => 1500);
      await receive(b, 40, hold).then(() => {});
      if (b.counters.get('rx_dropped_kernel') > 0) break;
    }
    expect(b.counters.get('rx_dropped_kernel')).toBeGreaterThan(0);
    expect(held.length).toBeGreaterThan(100);
    for (const { at, len, seed } of held) {
      expect(Buffer.compare(memory.bytes.subarray(at, at + len), frameBytes(seed, 1500))).toBe(0);
    }
    for (const { buf } of held) memory.release(buf);
    sender.send(5000, 1, () => 60);
    let last = 0;
    await receive(b, 1, (out, i) => {
      last = memory.view.getUint32(out.offset[i]! + 14);
      memory.release(out.buf[i]!);
    });
    expect(last).toBe(5000);
    close();
  });

  it('keeps frames readable after close, and gives the ring to the next port when they are released', async () => {
    const { a, b, close } = ports();
    const sender = new Sender(memory, a);
    const held: { buf: number; at: number }[] = [];
    sender.send(7, 1, () => 200);
    await receive(b, 1, (out, i) => held.push({ buf: out.buf[i]!, at: out.offset[i]! }));
    close();
    expect(ringMaps()).toBe(1);
    const { buf, at } = held[0]!;
    expect(Buffer.compare(memory.bytes.subarray(at, at + 200), frameBytes(7, 200))).toBe(0);
    memory.release(buf);
    expect(ringMaps()).toBe(0);
  });

  it('gives a customer tag beside the frame, and sends one from there', async () => {
    const { a, b, close } = ports();
    const buf = memory.alloc();
    const batch = new FrameBatch(1);
    const bytes = frameBytes(9, 100);
    batch.buf[0] = buf;
    batch.offset[0] = memory.start(buf) + 64;
    batch.len[0] = 100;
    batch.vlanTci[0] = 0x2064;
    memory.bytes.set(bytes, batch.offset[0]);
    expect(a.txBurst(0, batch, 1)).toBe(1);
    let seen = 0;
    await receive(b, 1, (out, i) => {
      seen++;
      expect(out.vlanTci[i]).toBe(0x2064);
      expect(Buffer.compare(memory.bytes.subarray(out.offset[i]!, out.offset[i]! + out.len[i]!), bytes)).toBe(0);
      memory.release(out.buf[i]!);
    });
    expect(seen).toBe(1);
    memory.release(buf);
    close();
  });

  it('puts a service tag (802.1ad) back into the frame', async () => {
    const { a, b, close } = ports();
    const bytes = frameBytes(10, 100);
    const tagged = new Uint8Array(104);
    tagged.set(bytes.subarray(0, 12));
    tagged.set([0x88, 0xa8, 0x00, 0x05], 12);
    tagged.set(bytes.subarray(12), 16);
    const buf = memory.alloc();
    const batch = new FrameBatch(1);
    batch.buf[0] = buf;
    batch.offset[0] = memory.start(buf) + 64;
    batch.len[0] = 104;
    memory.bytes.set(tagged, batch.offset[0]);
    expect(a.txBurst(0, batch, 1)).toBe(1);
    let seen = 0;
    await receive(b, 1, (out, i) => {
      seen++;
      expect(Buffer.compare(memory.bytes.subarray(out.offset[i]!, out.offset[i]! + out.len[i]!), tagged)).toBe(0);
      memory.release(out.buf[i]!);
    });
    expect(seen).toBe(1);
    memory.release(buf);
    close();
  });

  it('takes nothing more when its finished transmits are not reaped', () => {
    const { a, close } = ports();
    const buf = memory.alloc();
    const batch = new FrameBatch(64);
    batch.offset.fill(memory.start(buf) + 64);
    batch.len.fill(60);
    memory.bytes.set(frameBytes(1, 60), memory.start(buf) + 64);
    for (let i = 0; i < 64; i++) batch.cookie[i] = i;
    let taken = 0;
    for (let i = 0; i < 10; i++) taken += a.txBurst(0, batch, 64);
    expect(taken).toBe(256);
    expect(a.txBurst(0, batch, 1)).toBe(0);
    const done = new FrameBatch(300);
    expect(a.txReap(0, done)).toBe(256);
    expect(a.txBurst(0, batch, 64)).toBe(64);
    memory.release(buf);
    close();
  });

  it('counts a frame that the kernel refuses as taken and as an error', () => {
    const { a, close } = ports();
    const sender = new Sender(memory, a);
    expect(sender.send(1, 1, () => 1800)).toBe(1);
    expect(a.counters.get('tx_errors')).toBe(1);
    expect(sender.send(1, 3, (seed) => (seed === 2 ? 1800 : 60))).toBe(3);
    expect(a.counters.get('tx_errors')).toBe(2);
    expect(a.counters.get('tx_frames')).toBe(2);
    close();
  });

  it('sees the link go and come back, and takes no frame while there is none', () => {
    const { a, close } = ports();
    const sender = new Sender(memory, a);
    expect(a.link()).toBe(true);
    ip('link', 'set', veth.b, 'down');
    expect(a.link()).toBe(false);
    expect(sender.send(1, 2, () => 60)).toBe(0);
    expect(a.counters.get('tx_busy')).toBe(1);
    expect(a.counters.get('tx_errors')).toBe(0);
    ip('link', 'set', veth.b, 'up');
    expect(a.link()).toBe(true);
    expect(sender.send(1, 2, () => 60)).toBe(2);
    close();
    expect(a.link()).toBe(false);
  });

  it('goes on receiving after its own interface was down, without a storm of interrupts', async () => {
    let interrupts = 0;
    const { a, b, close } = ports({}, () => {
      interrupts++;
      b.irqEnable(0, true);
    });
    b.irqEnable(0, true);
    ip('link', 'set', veth.b, 'down');
    await pause(30);
    ip('link', 'set', veth.b, 'up');
    await pause(30);
    expect(interrupts).toBeLessThan(5);
    interrupts = 0;
    new Sender(memory, a).send(3, 1, () => 60);
    await pause(30);
    expect(interrupts).toBe(1);
    expect(await receive(b, 1, (out, i) => memory.release(out.buf[i]!))).toBe(1);
    close();
  });

  it('leaves no descriptor and no mapping behind after a hundred openings', async () => {
    const { close } = ports();
    close();
    await pause(20);
    const before = openFds();
    for (let i = 0; i < 50; i++) ports().close();
    await pause(50);
    expect(openFds()).toBe(before);
    expect(ringMaps()).toBe(0);
  });

  it('receives through the filter nothing but UDP to the port', async () => {
    const { a, b, close } = ports();
    b.close();
    const filtered = openPort(veth.b, executive, { blocks: 8, blockSize: 32 << 10, udpPort: 6666 });
    filtered.open(memory, () => {});
    new Sender(memory, a).send(1, 5, () => 60);
    expect(await receive(filtered as PacketPort, 1, () => {})).toBe(0);
    filtered.close();
    close();
  });

  it('says what is wrong with an interface or an arena', () => {
    const refused = (act: () => unknown): SetupError => {
      try {
        act();
      } catch (error) {
        if (error instanceof SetupError) return error;
        throw error;
      }
      throw new Error('nothing was thrown');
    };
    const absent = refused(() => openPort('packet:nosuch0', executive));
    expect(absent.code).toBe('ERR_NETPOLL_NO_INTERFACE');
    expect(absent.message).toContain(veth.a);
    expect(refused(() => openPort(veth.a, executive).open(createArena(4), () => {})).code).toBe('ERR_NETPOLL_ARENA');
    expect(refused(() => openPort(veth.a, executive, { blocks: 4096 }).open(memory, () => {})).code).toBe(
      'ERR_NETPOLL_ARENA_FULL',
    );
    expect(refused(() => openPort(veth.a, executive, { blockSize: 5000 })).code).toBe('ERR_NETPOLL_RING');
    process.seteuid!(65534);
    const forbidden = refused(() => openPort(veth.a, executive, { blocks: 1 }).open(memory, () => {}));
    process.seteuid!(0);
    expect(forbidden.code).toBe('ERR_NETPOLL_EPERM');
    expect(forbidden.message).toContain('CAP_NET_RAW');
    ip('link', 'set', veth.b, 'down');
    const down = refused(() => openPort(veth.b, executive, { blocks: 1 }).open(memory, () => {}));
    expect(down.code).toBe('ERR_NETPOLL_ENETDOWN');
    expect(down.message).toContain(`ip link set ${veth.b} up`);
    ip('link', 'set', veth.b, 'up');
  });
});
