/** The nic driver's transmit ring and its doorbells, over a simulated card that counts the calls and can be short of room. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { devXmitComplete, NETDEV_TX_BUSY, NETDEV_TX_OK } from '../../base/status.ts';
import { NETIF_F_SG } from '../../device/features.ts';
import { netifQueueStopped, netifStopQueue, txTrylock, txUnlock } from '../../device/netdev_queue.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { netdevRxHandlerRegister } from '../../device/upper.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { skbAddFrag } from '../../skb/frags.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { skbForwardTo } from '../../stacked/forward_to.ts';
import { PortWrapper } from '../wrap/wrapper.ts';
import { createNic } from './nic.ts';
import type { FrameBatch, PortCaps } from './port.ts';

/** Writes down how many frames came at each call, and takes no more than `room` in all, or than `ring` that were not reaped. */
class Doors extends PortWrapper {
  calls: number[] = [];
  /** Pieces behind the head of the last call's first frame. */
  pieces = 0;
  reaps = 0;
  room = Number.POSITIVE_INFINITY;
  ring = Number.POSITIVE_INFINITY;
  #out = 0;

  /** It says that it takes pieces, and sends the head alone. */
  override get caps(): PortCaps {
    return { ...this.inner.caps, features: this.inner.caps.features | NETIF_F_SG };
  }

  override txBurst(queue: number, batch: FrameBatch, n: number): number {
    this.calls.push(n);
    this.pieces = batch.pieces[0]!;
    const taken = this.inner.txBurst(queue, batch, Math.min(n, this.room, this.ring - this.#out));
    this.room -= taken;
    this.#out += taken;
    return taken;
  }

  override txReap(queue: number, done: FrameBatch): number {
    this.reaps++;
    const n = this.inner.txReap(queue, done);
    this.#out -= n;
    return n;
  }
}

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sim = createSimMachine(world, { hostname: 'me' });
  const card = new SimPort(world, { name: 'sim:0', mac: macOf(1), wire });
  const door = new Doors(card);
  const dev = createNic(sim.net, door, 'eth0');
  const heard: number[] = [];
  wire.attach({ receive: (bytes: Uint8Array) => heard.push(bytes[14]! * 256 + bytes[15]!) } as never);
  devOpen(dev);
  const txq = dev.txQueues[0]!;
  let next = 0;
  const frame = (): SkBuff => {
    const skb = sim.machine.skbs.allocForDevice(dev, 60)!;
    const at = skbPut(skb, 60);
    skb.arena.bytes.fill(0, at, at + 60);
    skb.arena.bytes.fill(0xff, at, at + 6);
    skb.arena.view.setUint16(at + 14, next++);
    return skb;
  };
  /** A frame whose second half is a fragment. */
  const framePieces = (): SkBuff => {
    const skb = frame();
    const { arena } = skb;
    const buf = arena.alloc();
    expect(skbAddFrag(skb, buf, arena.start(buf), 40)).toBe(true);
    return skb;
  };
  /** As a qdisc run does: false gives the frame back. */
  const xmit = (more: boolean, make = frame): boolean => {
    if (txq.frozenOrStopped) return false;
    const skb = make();
    txTrylock(txq, 0);
    txq.xmitMore = more;
    const taken = devXmitComplete(dev.ops.startXmit(skb, dev, txq));
    txUnlock(txq);
    if (!taken) {
      next--;
      skb.pool.consume(skb);
    }
    return taken;
  };
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  return { ...sim, world, wire, card, door, dev, txq, heard, frame, framePieces, xmit, upTo, sent: () => next };
}

describe('the nic driver’s transmit ring', () => {
  it('rings the doorbell once for frames of which more follow, and for a full ring', () => {
    const { xmit, door, world, heard, dev, upTo } = rig();
    for (let i = 0; i < 9; i++) xmit(true);
    expect([door.calls, dev.stats.get('tx_packets')]).toEqual([[], 0]);
    xmit(false);
    expect([door.calls, dev.stats.get('tx_packets'), dev.stats.get('tx_bytes')]).toEqual([[10], 10, 600]);
    for (let i = 0; i < 64; i++) xmit(true);
    expect(door.calls).toEqual([10, 64]);
    world.runFor(1e6);
    expect(heard).toEqual(upTo(74));
  });

  it('gives a frame that is refused back, keeps those before it, and sends them in order when there is room', () => {
    const { xmit, door, world, heard, txq, dev, upTo, machine } = rig();
    door.room = 3;
    for (let i = 0; i < 5; i++) xmit(true);
    expect(xmit(false)).toBe(false);
    expect([netifQueueStopped(txq), dev.stats.get('tx_packets')]).toEqual([true, 3]);
    door.room = Number.POSITIVE_INFINITY;
    world.runFor(1e6);
    expect([heard, netifQueueStopped(txq)]).toEqual([upTo(5), false]);
    expect([dev.stats.get('tx_packets'), machine.skbs.inUse]).toEqual([5, 0]);
  });

  it('wakes a queue that was stopped with nothing on its way', () => {
    const { xmit, door, world, heard, txq } = rig();
    door.room = 0;
    expect([xmit(false), netifQueueStopped(txq)]).toEqual([false, true]);
    door.room = 1;
    world.runFor(1e6);
    expect([netifQueueStopped(txq), xmit(false)]).toEqual([false, true]);
    world.runFor(1e6);
    expect(heard).toEqual([0]);
  });

  it('counts what it still has when the device goes down, and frees it', () => {
    const { xmit, door, dev, machine } = rig();
    door.room = 2;
    for (let i = 0; i < 7; i++) xmit(i < 6);
    expect(dev.stats.get('tx_packets')).toBe(2);
    devClose(dev);
    expect([dev.stats.get('tx_dropped'), machine.skbs.inUse]).toEqual([4, 0]);
  });

  it('sends what is forwarded in one poll with one doorbell, and netpoll’s frames at once', () => {
    const { door, world, dev, net, machine, heard, frame, txq } = rig();
    const other = new SimPort(world, { name: 'sim:1', mac: macOf(2), wire: new Wire(world) });
    const from = createNic(net, other, 'eth1');
    devOpen(from);
    netdevRxHandlerRegister(from, (skb) => {
      if (skbForwardTo(dev, skb)) devQueueXmit(skb);
      return 'consumed';
    });
    const bytes = new Uint8Array(60).fill(0xff, 0, 6);
    machine.cpu.localIrqSave();
    for (let i = 0; i < 100; i++) {
      bytes[15] = i;
      other.receive(bytes, 60);
    }
    machine.cpu.localIrqRestore(false);
    world.runFor(1e6);
    expect(door.calls).toEqual([64, 36]);
    expect(heard.length).toBe(100);
    // With interrupts off nothing waits, also inside a poll.
    net.softnet[0]!.polling = true;
    const flags = machine.cpu.localIrqSave();
    txq.xmitMore = false;
    expect(dev.ops.startXmit(frame(), dev, txq)).toBe(NETDEV_TX_OK);
    machine.cpu.localIrqRestore(flags);
    net.softnet[0]!.polling = false;
    expect(door.calls).toEqual([64, 36, 1]);
  });

  it('loses, doubles and disorders nothing, however the port’s room comes and goes', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('send' as const), n: fc.integer({ min: 1, max: 90 }), last: fc.boolean() }),
      fc.record({ kind: fc.constant('room' as const), n: fc.integer({ min: 0, max: 90 }) }),
      fc.record({ kind: fc.constant('time' as const), n: fc.integer({ min: 0, max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { xmit, door, world, heard, upTo, sent, machine } = rig();
        for (const each of steps) {
          if (each.kind === 'room') door.room = each.n;
          else if (each.kind === 'time') world.runFor(each.n * 1000);
          else for (let i = 0; i < each.n; i++) if (!xmit(each.last ? i < each.n - 1 : true)) break;
        }
        door.room = Number.POSITIVE_INFINITY;
        // A promise of more is kept: what waits in the ring goes with it.
        for (let tries = 0; !xmit(false) && tries < 100; tries++) world.runFor(1e5);
        world.runFor(1e7);
        expect(heard).toEqual(upTo(sent()));
        expect(machine.skbs.inUse).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('makes room of what has left by itself, while no interrupt can', () => {
    const { xmit, door, world, machine, txq } = rig();
    door.ring = 4;
    const flags = machine.cpu.localIrqSave();
    for (let i = 0; i < 4; i++) expect(xmit(false)).toBe(true);
    world.runFor(1e6);
    expect([xmit(false), netifQueueStopped(txq), machine.skbs.inUse]).toEqual([true, false, 1]);
    machine.cpu.localIrqRestore(flags);
  });

  it('frees what has left once many are on their way, though nobody polls', () => {
    const { xmit, world, machine } = rig();
    const flags = machine.cpu.localIrqSave();
    for (let i = 0; i < 3 * 64; i++) {
      xmit(true);
      if (i % 64 === 63) world.runFor(1e6);
    }
    expect(machine.skbs.inUse).toBeLessThanOrEqual(64);
    machine.cpu.localIrqRestore(flags);
  });

  it('waits for its frames’ completion where some are on their way, and does not try again until then', () => {
    const { xmit, door, world, card, heard, upTo } = rig();
    door.ring = 3;
    card.txStalled = true;
    for (let i = 0; i < 5; i++) xmit(true);
    expect(xmit(false)).toBe(false);
    const { length } = door.calls;
    world.runFor(2e6);
    expect(door.calls.length).toBe(length);
    card.txStalled = false;
    // Somebody else's frame has the card go on.
    world.runFor(2e6);
    expect(heard.length).toBeLessThanOrEqual(5);
    expect(heard).toEqual(upTo(heard.length));
  });

  it('leaves a queue alone that somebody else has stopped, though it was short of room once', () => {
    const { xmit, door, world, card, txq, machine } = rig();
    door.room = 0;
    expect(xmit(false)).toBe(false);
    door.room = Number.POSITIVE_INFINITY;
    world.runFor(1e6);
    expect(netifQueueStopped(txq)).toBe(false);
    netifStopQueue(txq, machine.executive.now());
    card.receive(new Uint8Array(60).fill(0xff, 0, 6), 60);
    world.runFor(1e6);
    expect(netifQueueStopped(txq)).toBe(true);
  });

  it('wakes no queue of a device that goes down, though frames of it come back then', () => {
    const { xmit, door, dev, txq, machine } = rig();
    xmit(false);
    door.room = 0;
    expect(xmit(false)).toBe(false);
    devClose(dev);
    expect([netifQueueStopped(txq), machine.skbs.inUse]).toEqual([true, 0]);
  });

  it('asks no more for room once the device is down', () => {
    const { xmit, door, world, dev } = rig();
    door.room = 0;
    expect(xmit(false)).toBe(false);
    devClose(dev);
    devOpen(dev);
    const { reaps } = door;
    world.runFor(1e6);
    expect(door.reaps).toBe(reaps);
  });

  it('sends a frame in pieces alone, behind those that wait', () => {
    const { xmit, door, world, heard, framePieces, upTo, machine } = rig();
    for (let i = 0; i < 3; i++) xmit(true);
    expect(xmit(false, framePieces)).toBe(true);
    expect([door.calls, door.pieces]).toEqual([[3, 1], 1]);
    expect(xmit(false)).toBe(true);
    world.runFor(1e6);
    expect([heard, door.pieces, machine.skbs.inUse]).toEqual([upTo(5), 0, 0]);
  });

  it('gives a frame in pieces back where there is no room for it, or for those before it, and keeps those', () => {
    const { xmit, door, world, heard, framePieces, upTo, machine } = rig();
    door.room = 0;
    for (let i = 0; i < 3; i++) xmit(true);
    expect(xmit(false, framePieces)).toBe(false);
    expect([door.calls, machine.skbs.inUse]).toEqual([[3], 3]);
    door.room = 3;
    world.runFor(1e6);
    expect(heard).toEqual(upTo(3));
    expect(xmit(false, framePieces)).toBe(false);
    expect(machine.skbs.inUse).toBe(0);
    door.room = Number.POSITIVE_INFINITY;
    world.runFor(1e6);
    expect(xmit(false, framePieces)).toBe(true);
    world.runFor(1e6);
    expect([heard, machine.skbs.inUse]).toEqual([upTo(4), 0]);
  });

  it('says BUSY to who calls it although it is stopped, and touches nothing', () => {
    const { xmit, door, dev, txq, frame, machine } = rig();
    door.room = 0;
    for (let i = 0; i < 63; i++) xmit(true);
    expect(xmit(true)).toBe(false);
    const skb = frame();
    expect([dev.ops.startXmit(skb, dev, txq), skb.users, machine.skbs.inUse]).toEqual([NETDEV_TX_BUSY, 1, 64]);
  });
});
