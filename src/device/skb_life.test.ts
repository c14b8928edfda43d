/** Frames as drivers get them and give them back: the allocators' headroom, frames of fragments, and frees from interrupts. */
import { describe, expect, it } from 'vitest';
import { DropReason } from '../skb/drop_reason.ts';
import { skbAddFrag } from '../skb/frags.ts';
import { NET_SKB_PAD } from '../skb/pool.ts';
import { type SkBuff, skbHeadroom, skbTailroom } from '../skb/sk_buff.ts';
import {
  devAllocSkb,
  GRO_MAX_HEAD,
  NET_IP_ALIGN,
  napiAllocSkb,
  napiGetFrags,
  napiGroFrags,
  netdevAllocSkb,
  netdevAllocSkbIpAlign,
} from './alloc_skb.ts';
import { testDevice, testFrame, testNet } from './device.fixture.ts';
import {
  devConsumeSkbAny,
  devConsumeSkbIrq,
  devKfreeSkbAny,
  devKfreeSkbIrq,
  napiConsumeSkb,
  zapCompletionQueue,
} from './kfree_skb.ts';
import { netifNapiAdd, netifNapiDel } from './napi_struct.ts';

function rig(skbs?: number) {
  const test = testNet(skbs === undefined ? {} : { skbs });
  const dev = testDevice(test.net);
  const napi = netifNapiAdd(dev, () => 0);
  const up: SkBuff[] = [];
  napi.receive = (skb) => void up.push(skb);
  return { ...test, dev, napi, up, pool: test.machine.skbs };
}

describe('allocators for drivers', () => {
  it('leave the headroom that the kernel leaves, and know their device', () => {
    const { machine, dev, napi, pool } = rig();
    machine.cpu.localBhDisable();
    const frames = [
      devAllocSkb(pool, 100)!,
      netdevAllocSkb(dev, 100)!,
      netdevAllocSkbIpAlign(dev, 100)!,
      napiAllocSkb(napi, 100)!,
    ];
    expect(frames.map(skbHeadroom)).toEqual([
      NET_SKB_PAD,
      NET_SKB_PAD,
      NET_SKB_PAD + NET_IP_ALIGN,
      NET_SKB_PAD + NET_IP_ALIGN,
    ]);
    expect(frames.map((skb) => skb.dev)).toEqual([null, dev, dev, dev]);
    expect(frames.map((skb) => skb.len === 0 && skbTailroom(skb) >= 100)).toEqual([true, true, true, true]);
    expect(frames[3]!.napiId).toBe(napi.id);
    machine.softirq.localBhEnable(machine.cpu);
  });

  it('refuse to work for a poll outside of one', () => {
    const { napi } = rig();
    expect(() => napiAllocSkb(napi, 10)).toThrow('from a poll');
  });
});

describe('frames of fragments', () => {
  it('are the same one until it is handed up, and go up with their Ethernet header read', () => {
    const { machine, dev, napi, up } = rig();
    machine.cpu.localBhDisable();
    const skb = napiGetFrags(napi)!;
    expect(napiGetFrags(napi)).toBe(skb);
    expect(skbTailroom(skb)).toBeGreaterThanOrEqual(GRO_MAX_HEAD);
    const buf = machine.arena.alloc();
    const at = machine.arena.start(buf);
    machine.arena.bytes.set([...dev.devAddr, 2, 0, 0, 0, 0, 9, 0x08, 0x00, 0x45], at);
    skbAddFrag(skb, buf, at, 60);
    expect(napiGroFrags(napi)).toBe(true);
    expect(up).toEqual([skb]);
    expect([skb.protocol, skb.len, skb.pktType, machine.arena.bytes[at + 14]]).toEqual([0x800, 46, 0, 0x45]);
    expect(napiGetFrags(napi)).not.toBe(skb);
  });

  it('are dropped where they have no whole header, and freed with their instance', () => {
    const { machine, dev, napi, pool } = rig();
    machine.cpu.localBhDisable();
    napiGetFrags(napi);
    expect([napiGroFrags(napi), dev.stats.get('rx_errors'), pool.drops.get('HDR_TRUNC')]).toEqual([false, 1, 1]);
    napiGetFrags(napi);
    netifNapiDel(napi);
    expect(pool.inUse).toBe(0);
  });
});

describe('the completion queue', () => {
  it('frees after the interrupt what was freed in it, the last one first, each as what it was', () => {
    const { machine, net, dev, pool } = rig();
    const order: number[] = [];
    const frames = [1, 2, 3].map((mark) => testFrame(dev, mark));
    frames.forEach((skb, i) => {
      skb.destructor = () => {
        expect([machine.cpu.inHardirq, machine.cpu.inSoftirq]).toEqual([false, true]);
        order.push(i + 1);
      };
    });
    const during: number[] = [];
    machine
      .requestIrq('test', machine.cpu, () => {
        devConsumeSkbIrq(net, frames[0]!);
        devKfreeSkbAny(net, frames[1]!, DropReason.QUEUE_PURGE);
        devConsumeSkbAny(net, frames[2]!);
        during.push(...order);
      })
      .raise();
    expect([during, order]).toEqual([[], [3, 2, 1]]);
    expect([pool.inUse, pool.drops.get('QUEUE_PURGE'), pool.drops.get('NOT_SPECIFIED')]).toEqual([0, 1, 0]);
  });

  it('is not used where a frame may be freed at once, nor for a reference that is not the last', () => {
    const { machine, net, dev, pool } = rig();
    devConsumeSkbAny(net, testFrame(dev));
    napiConsumeSkb(net, testFrame(dev), 64);
    napiConsumeSkb(net, testFrame(dev), 0);
    expect(pool.inUse).toBe(0);
    const held = testFrame(dev);
    pool.get(held);
    machine.requestIrq('test', machine.cpu, () => devKfreeSkbIrq(net, held)).raise();
    expect([held.users, pool.drops.get('NOT_SPECIFIED')]).toEqual([1, 0]);
  });

  it('gives netpoll what has no destructor while no softirq can come', () => {
    const { machine, net, dev, pool } = rig();
    const owned = testFrame(dev);
    let destroyed = 0;
    owned.destructor = () => destroyed++;
    const were = machine.cpu.localIrqSave();
    napiConsumeSkb(net, testFrame(dev), 0);
    devConsumeSkbAny(net, owned);
    expect(pool.inUse).toBe(2);
    expect([zapCompletionQueue(net), zapCompletionQueue(net), pool.inUse, destroyed]).toEqual([true, false, 1, 0]);
    machine.cpu.localIrqRestore(were);
    machine.turn();
    expect([pool.inUse, destroyed]).toEqual([0, 1]);
  });
});
