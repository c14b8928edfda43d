// ethtool -g and -G on a running device over a packet port, with a real interface under it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { ethtoolGetStats, ethtoolSetRingparam } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createHostArena } from '../arena.ts';
import { createHostMachine, type HostMachine } from '../host_machine.ts';
import { openPort } from '../open_port.ts';
import { createVeth, noVeth, type Veth } from '../veth.fixture.ts';
import { PacketRingSize } from './packet_ring_size.ts';

const TEST_TYPE = 0x88b5;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('packet ring size', () => {
  it('is counted in frames of 2 KiB, and rounded up to a power of two and two blocks', () => {
    const size = new PacketRingSize({}, 1);
    expect(size.ring()).toEqual({ rx: 8192, tx: 0, rxMax: 32768, txMax: 0 });
    expect(size.setRing(5000, 0)).toBe(0);
    expect(size.ring().rx).toBe(8192);
    expect(size.setRing(1, 0)).toBe(0);
    expect([size.blocks, size.ring().rx]).toEqual([2, 128]);
    expect(size.setRing(0, 0)).toBe(-Errno.EINVAL);
    expect(() => new PacketRingSize({ blocks: 0 }, 1)).toThrow('0 blocks');
  });
});

describe.skipIf(noVeth !== null)(`packet ring under ethtool${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  let host: HostMachine;
  let dev: NetDevice;
  let heard = 0;
  beforeAll(() => {
    veth = createVeth();
    host = createHostMachine({ slots: 64, reserveBytes: 24 << 20 });
    dev = host.openDevice(`packet:${veth.b}`, { name: 'eth0', blocks: 16, blockSize: 64 << 10 });
    host.stack.types.add(TEST_TYPE, (skb) => {
      heard++;
      skb.pool.consume(skb);
      return 0;
    });
  });
  afterAll(() => {
    host.close();
    veth.remove();
  });

  /** Frames heard of 100 that the other end sends. */
  async function comes(): Promise<number> {
    const memory = createHostArena({ slots: 64, reserveBytes: 1 << 20 });
    const peer = openPort(veth.a, host.executive, { blocks: 2, blockSize: 64 << 10 });
    peer.open(memory, () => {});
    const batch = new FrameBatch(50);
    memory.bytes.fill(0xff, 0, 6);
    memory.view.setUint16(12, TEST_TYPE);
    batch.len.fill(60);
    heard = 0;
    for (let i = 0; i < 2; i++) {
      expect(peer.txBurst(0, batch, 50)).toBe(50);
      while (peer.txReap(0, batch) > 0);
    }
    for (const end = Date.now() + 1000; heard < 100 && Date.now() < end; ) await pause(2);
    peer.close();
    return heard;
  }

  it('changes while the device is up, and goes on receiving', async () => {
    expect(dev.ethtoolOps!.getRingparam!(dev)).toEqual({ rx: 512, tx: 0, rxMax: 32768, txMax: 0 });
    expect(await comes()).toBe(100);
    for (const [asked, got] of [
      [64, 64],
      [3000, 4096],
      [512, 512],
    ] as const) {
      expect(ethtoolSetRingparam(dev, asked, 0)).toBe(0);
      expect(dev.ethtoolOps!.getRingparam!(dev).rx).toBe(got);
      expect(await comes()).toBe(100);
    }
    expect(ethtoolGetStats(dev)!.get('rx_dropped_kernel')).toBe(0);
    expect(ethtoolGetStats(dev)!.get('rx_frames')).toBe(400);
  });

  it('stays as it is where the arena has no room', async () => {
    expect(ethtoolSetRingparam(dev, 32768, 0)).toBe(-Errno.ENOMEM);
    expect(ethtoolSetRingparam(dev, 40000, 0)).toBe(-Errno.EINVAL);
    expect(dev.ethtoolOps!.getRingparam!(dev).rx).toBe(512);
    expect(await comes()).toBe(100);
  });

  it('counts what a small ring had no room for, and how often the kernel found it full', async () => {
    expect(ethtoolSetRingparam(dev, 64, 0)).toBe(0);
    const memory = createHostArena({ slots: 64, reserveBytes: 1 << 20 });
    const peer = openPort(veth.a, host.executive, { blocks: 2, blockSize: 64 << 10 });
    peer.open(memory, () => {});
    const batch = new FrameBatch(50);
    memory.bytes.fill(0xff, 0, 6);
    memory.view.setUint16(12, TEST_TYPE);
    batch.len.fill(1400);
    const before = ethtoolGetStats(dev)!;
    heard = 0;
    // All at once: the event loop does not turn, so nobody reads meanwhile.
    for (let i = 0; i < 10; i++) {
      expect(peer.txBurst(0, batch, 50)).toBe(50);
      while (peer.txReap(0, batch) > 0);
    }
    for (let last = -1; last !== heard; await pause(30)) last = heard;
    const after = ethtoolGetStats(dev)!;
    const since = (name: string) => after.get(name)! - before.get(name)!;
    expect(heard).toBeLessThan(500);
    expect(heard + since('rx_dropped_kernel')).toBe(500);
    expect(since('rx_frames')).toBe(heard);
    expect(since('rx_freeze_q_cnt')).toBeGreaterThan(0);
    peer.close();
  });
});
