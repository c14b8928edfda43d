import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { SKB_GSO_UDP_L4 } from '../../skb/shared_info.ts';
import { udpDestPort, udpSourcePort } from '../../wire/udp.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { type HeaderEnds, writeIpv4Headers } from './frame_headers.ts';
import type { UdpPort, UdpPortOptions } from './udp_port.ts';

const SLOTS = 1024;
const executive = new HostExecutive();
const memory = createHostArena({ slots: SLOTS, reserveBytes: 16 << 20 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
  expect(memory.available).toBe(SLOTS);
});

function open(spec: string, options: UdpPortOptions = {}, irq: (queue: number) => void = () => {}): UdpPort {
  const port = openPort(spec, executive, options) as UdpPort;
  port.open(memory, irq);
  closers.push(() => port.close());
  return port;
}

/** Frames to 127.0.0.1: [port, length of the payload], each byte of which is its place in the list. */
function frames(list: readonly (readonly [port: number, len: number])[]): FrameBatch {
  const batch = new FrameBatch(list.length, 64);
  list.forEach(([destPort, len], i) => {
    const buf = memory.alloc();
    closers.push(() => memory.release(buf));
    const at = memory.start(buf) + 128;
    memory.bytes.fill(i, at, at + len);
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, 0x7f000001);
    const ends: HeaderEnds = { source: view, sourceAt: 0, sourcePort: 9, dest: view, destAt: 0, destPort };
    batch.offset[i] = writeIpv4Headers(memory.view, at, len, ends, 1, Uint8Array.of(2, 0, 0, 0, 0, 1));
    batch.buf[i] = buf;
    batch.len[i] = at + len - batch.offset[i]!;
    batch.cookie[i] = i;
  });
  return batch;
}

/** What a port has received within 50 ms of silence: source and length of each, and its bytes. */
async function received(port: UdpPort, queue = 0, limit = 64): Promise<{ len: number; first: number; from: number }[]> {
  const out = new FrameBatch(64);
  const all: { len: number; first: number; from: number }[] = [];
  for (let quiet = 0; quiet < 10; ) {
    const n = port.rxBurst(queue, out, limit);
    for (let i = 0; i < n; i++) {
      const payload = out.offset[i]! + 42;
      const end = out.offset[i]! + out.len[i]!;
      const first = memory.bytes[payload]!;
      expect(memory.bytes.slice(payload, end).every((byte) => byte === first)).toBe(true);
      expect(udpDestPort(memory.view, out.offset[i]! + 34)).toBe(port.address.port);
      all.push({ len: end - payload, first, from: udpSourcePort(memory.view, out.offset[i]! + 34) });
      memory.release(out.buf[i]!);
    }
    quiet = n === 0 ? quiet + 1 : 0;
    if (n === 0) await pause(2);
  }
  return all;
}

describe('udp port: several in one', () => {
  it.each([true, false])(
    'sends neighbours of one length as one message, and they arrive as they were (gro: %s)',
    async (gro) => {
      const a = open('udp:127.0.0.1:0');
      const b = open('udp:127.0.0.1:0', { gro });
      const c = open('udp:127.0.0.1:0', { gro });
      const [B, C] = [b.address.port, c.address.port];
      const lens = [1000, 1000, 1000, 400, 1000, 0, 0, 700, 800, 800];
      const list = [...lens.map((len) => [B, len] as const), [C, 800] as const, [B, 800] as const];
      expect(a.txBurst(0, frames(list), list.length)).toBe(list.length);
      expect((await received(b)).map(({ len }) => len)).toEqual([...lens, 800]);
      expect((await received(c)).map(({ len, first }) => [len, first])).toEqual([[800, 10]]);
      expect(a.counters.get('tx_frames')).toBe(12);
      expect(a.counters.get('tx_merged')).toBe(6);
      expect(b.counters.get('rx_frames')).toBe(11);
      expect(b.counters.get('rx_merged')).toBe(gro ? 6 : 0);
    },
  );

  it('gives each byte of a full message its place, whatever the limits of the bursts', async () => {
    const a = open('udp:127.0.0.1:0');
    const b = open('udp:127.0.0.1:0');
    const list = Array.from({ length: 44 }, () => [b.address.port, 1472] as const);
    const done = new FrameBatch(64);
    for (const limit of [1, 5, 43, 64]) {
      expect(a.txBurst(0, frames(list), 44)).toBe(44);
      while (a.txReap(0, done) > 0);
      for (let i = 0; i < 44; i++) closers.pop()!();
      const got = await received(b, 0, limit);
      expect(got.map(({ first }) => first)).toEqual(list.map((_, i) => i));
      expect(got.every(({ len }) => len === 1472)).toBe(true);
    }
    expect(b.counters.get('rx_merged')).toBe(176);
  });

  it('has what does not fit into a burst polled for, without an interrupt', async () => {
    const a = open('udp:127.0.0.1:0');
    const b = open('udp:127.0.0.1:0');
    a.txBurst(0, frames(Array.from({ length: 8 }, () => [b.address.port, 100] as const)), 8);
    await pause(5);
    const out = new FrameBatch(64);
    expect(b.rxBurst(0, out, 3)).toBe(3);
    expect(b.irqEnable(0, true)).toBe(true);
    for (let i = 0; i < 3; i++) memory.release(out.buf[i]!);
    expect((await received(b)).length).toBe(5);
    expect(b.irqEnable(0, true)).toBe(false);
  });

  it('sends a super-frame in pieces, which the kernel cuts', async () => {
    const a = open('udp:127.0.0.1:0');
    const b = open('udp:127.0.0.1:0', { gro: false });
    const batch = frames([
      [b.address.port, 500],
      [9, 1500],
      [9, 1500],
    ]);
    // The head's 500 bytes, then the payloads of the other two.
    for (let k = 0; k < 2; k++) {
      batch.pieceOffset[k] = batch.offset[k + 1]! + 42;
      batch.pieceLen[k] = 1500;
      memory.bytes.fill(0, batch.pieceOffset[k], batch.pieceOffset[k]! + 1500);
    }
    batch.pieces[0] = 2;
    batch.len[0]! += 3000;
    batch.gsoSize[0] = 1200;
    batch.gsoType[0] = SKB_GSO_UDP_L4;
    expect(a.txBurst(0, batch, 1)).toBe(1);
    expect((await received(b)).map(({ len }) => len)).toEqual([1200, 1200, 1100]);
    expect(a.counters.get('tx_super_frames')).toBe(1);
  });

  it('receives one by one where the arena has no memory for more', async () => {
    const small = createHostArena({ slots: 64, reserveBytes: 0 });
    const port = openPort('udp:127.0.0.1:0', executive) as UdpPort;
    port.open(small, () => {});
    const a = open('udp:127.0.0.1:0');
    a.txBurst(
      0,
      frames([
        [port.address.port, 10],
        [port.address.port, 10],
      ]),
      2,
    );
    await pause(5);
    const out = new FrameBatch(64);
    expect(port.rxBurst(0, out, 64)).toBe(2);
    expect(port.counters.get('rx_merged')).toBe(0);
    for (let i = 0; i < 2; i++) small.release(out.buf[i]!);
    port.close();
    expect(small.available).toBe(64);
  });
});

describe('udp port: several sockets on one address', () => {
  it('shares senders between its queues, each sender on one, and interrupts each for its own', async () => {
    const irqs = new Set<number>();
    const port = open('udp:127.0.0.1:0,queues=3', {}, (queue) => irqs.add(queue));
    expect(port.caps.rxQueues).toBe(3);
    for (let queue = 0; queue < 3; queue++) port.irqEnable(queue, true);
    const sockets: Socket[] = [];
    for (let i = 0; i < 24; i++) {
      const socket = createSocket('udp4').bind(0, '127.0.0.1');
      await once(socket, 'listening');
      closers.push(() => socket.close());
      sockets.push(socket);
      for (let k = 0; k < 3; k++) socket.send(Buffer.alloc(20), port.address.port, '127.0.0.1');
    }
    await pause(30);
    const queues = [await received(port, 0), await received(port, 1), await received(port, 2)];
    expect(queues.flat().length).toBe(72);
    for (const { from } of queues.flat()) {
      expect(queues.filter((queue) => queue.some((each) => each.from === from)).length).toBe(1);
    }
    expect(queues.every((queue) => queue.length > 0)).toBe(true);
    expect([...irqs].sort()).toEqual([0, 1, 2]);
    expect(port.counters.get('rx_frames')).toBe(72);
  });

  it('refuses a number of queues that cannot be', () => {
    expect(() => openPort('udp:127.0.0.1:0,queues=0', executive)).toThrow(/1 to 64 queues/);
    expect(() => openPort('udp:127.0.0.1:0,queues=65', executive)).toThrow(/1 to 64 queues/);
  });
});

describe('udp port: what is said and counted', () => {
  it('knows of a datagram that nobody listens for, goes on sending, and does not interrupt for ever', async () => {
    let irqs = 0;
    const port = open('udp:127.0.0.1:0', {}, () => {
      irqs++;
      port.rxBurst(0, new FrameBatch(1), 1);
      port.irqEnable(0, true);
    });
    const gone = createSocket('udp4').bind(0, '127.0.0.1');
    await once(gone, 'listening');
    const nobody = gone.address().port;
    gone.close();
    await pause(2);
    const listener = open('udp:127.0.0.1:0');
    port.irqEnable(0, true);
    for (let i = 0; i < 5; i++) {
      expect(port.txBurst(0, frames([[nobody, 10]]), 1)).toBe(1);
      expect(port.txBurst(0, frames([[listener.address.port, 10 + i]]), 1)).toBe(1);
    }
    await pause(30);
    expect((await received(listener)).map(({ len }) => len)).toEqual([10, 11, 12, 13, 14]);
    expect(port.counters.get('peer_refused')).toBe(5);
    expect(port.counters.get('tx_frames')).toBe(10);
    expect(port.counters.get('tx_errors')).toBe(0);
    expect(irqs).toBeLessThan(20);
  });

  it('gives errors of the call their reason', () => {
    const port = open('udp:127.0.0.1:0');
    const batch = frames([[9, 10]]);
    // 240.0.0.1: no route from loopback.
    memory.view.setUint32(batch.offset[0]! + 30, 0xf0000001);
    expect(port.txBurst(0, batch, 1)).toBe(1);
    expect(port.counters.get('tx_errors')).toBe(1);
    const { peer_unreachable, socket_errors, tx_too_long } = port.counters.toJSON();
    expect(peer_unreachable + socket_errors + tx_too_long).toBe(1);
  });

  it('says what receive buffer it got where it is less than was asked for', () => {
    expect(open('udp:127.0.0.1:0', { receiveBuffer: 8192 }).notices).toEqual([]);
    const [notice] = open('udp:127.0.0.1:0', { receiveBuffer: 2 ** 31 - 1 }).notices;
    expect(notice).toMatch(
      /^udp:127.0.0.1:\d+ has a receive buffer of \d+ KiB, not 2097151: needs CAP_NET_ADMIN, or sysctl/,
    );
  });

  it('knows the local address of a datagram on a socket bound to any', async () => {
    const port = open('udp:0.0.0.0:0');
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    closers.push(() => socket.close());
    socket.send(Buffer.alloc(5), port.address.port, '127.0.0.77');
    await pause(10);
    const out = new FrameBatch(1);
    expect(port.rxBurst(0, out, 1)).toBe(1);
    expect(memory.view.getUint32(out.offset[0]! + 30)).toBe(0x7f00004d);
    memory.release(out.buf[0]!);
  });
});
