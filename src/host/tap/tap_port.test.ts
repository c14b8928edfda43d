// A tap port against this machine's kernel: what it makes, what it leaves, what it says; super-frames are in test/netns.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { CHECKSUM_PARTIAL } from '../../skb/checksum_state.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { ip } from '../veth.fixture.ts';
import { createTap, noTap, removeTap, tapName } from './tap.fixture.ts';
import { TapPort, type TapPortOptions } from './tap_port.ts';

const ARENA = { slots: 64, reserveBytes: 2 << 20 };
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const sys = (name: string, file: string) => readFileSync(`/sys/class/net/${name}/${file}`, 'utf8').trim();
const isThere = (name: string) => existsSync(`/sys/class/net/${name}`);

describe.skipIf(noTap !== null)(noTap === null ? 'TapPort' : `TapPort (skip: ${noTap})`, () => {
  const ports: TapPort[] = [];
  const made: string[] = [];
  const executive = new HostExecutive();
  const memory = createHostArena(ARENA);

  function port(name: string, options: TapPortOptions = {}): TapPort {
    const each = new TapPort(name, executive, { superFrames: 4, ...options });
    ports.push(each);
    return each;
  }
  function opened(name: string, options: TapPortOptions = {}): TapPort {
    const each = port(name, options);
    each.open(memory, () => {});
    return each;
  }
  function tap(...words: string[]): string {
    const name = createTap(...words);
    made.push(name);
    return name;
  }
  function code(run: () => unknown): string {
    try {
      run();
    } catch (error) {
      return (error as SetupError).code;
    }
    return 'none';
  }

  afterEach(() => {
    for (const each of ports.splice(0)) each.close();
    for (const name of made.splice(0)) if (isThere(name)) removeTap(name);
    expect(memory.available).toBe(ARENA.slots);
  });

  it('makes a device, up and with the MTU asked for, which goes when it is closed', () => {
    const name = tapName();
    const each = opened(name, { mtu: 9000 });
    expect([sys(name, 'mtu'), sys(name, 'carrier'), each.caps.mtu]).toEqual(['9000', '1', 9000]);
    expect(each.link()).toBe(true);
    each.close();
    expect(isThere(name)).toBe(false);
  });

  it('lets the kernel choose a name for a pattern, and says it', () => {
    const each = opened('npt%d');
    expect(each.interfaceName).toMatch(/^npt\d+$/);
    expect(isThere(each.interfaceName)).toBe(true);
  });

  it('attaches to a device that is there and leaves it as it was', () => {
    const name = tap();
    ip('link', 'set', name, 'mtu', '1400');
    const each = opened(name);
    expect(each.caps.mtu).toBe(1400);
    each.close();
    expect([isThere(name), sys(name, 'mtu')]).toEqual([true, '1400']);
  });

  it('makes a device persist, and a persistent one go', () => {
    const name = tapName();
    made.push(name);
    opened(name, { persist: true }).close();
    expect(isThere(name)).toBe(true);
    opened(name, { persist: false }).close();
    expect(isThere(name)).toBe(false);
  });

  it('has several queues, each with its interrupt', async () => {
    const name = tapName();
    const interrupts = [0, 0];
    const each = port(name, { queues: 2 });
    expect([each.caps.rxQueues, each.caps.txQueues]).toEqual([2, 2]);
    each.open(memory, (queue) => interrupts[queue]!++);
    expect(Number(sys(name, 'tun_flags')) & 0x100).toBe(0x100);
    ip('link', 'set', name, 'addrgenmode', 'none');
    const peer = openPort(`packet:${name}`, executive, { blocks: 4, blockSize: 32 << 10 });
    const peerMemory = createHostArena(ARENA);
    peer.open(peerMemory, () => {});
    const batch = new FrameBatch(64);
    const got = [0, 0];
    for (let flow = 0; flow < 64; flow++) {
      peerMemory.bytes.fill(0, 64, 124);
      peerMemory.bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x08, 0x00, 0x45, 0, 0, 46], 64);
      peerMemory.bytes.set([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, flow, 7, 0, 9, 0, 26], 64 + 22);
      batch.offset[0] = 64;
      batch.len[0] = 60;
      batch.vlanTci[0] = -1;
      each.irqEnable(0, true);
      each.irqEnable(1, true);
      peer.txBurst(0, batch, 1);
      peer.txReap(0, batch);
      await pause(1);
      for (const queue of [0, 1]) {
        const n = each.rxBurst(queue, batch, 64);
        for (let i = 0; i < n; i++) memory.release(batch.buf[i]!);
        got[queue]! += n;
      }
    }
    peer.close();
    expect(got[0]! + got[1]!).toBeGreaterThanOrEqual(64);
    for (const queue of [0, 1]) expect([got[queue]! > 0, interrupts[queue]! > 0]).toEqual([true, true]);
  });

  it('shows the kernel a cable that is pulled and put in again', async () => {
    const name = tapName();
    const each = opened(name);
    let told = 0;
    each.close();
    each.open(
      memory,
      () => {},
      () => told++,
    );
    expect(each.setCarrier(false)).toBe(true);
    expect([sys(name, 'carrier'), each.link(), told]).toEqual(['0', false, 1]);
    expect(each.setCarrier(true)).toBe(true);
    expect([sys(name, 'carrier'), each.link(), told]).toEqual(['1', true, 2]);
  });

  it('has no link while the interface is down, and counts what it could not send', () => {
    const name = tap();
    const each = opened(name);
    ip('link', 'set', name, 'down');
    expect(each.link()).toBe(false);
    const batch = new FrameBatch(1);
    batch.offset[0] = 0;
    batch.len[0] = 60;
    batch.vlanTci[0] = -1;
    expect(each.txBurst(0, batch, 1)).toBe(1);
    expect(each.counters.get('tx_errors')).toBe(1);
    expect(each.txReap(0, batch)).toBe(1);
    ip('link', 'set', name, 'up');
    expect(each.link()).toBe(true);
  });

  it('counts a header that the kernel does not take, and sends the next frame', () => {
    const each = opened(tap());
    const batch = new FrameBatch(2);
    const buf = memory.alloc();
    memory.bytes.fill(2, memory.start(buf), memory.start(buf) + 60);
    for (const i of [0, 1]) {
      batch.offset[i] = memory.start(buf);
      batch.len[i] = 60;
      batch.vlanTci[i] = -1;
    }
    batch.csum[0] = CHECKSUM_PARTIAL;
    batch.csumStart[0] = 5000;
    expect(each.txBurst(0, batch, 2)).toBe(2);
    expect([each.counters.get('tx_errors'), each.counters.get('tx_frames')]).toEqual([1, 1]);
    expect(each.txReap(0, batch)).toBe(2);
    memory.release(buf);
  });

  it('is quiet and without a link when somebody deletes its device', async () => {
    const name = tap();
    let told = 0;
    let interrupts = 0;
    const each = port(name);
    each.open(
      memory,
      () => {
        interrupts++;
        each.rxBurst(0, new FrameBatch(4), 4);
        each.irqEnable(0, true);
      },
      () => told++,
    );
    each.irqEnable(0, true);
    removeTap(name);
    await pause(30);
    expect([told, each.link(), interrupts < 10]).toEqual([1, false, true]);
    expect(each.rxBurst(0, new FrameBatch(4), 4)).toBe(0);
    const batch = new FrameBatch(1);
    batch.len[0] = 60;
    batch.vlanTci[0] = -1;
    expect(each.txBurst(0, batch, 1)).toBe(1);
    expect(each.counters.get('tx_errors')).toBe(1);
  });

  it('counts what the kernel had no room for', () => {
    const name = tap();
    ip('link', 'set', name, 'txqueuelen', '4');
    const each = opened(name);
    const peer = openPort(`packet:${name}`, executive, { blocks: 4, blockSize: 32 << 10 });
    const peerMemory = createHostArena(ARENA);
    peer.open(peerMemory, () => {});
    const batch = new FrameBatch(64);
    peerMemory.bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5], 64);
    for (let i = 0; i < 64; i++) {
      batch.offset[i] = 64;
      batch.len[i] = 60;
      batch.vlanTci[i] = -1;
    }
    for (let round = 0; round < 4; round++) {
      peer.txBurst(0, batch, 64);
      peer.txReap(0, new FrameBatch(64));
    }
    // The kernel tells the sender, whose burst ends there; that frame is lost, and ours to count.
    const sent = peer.counters.get('tx_frames');
    const refused = peer.counters.get('tx_busy');
    peer.close();
    let got = 0;
    for (let n = each.rxBurst(0, batch, 64); n > 0; n = each.rxBurst(0, batch, 64)) {
      for (let i = 0; i < n; i++) memory.release(batch.buf[i]!);
      got += n;
    }
    expect(refused).toBe(4);
    // The kernel may have said something of its own meanwhile.
    expect(got + each.counters.get('rx_dropped_kernel')).toBeGreaterThanOrEqual(sent + refused);
    expect(each.counters.get('rx_dropped_kernel')).toBeGreaterThanOrEqual(refused);
    expect(got).toBeLessThan(10);
  });

  it('drops a jumbo frame that it has no buffer for, and takes the next one that fits a slot', () => {
    const name = tap();
    ip('link', 'set', name, 'mtu', '9000');
    const each = opened(name, { superFrames: 1 });
    const peer = openPort(`packet:${name}`, executive, { blocks: 4, blockSize: 32 << 10 });
    const peerMemory = createHostArena({ ...ARENA, slotSize: 16 << 10 });
    peer.open(peerMemory, () => {});
    const batch = new FrameBatch(64);
    const held: number[] = [];
    const frame = Uint8Array.from({ length: 9014 }, (_, i) => (i < 12 ? 2 : i * 7));
    frame.set([0x88, 0xb5], 12);
    for (const len of [9014, 9014, 2000, 1984, 1500]) {
      peerMemory.bytes.set(frame, 64);
      batch.offset[0] = 64;
      batch.len[0] = len;
      batch.vlanTci[0] = -1;
      peer.txBurst(0, batch, 1);
      peer.txReap(0, batch);
    }
    const n = each.rxBurst(0, batch, 64);
    const lens = Array.from(batch.len.slice(0, n));
    for (let i = 0; i < n; i++) {
      expect(
        Buffer.compare(memory.bytes.slice(batch.offset[i]!, batch.offset[i]! + lens[i]!), frame.slice(0, lens[i])),
      ).toBe(0);
      held.push(batch.buf[i]!);
    }
    peer.close();
    // The first one holds the only buffer; a full slot without one behind it may have been cut.
    expect(lens).toEqual([9014, 1500]);
    expect(each.counters.get('rx_no_buffer')).toBe(3);
    for (const buf of held) memory.release(buf);
  });

  it('says what is in its way', () => {
    expect(code(() => port('lo'))).toBe('ERR_NETPOLL_NOT_TAP');
    expect(code(() => port('a/b'))).toBe('ERR_NETPOLL_NAME');
    expect(code(() => port(tapName(), { queues: 1000 }))).toBe('ERR_NETPOLL_OPTIONS');
    expect(code(() => port(tapName(), { mtu: 20 }))).toBe('ERR_NETPOLL_OPTIONS');
    const name = tap();
    expect(code(() => port(name, { queues: 2 }))).toBe('ERR_NETPOLL_OPTIONS');
    opened(name);
    expect(code(() => opened(name))).toBe('ERR_NETPOLL_EBUSY');
    expect(code(() => port(tapName()).open(createArena(8), () => {}))).toBe('ERR_NETPOLL_ARENA');
    const tun = tapName();
    execFileSync('ip', ['tuntap', 'add', 'dev', tun, 'mode', 'tun']);
    made.push(tun);
    expect(code(() => port(tun))).toBe('ERR_NETPOLL_NOT_TAP');
  });
});
