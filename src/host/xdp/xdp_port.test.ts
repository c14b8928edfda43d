import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch, type Port } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { createHostArena, type HostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { createXdpLink, createXskMap, loadXdpProgram, XDP_FLAGS_DRV_MODE } from '../sys/bpf.ts';
import { libc } from '../sys/libc.ts';
import { createVeth, ip, noVeth, type Veth } from '../veth.fixture.ts';
import { redirectProgram } from './redirect_program.ts';
import { printXdpReport, type XdpPortOptions } from './xdp_options.ts';
import type { XdpPort } from './xdp_port.ts';
import { awaitUnbound } from './xsk_bind.ts';

const SLOTS = 512;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const noEthtool = spawnSync('ethtool', ['--version']).status !== 0;
const openFds = () => readdirSync('/proc/self/fd').length;

/** What `ip` shows of a program on the interface; undefined: nothing is attached. */
function attached(name: string): { mode: number } | undefined {
  const [link] = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', name], { encoding: 'utf8' }));
  return link.xdp;
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof SetupError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

/** A broadcast frame; an IPv4 datagram to `port` if that is given. */
function frameBytes(seed: number, len: number, port?: number): Uint8Array {
  const frame = Uint8Array.from({ length: len }, (_, i) => seed * 31 + i * 7);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6);
  if (port === undefined) return frame;
  frame.set([0x08, 0x00, 0x45], 12);
  frame.set([0, 0], 20);
  frame[23] = 17;
  frame.set([port >> 8, port & 255], 36);
  return frame;
}

describe.skipIf(noVeth !== null)(`xdp port${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  let executive: HostExecutive;
  let memory: HostArena;
  const ports: Port[] = [];
  const out = new FrameBatch(64);
  beforeEach(() => {
    veth = createVeth();
    executive = new HostExecutive();
    memory = createHostArena({ slots: SLOTS, reserveBytes: 8 << 20 });
  });
  afterEach(() => {
    for (const port of ports.splice(0)) port.close();
    expect(memory.available).toBe(SLOTS);
    veth.remove();
  });

  function make<P extends Port = XdpPort>(spec: string, options: XdpPortOptions = {}): P {
    const port = openPort(spec, executive, { blocks: 8, blockSize: 32 << 10, ...options }) as Port as P;
    ports.push(port);
    return port;
  }

  function open<P extends Port = XdpPort>(spec: string, options: XdpPortOptions = {}, irq = (_queue: number) => {}): P {
    const port = make<P>(spec, options);
    port.open(memory, irq);
    return port;
  }

  /** Sends frames [first, first + n) from slots of the arena; gives how many were taken. */
  function send(port: Port, frames: readonly Uint8Array[], vlanTci = -1): number {
    const batch = new FrameBatch(frames.length);
    frames.forEach((bytes, i) => {
      batch.buf[i] = memory.alloc();
      batch.offset[i] = memory.start(batch.buf[i]!) + 64;
      batch.len[i] = bytes.length;
      batch.vlanTci[i] = vlanTci;
      memory.bytes.set(bytes, batch.offset[i]);
    });
    const taken = port.txBurst(0, batch, frames.length);
    for (let i = 0; i < frames.length; i++) memory.release(batch.buf[i]!);
    while (port.txReap(0, out) > 0);
    return taken;
  }

  async function receive(port: Port, n: number, queue = 0): Promise<Uint8Array[]> {
    const got: Uint8Array[] = [];
    for (const end = Date.now() + 1000; got.length < n && Date.now() < end; ) {
      const burst = port.rxBurst(queue, out, 64);
      for (let i = 0; i < burst; i++) {
        got.push(memory.bytes.slice(out.offset[i], out.offset[i]! + out.len[i]!));
        memory.release(out.buf[i]!);
      }
      if (burst === 0) await pause(1);
    }
    return got;
  }

  it('takes the best mode, says which and why not a better one, and leaves nothing behind', () => {
    const before = openFds();
    const port = open(`xdp:${veth.a}`);
    expect(port.report).toMatchObject({ mode: 'native-copy', joined: false, queues: [0], rxRing: 256, frameMax: 1792 });
    expect(printXdpReport(port.report!)).toBe(
      'native-copy, queue 0, rings 256/1024, frames up to 1792 bytes (refused: zero copy: not in this driver)',
    );
    expect(attached(veth.a)?.mode).toBe(1);
    port.close();
    expect(attached(veth.a)).toBeUndefined();
    expect(openFds()).toBe(before);

    const generic = open(`xdp:${veth.a}`, { xdpMode: 'generic-copy' });
    expect(generic.report).toMatchObject({ mode: 'generic-copy', refused: [] });
    expect(attached(veth.a)?.mode).toBe(2);
    generic.close();

    const none = make(`xdp:${veth.a}`, { xdpMode: 'native-zerocopy' });
    expect(codeOf(() => none.open(memory, () => {}))).toBe('ERR_NETPOLL_XDP_MODE');
    expect(openFds()).toBe(before);
    expect(memory.available).toBe(SLOTS);
  });

  it('says with a stable code what cannot be', () => {
    expect(codeOf(() => make('xdp:nowhere0'))).toBe('ERR_NETPOLL_NO_INTERFACE');
    expect(codeOf(() => make('xdp:lo'))).toBe('ERR_NETPOLL_NOT_ETHERNET');
    expect(codeOf(() => make(`xdp:${veth.a}/1`))).toBe('ERR_NETPOLL_XDP_QUEUE');
    expect(codeOf(() => make(`xdp:${veth.a}/x`))).toBe('ERR_NETPOLL_SPEC');
    expect(codeOf(() => make(`xdp:${veth.a}`, { rxRing: 1000 }))).toBe('ERR_NETPOLL_RING');
    expect(codeOf(() => make(`xdp:${veth.a}`, { xdpMode: 'turbo' as 'native-copy' }))).toBe('ERR_NETPOLL_XDP_MODE');
    const port = make(`xdp:${veth.a}`);
    const code = (arena = memory as Parameters<Port['open']>[0]) => codeOf(() => port.open(arena, () => {}));
    expect(code(createArena(64))).toBe('ERR_NETPOLL_ARENA');
    expect(code(createHostArena({ slots: 64, slotSize: 8192, reserveBytes: 0 }))).toBe('ERR_NETPOLL_ARENA');
    expect(code(createHostArena({ slots: 64, reserveBytes: 1 << 20 }))).toBe('ERR_NETPOLL_ARENA_FULL');
    ip('link', 'set', veth.a, 'mtu', '3000');
    expect(code()).toBe('ERR_NETPOLL_XDP_MTU');
    expect(code(createHostArena({ slots: 256, slotSize: 4096, reserveBytes: 1 << 20 }))).toBe('nothing thrown');
    port.close();
    ip('link', 'set', veth.a, 'down');
    expect(code()).toBe('ERR_NETPOLL_ENETDOWN');
  });

  it("leaves another one's program where it is", () => {
    const map = createXskMap('other', 4, 'test');
    const program = loadXdpProgram('other_prog', redirectProgram({ map }), 'test');
    const link = createXdpLink(program, libc().ifNametoindex(veth.a), XDP_FLAGS_DRV_MODE);
    expect(link).toBeGreaterThan(0);
    const port = make(`xdp:${veth.a}`);
    expect(() => port.open(memory, () => {})).toThrow(/the XDP program "other_prog" is attached already/);
    expect(attached(veth.a)?.mode).toBe(1);
    for (const fd of [link, program, map]) libc().close(fd);
    port.open(memory, () => {});
  });

  it('tells when the kernel has let go of a queue', () => {
    const index = libc().ifNametoindex(veth.a);
    const port = open(`xdp:${veth.a}`);
    expect(awaitUnbound(index, 0)).toBe(false);
    const other = make(`xdp:${veth.a}`);
    expect(codeOf(() => other.open(memory, () => {}))).toBe('ERR_NETPOLL_EBUSY');
    port.close();
    expect(awaitUnbound(index, 0)).toBe(true);
    expect(awaitUnbound(0x7fffffff, 0)).toBe(true);
  });

  it.skipIf(noEthtool)(
    'shares an interface (needs ethtool): each port its queue, one program until the last of them is closed',
    async () => {
      ip('link', 'del', veth.a);
      ip('link', 'add', veth.a, 'numrxqueues', '2', 'numtxqueues', '2', 'type', 'veth', 'peer', 'name', veth.b);
      for (const end of [veth.a, veth.b]) {
        ip('link', 'set', end, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off', 'up');
      }
      execFileSync('ethtool', ['-L', veth.a, 'rx', '2', 'tx', '2']);
      const both = make(`xdp:${veth.a}`);
      expect(both.caps).toMatchObject({ rxQueues: 2, txQueues: 2 });
      both.open(memory, () => {});
      expect(both.report).toMatchObject({ queues: [0, 1], rxRing: 128 });
      both.close();

      const zero = open(`xdp:${veth.a}/0`, { rxRing: 64 });
      const one = open(`xdp:${veth.a}/1`, { rxRing: 64 });
      expect([zero.report!.joined, one.report!.joined]).toEqual([false, true]);
      zero.close();
      expect(attached(veth.a)).toBeDefined();
      const again = open(`xdp:${veth.a}/0`, { rxRing: 64 });
      expect(again.report!.joined).toBe(true);
      const peer = open<Port>(`packet:${veth.b}`);
      expect(send(peer, [frameBytes(1, 100)])).toBe(1);
      // Which of the queues it comes in on is chosen by the processor that sent it.
      await pause(20);
      const [left, right] = [again, one].map((port) => port.rxBurst(0, out, 64));
      expect([left, right].sort()).toEqual([0, 1]);
      expect(memory.bytes.slice(out.offset[0], out.offset[0]! + 100)).toEqual(frameBytes(1, 100));
      memory.release(out.buf[0]!);
      again.close();
      one.close();
      expect(attached(veth.a)).toBeUndefined();
    },
  );

  it('drives the device itself while it is busy, where busy poll is asked for; a quiet one interrupts', async (ctx) => {
    const setting = (name: string) => readFileSync(`/sys/class/net/${veth.a}/${name}`, 'latin1').trim();
    const port = open(`xdp:${veth.a},busy-poll`);
    const { busyPoll, refused } = port.report!;
    if (busyPoll === null) ctx.skip(refused.join('; '));
    expect(printXdpReport(port.report!)).toMatch(/^native-copy, busy poll by (io_uring|socket), queue 0,/);
    expect(setting('napi_defer_hard_irqs')).toBe('2');
    expect(port.notices[1]).toMatch(
      /: sets napi_defer_hard_irqs \(was 0\), and while it is busy gro_flush_timeout \(was 0\) until it is closed$/,
    );
    const peer = open<Port>(`packet:${veth.b}`);
    const drained = () => {
      let taken = 0;
      for (let n = -1; n !== 0; taken += n) {
        n = port.rxBurst(0, out, 64);
        for (let i = 0; i < n; i++) memory.release(out.buf[i]!);
      }
      return taken;
    };
    const frames = Array.from({ length: 50 }, (_, i) => frameBytes(i, 60 + i * 20));
    send(peer, frames);
    expect(drained()).toBe(50);
    expect(setting('gro_flush_timeout')).toBe('0');
    for (let i = 0; i < 3; i++) {
      send(peer, frames);
      expect(drained()).toBe(50);
    }
    expect(setting('gro_flush_timeout')).toBe('2000000');
    // Nobody but us has the device polled now: what is sent is there when we ask.
    send(peer, frames);
    expect(drained()).toBe(50);
    for (let i = 0; i < 3; i++) {
      await pause(15);
      port.irqEnable(0, true);
      port.irqEnable(0, false);
    }
    expect(setting('gro_flush_timeout')).toBe('0');
    send(peer, frames);
    expect(await receive(port, 50)).toEqual(frames);
    port.close();
    await expect.poll(() => setting('napi_defer_hard_irqs'), { timeout: 5000 }).toBe('0');
  });

  it('with a UDP port takes what is for it, and leaves the rest to the kernel', async () => {
    const port = open(`xdp:${veth.a}`, { udpPort: 6666 });
    const kernel = open<Port>(`packet:${veth.a}`);
    const peer = open<Port>(`packet:${veth.b}`);
    const [ours, theirs, arp] = [frameBytes(1, 90, 6666), frameBytes(2, 90, 6667), frameBytes(3, 60)];
    send(peer, [ours, theirs, arp]);
    expect(await receive(kernel, 2)).toEqual([theirs, arp]);
    expect(await receive(port, 1)).toEqual([ours]);
  });

  it('drops what finds no slot, counts it, and receives again by itself when slots are free', async () => {
    let interrupts = 0;
    const port = open(`xdp:${veth.a}`, { rxRing: 64 }, () => interrupts++);
    const peer = open<Port>(`packet:${veth.b}`);
    const all: number[] = [];
    const held: number[] = [];
    const frames = Array.from({ length: 32 }, (_, i) => frameBytes(i, 80));
    for (let i = 0; i < 2; i++) send(peer, frames);
    while (memory.available > 0) all.push(memory.alloc());
    for (let n = port.rxBurst(0, out, 64); n > 0; n = port.rxBurst(0, out, 64)) {
      for (let i = 0; i < n; i++) held.push(out.buf[i]!);
    }
    expect(held.length).toBe(64);
    for (const buf of all.splice(0, 32)) memory.release(buf);
    const lost = frames.map((bytes, i) => {
      const buf = memory.alloc();
      const batch = new FrameBatch(1);
      batch.offset[0] = memory.start(buf) + 64;
      batch.len[0] = bytes.length;
      batch.cookie[0] = i;
      memory.bytes.set(bytes, batch.offset[0]);
      expect(peer.txBurst(0, batch, 1)).toBe(1);
      return buf;
    });
    expect(port.counters.get('rx_dropped_kernel')).toBe(32);
    expect(port.counters.get('rx_fill_ring_empty_descs')).toBeGreaterThanOrEqual(32);
    expect(port.irqEnable(0, true)).toBe(false);
    for (const buf of [...all, ...held, ...lost]) memory.release(buf);
    while (peer.txReap(0, out) > 0);
    await pause(30);
    send(peer, [frameBytes(99, 60)]);
    await pause(30);
    expect(interrupts).toBe(1);
    expect(await receive(port, 1)).toEqual([frameBytes(99, 60)]);
    expect(port.counters.get('rx_frames')).toBe(65);
  });

  it.each(['native-copy', 'generic-copy'] as const)(
    'receives or counts every frame of a flood, %s',
    async (xdpMode) => {
      const FLOOD = 20_000;
      const port = open(`xdp:${veth.a}`, { xdpMode, rxRing: 64 });
      const peer = open(`xdp:${veth.b}`, { rxRing: 64 });
      const batch = new FrameBatch(32);
      const bufs = Array.from({ length: 32 }, (_, i) => {
        const buf = memory.alloc();
        batch.offset[i] = memory.start(buf) + 64;
        batch.len[i] = 60 + i * 40;
        memory.bytes.set(frameBytes(i, batch.len[i]!), batch.offset[i]!);
        return buf;
      });
      let sent = 0;
      let reaped = 0;
      for (let turn = 0; sent < FLOOD; turn++) {
        sent += peer.txBurst(0, batch, 32);
        for (let n = peer.txReap(0, out); n > 0; n = peer.txReap(0, out)) reaped += n;
        // A reader that is too slow by half.
        if (turn % 4 !== 0) continue;
        const n = port.rxBurst(0, out, 64);
        for (let i = 0; i < n; i++) memory.release(out.buf[i]!);
      }
      await pause(50);
      for (let n = peer.txReap(0, out); n > 0; n = peer.txReap(0, out)) reaped += n;
      await receive(port, 65);
      expect(reaped).toBe(sent);
      const { counters } = port;
      expect(counters.get('rx_dropped_kernel')).toBeGreaterThan(0);
      expect(counters.get('rx_ring_full')).toBe(0);
      expect(counters.get('rx_frames') + counters.get('rx_dropped_kernel')).toBe(sent);
      for (const buf of bufs) memory.release(buf);
    },
  );

  it('sends what lies in no slot of its own, or has its tag beside it, by copying it', async () => {
    const port = open(`xdp:${veth.a}`);
    const peer = open<Port>(`packet:${veth.b}`);
    const frame = frameBytes(5, 200);
    send(port, [frame], 0x2007);
    const tagged = Uint8Array.from([...frame.slice(0, 12), 0x81, 0, 0x20, 7, ...frame.slice(12)]);
    await pause(20);
    const n = peer.rxBurst(0, out, 64);
    expect(n).toBe(1);
    expect(out.vlanTci[0]).toBe(0x2007);
    expect(out.len[0]).toBe(200);
    // A frame in the packet port's ring, sent from where it is.
    const batch = new FrameBatch(1);
    batch.offset[0] = out.offset[0]!;
    batch.len[0] = out.len[0]!;
    expect(port.txBurst(0, batch, 1)).toBe(1);
    expect(port.txReap(0, new FrameBatch(1))).toBe(1);
    memory.release(out.buf[0]!);
    expect(await receive(peer, 1)).toEqual([frame]);
    expect(port.counters.get('tx_copied')).toBe(2);
    expect(port.counters.get('tx_bytes')).toBe(tagged.length + frame.length);
  });

  it('keeps what it was given while the interface is down, and sends it when it is up again', async () => {
    const port = open(`xdp:${veth.a}`);
    ip('link', 'set', veth.a, 'down');
    expect(port.link()).toBe(false);
    const batch = new FrameBatch(2);
    const bufs = [1, 2].map((seed, i) => {
      const buf = memory.alloc();
      batch.offset[i] = memory.start(buf) + 64;
      batch.len[i] = 60;
      batch.cookie[i] = seed;
      memory.bytes.set(frameBytes(seed, 60), batch.offset[i]);
      return buf;
    });
    expect(port.txBurst(0, batch, 2)).toBe(2);
    expect(port.txReap(0, out)).toBe(0);
    expect(port.irqEnable(0, true)).toBe(false);
    ip('link', 'set', veth.a, 'up');
    const peer = open<Port>(`packet:${veth.b}`);
    expect(await receive(peer, 2)).toEqual([frameBytes(1, 60), frameBytes(2, 60)]);
    expect(port.txReap(0, out)).toBe(2);
    for (const buf of bufs) memory.release(buf);
  });

  it('survives the end of its interface', async () => {
    const port = open(`xdp:${veth.a}`, {}, () => port.irqEnable(0, false));
    port.irqEnable(0, true);
    const { a, b } = veth;
    ip('link', 'del', a);
    await pause(50);
    expect(port.link()).toBe(false);
    expect(port.rxBurst(0, out, 64)).toBe(0);
    expect(send(port, [frameBytes(1, 60)])).toBe(1);
    port.close();
    ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b);
    for (const end of [a, b]) ip('link', 'set', end, 'up');
    port.open(memory, () => {});
    expect(port.report!.mode).toBe('native-copy');
  });
});
