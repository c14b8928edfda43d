import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import { parseIp } from '../../wire/address.ts';
import { ETH_P_ARP } from '../../wire/eth.ts';
import { ipv4TotalLen } from '../../wire/ipv4.ts';
import { udpChecksumOk, udpDestPort, udpLen, udpSourcePort } from '../../wire/udp.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { type HeaderEnds, writeIpv4Headers, writeIpv6Headers } from './frame_headers.ts';
import type { UdpPort } from './udp_port.ts';

const executive = new HostExecutive();
const memory = createHostArena({ slots: 512, reserveBytes: 0 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const payloadOf = (seed: number, len: number) => Buffer.from(Uint8Array.from({ length: len }, (_, i) => seed * 13 + i));
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
  expect(memory.available).toBe(512);
});

function open(spec: string, irq: () => void = () => {}, options = {}): UdpPort {
  const port = openPort(spec, executive, options) as UdpPort;
  port.open(memory, irq);
  closers.push(() => port.close());
  return port;
}

async function peer(type: 'udp4' | 'udp6'): Promise<Socket> {
  const socket = createSocket(type);
  socket.bind(0, type === 'udp4' ? '127.0.0.1' : '::1');
  await once(socket, 'listening');
  closers.push(() => socket.close());
  return socket;
}

const sendTo = (socket: Socket, bytes: Uint8Array, port: number, address: string) =>
  new Promise<void>((resolve, reject) =>
    socket.send(bytes, port, address, (error) => (error === null ? resolve() : reject(error))),
  );

async function receive(port: UdpPort, n: number, take: (out: FrameBatch, i: number) => void): Promise<number> {
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

/** A batch of one frame: a datagram to `to`, over whichever family that is. */
function datagram(to: string, toPort: number, payload: Uint8Array): FrameBatch {
  const batch = new FrameBatch(1);
  const buf = memory.alloc();
  closers.push(() => memory.release(buf));
  const at = memory.start(buf) + 128;
  memory.bytes.set(payload, at);
  const ip = parseIp(to)!;
  const view = new DataView(new ArrayBuffer(16));
  const ends: HeaderEnds = { source: view, sourceAt: 0, sourcePort: 9, dest: view, destAt: 0, destPort: toPort };
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  if (ip.family === 4) {
    view.setUint32(0, ip.v4);
    batch.offset[0] = writeIpv4Headers(memory.view, at, payload.length, ends, 1, mac);
  } else {
    new Uint8Array(view.buffer).set(ip.v6);
    batch.offset[0] = writeIpv6Headers(memory.view, at, payload.length, ends, mac);
  }
  batch.buf[0] = buf;
  batch.len[0] = at + payload.length - batch.offset[0];
  return batch;
}

describe('udp port', () => {
  it.each(['127.0.0.1', '0.0.0.0'])(
    'puts real addresses and ports into the headers of what comes to %s',
    async (at) => {
      const stamps = at === '0.0.0.0';
      const port = open(`udp:${at}:0`, undefined, { timestamps: stamps });
      expect(port.name).toBe(`udp:${at}:${port.address.port}`);
      const socket = await peer('udp4');
      await sendTo(socket, payloadOf(1, 100), port.address.port, '127.0.0.1');
      const got = await receive(port, 1, (out, i) => {
        const view = memory.view;
        const eth = out.offset[i]!;
        const udp = eth + 34;
        expect(view.getUint16(eth + 12)).toBe(0x0800);
        expect(memory.bytes.slice(eth, eth + 6)).toEqual(port.caps.mac);
        expect(view.getUint32(eth + 26)).toBe(0x7f000001);
        expect(view.getUint32(eth + 30)).toBe(0x7f000001);
        expect(ipv4TotalLen(view, eth + 14)).toBe(128);
        expect(udpSourcePort(view, udp)).toBe(socket.address().port);
        expect(udpDestPort(view, udp)).toBe(port.address.port);
        expect(udpLen(view, udp)).toBe(108);
        expect(out.len[i]).toBe(142);
        expect(out.csum[i]).toBe(CHECKSUM_UNNECESSARY);
        if (stamps) expect(Math.abs(out.tstampUs[i]! - executive.wallUs())).toBeLessThan(2e6);
        else expect(out.tstampUs[i]).toBe(0);
        expect(Buffer.compare(memory.bytes.subarray(udp + 8, udp + 108), payloadOf(1, 100))).toBe(0);
        expect(eth - memory.start(out.buf[i]!)).toBeGreaterThanOrEqual(port.caps.headroom);
        memory.release(out.buf[i]!);
      });
      expect(got).toBe(1);
    },
  );

  it('computes the checksum of what it receives over IPv6, and takes IPv4 on the same socket', async () => {
    const port = open('udp:[::]:0');
    const six = await peer('udp6');
    const four = await peer('udp4');
    await sendTo(six, payloadOf(2, 77), port.address.port, '::1');
    await receive(port, 1, (out, i) => {
      const eth = out.offset[i]!;
      expect(memory.view.getUint16(eth + 12)).toBe(0x86dd);
      expect(udpChecksumOk(memory.view, eth + 14, 16, eth + 54, out.len[i]! - 54)).toBe(true);
      expect(memory.view.getUint8(eth + 14 + 39)).toBe(1);
      memory.release(out.buf[i]!);
    });
    await sendTo(four, payloadOf(3, 10), port.address.port, '127.0.0.1');
    await receive(port, 1, (out, i) => {
      const eth = out.offset[i]!;
      expect(memory.view.getUint16(eth + 12)).toBe(0x0800);
      expect(memory.view.getUint32(eth + 26)).toBe(0x7f000001);
      expect(memory.view.getUint32(eth + 30)).toBe(0x7f000001);
      memory.release(out.buf[i]!);
    });
    expect(port.counters.get('rx_frames')).toBe(2);
  });

  it.each([
    ['127.0.0.1', 'udp4', 'udp:127.0.0.1:0'],
    ['::1', 'udp6', 'udp:[::1]:0'],
    ['127.0.0.1', 'udp4', 'udp:[::]:0'],
  ] as const)('sends a frame to %s as a datagram (%s peer, %s)', async (address, type, spec) => {
    const port = open(spec);
    const socket = await peer(type);
    const message = once(socket, 'message') as Promise<[Buffer, { port: number }]>;
    const batch = datagram(address, socket.address().port, payloadOf(4, 300));
    expect(port.txBurst(0, batch, 1)).toBe(1);
    const [bytes, from] = await message;
    expect(Buffer.compare(bytes, payloadOf(4, 300))).toBe(0);
    expect(from.port).toBe(port.address.port);
    expect(port.counters.get('tx_frames')).toBe(1);
  });

  it('moves a thousand datagrams from one port to another byte for byte', async () => {
    const a = open('udp:127.0.0.1:0');
    const b = open('udp:127.0.0.1:0');
    const done = new FrameBatch(64);
    for (let seed = 0; seed < 1000; seed++) {
      const payload = payloadOf(seed, 1 + ((seed * 37) % 1472));
      const batch = datagram('127.0.0.1', b.address.port, payload);
      expect(a.txBurst(0, batch, 1)).toBe(1);
      memory.release(batch.buf[0]!);
      closers.pop();
      while (a.txReap(0, done) > 0);
      const got = await receive(b, 1, (out, i) => {
        const at = out.offset[i]! + 42;
        expect(Buffer.compare(memory.bytes.subarray(at, out.offset[i]! + out.len[i]!), payload)).toBe(0);
        memory.release(out.buf[i]!);
      });
      expect(got).toBe(1);
    }
  });

  it('interrupts when it is unmasked, once', async () => {
    let interrupts = 0;
    const port = open('udp:127.0.0.1:0', () => interrupts++);
    const socket = await peer('udp4');
    await sendTo(socket, payloadOf(1, 10), port.address.port, '127.0.0.1');
    await pause(20);
    expect(interrupts).toBe(0);
    port.irqEnable(0, true);
    await pause(20);
    expect(interrupts).toBe(1);
    await sendTo(socket, payloadOf(1, 10), port.address.port, '127.0.0.1');
    await pause(20);
    expect(interrupts).toBe(1);
    expect(await receive(port, 2, (out, i) => memory.release(out.buf[i]!))).toBe(2);
  });

  it('interrupts in a later turn to have sent frames reaped', async () => {
    let interrupts = 0;
    const port = open('udp:127.0.0.1:0', () => interrupts++);
    expect(port.irqEnable(0, true)).toBe(false);
    const batch = datagram('127.0.0.1', port.address.port + 1, payloadOf(1, 10));
    batch.cookie[0] = 42;
    port.txBurst(0, batch, 1);
    expect(interrupts).toBe(0);
    await pause(10);
    expect(interrupts).toBe(1);
    const done = new FrameBatch(4);
    expect(port.txReap(0, done)).toBe(1);
    expect(done.cookie[0]).toBe(42);
  });

  it('takes what it cannot send and counts it: ARP, a cut datagram, a family it does not speak, too long a message', () => {
    const port = open('udp:127.0.0.1:0');
    const arp = datagram('127.0.0.1', 9, payloadOf(1, 20));
    memory.view.setUint16(arp.offset[0]! + 12, ETH_P_ARP);
    expect(port.txBurst(0, arp, 1)).toBe(1);
    const cut = datagram('127.0.0.1', 9, payloadOf(1, 20));
    cut.len[0]! -= 5;
    expect(port.txBurst(0, cut, 1)).toBe(1);
    expect(port.txBurst(0, datagram('::1', 9, payloadOf(1, 20)), 1)).toBe(1);
    expect(port.counters.get('tx_not_udp')).toBe(3);
    expect(port.txBurst(0, datagram('240.0.0.1', 9, payloadOf(1, 20)), 1)).toBe(1);
    expect(port.counters.get('tx_errors')).toBe(4);
    expect(port.counters.get('tx_frames')).toBe(0);
  });

  it('drops a datagram that is longer than a slot, and one that finds the arena empty, and goes on', async () => {
    const port = open('udp:127.0.0.1:0');
    const socket = await peer('udp4');
    await sendTo(socket, payloadOf(1, 4000), port.address.port, '127.0.0.1');
    await sendTo(socket, payloadOf(2, 40), port.address.port, '127.0.0.1');
    expect(await receive(port, 1, (out, i) => memory.release(out.buf[i]!))).toBe(1);
    expect(port.counters.get('rx_length_errors')).toBe(1);
    const all: number[] = [];
    while (memory.available > 0) all.push(memory.alloc());
    // So many slots are posted as a burst has datagrams, less the one that has gone up; they are not given back here.
    const out = new FrameBatch(64);
    for (let i = 0; i < 70; i++) await sendTo(socket, payloadOf(3, 40), port.address.port, '127.0.0.1');
    await pause(5);
    let got = 0;
    for (let bursts = 0; bursts < 3; bursts++) {
      const n = port.rxBurst(0, out, 64);
      for (let i = 0; i < n; i++) all.push(out.buf[i]!);
      got += n;
    }
    expect([got, port.counters.get('rx_no_buffer')]).toEqual([63, 7]);
    for (const buf of all) memory.release(buf);
    await sendTo(socket, payloadOf(4, 40), port.address.port, '127.0.0.1');
    expect(await receive(port, 1, (out, i) => memory.release(out.buf[i]!))).toBe(1);
  });

  it('counts every datagram of a flood, received or dropped by the kernel', async () => {
    const port = open('udp:127.0.0.1:0', () => {}, { receiveBuffer: 16384 });
    const sender = open('udp:127.0.0.1:0');
    const batch = datagram('127.0.0.1', port.address.port, payloadOf(1, 200));
    const done = new FrameBatch(64);
    for (let i = 0; i < 3000; i++) {
      sender.txBurst(0, batch, 1);
      sender.txReap(0, done);
    }
    const got = await receive(port, 3000, (out, i) => memory.release(out.buf[i]!));
    const dropped = port.counters.get('rx_dropped_kernel');
    expect(dropped).toBeGreaterThan(0);
    expect(got + dropped).toBe(3000);
  });

  it('leaves no descriptor behind after a hundred openings', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 100; i++) {
      const port = openPort('udp:127.0.0.1:0', executive) as UdpPort;
      port.open(memory, () => {});
      port.irqEnable(0, true);
      port.close();
    }
    await pause(20);
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  it('says what is wrong with an address', () => {
    const codeOf = (act: () => unknown): [string, string] => {
      try {
        act();
      } catch (error) {
        if (error instanceof SetupError) return [error.code, error.message];
        throw error;
      }
      throw new Error('nothing was thrown');
    };
    for (const bad of ['udp:', 'udp:x', 'udp:1.2.3:6666', 'udp:::1:6666', 'udp:0.0.0.0:70000', 'udp:[1.2.3.4]:1']) {
      expect(codeOf(() => openPort(bad, executive))[0]).toBe('ERR_NETPOLL_SPEC');
    }
    const [, known] = codeOf(() => openPort('tape:0', executive));
    expect(known).toContain('udp:0.0.0.0:6666, udp:[::]:6666');
    const port = open('udp:127.0.0.1:0');
    expect(codeOf(() => open(port.name))[0]).toBe('ERR_NETPOLL_EADDRINUSE');
    expect(codeOf(() => open('udp:203.0.113.77:0'))).toEqual([
      'ERR_NETPOLL_EADDRNOTAVAIL',
      expect.stringContaining('no interface has this address'),
    ]);
  });
});
