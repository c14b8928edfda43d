import { describe, expect, it } from 'vitest';
import { testDevice, testFrame, testNet } from '../device/device.fixture.ts';
import { devClose } from '../device/open.ts';
import { unregisterNetdevice } from '../device/register.ts';
import { NETDEV_MAX_BACKLOG } from './backlog.ts';
import { netInit } from './net_init.ts';

function rig() {
  const made = testNet({ skbs: 2000 });
  const stack = netInit(made.net);
  const dev = testDevice(made.net);
  const softnet = made.net.softnet[0]!;
  const got: number[] = [];
  stack.types.add(0x0800, (skb) => {
    got.push(skb.tstampUs);
    skb.pool.consume(skb);
    return 0;
  });
  const put = (n: number) => {
    const skb = testFrame(dev, 0, 20);
    skb.protocol = 0x0800;
    skb.tstampUs = n;
    return softnet.enqueue(skb);
  };
  return { ...made, stack, dev, softnet, got, put };
}

describe('the backlog', () => {
  it('hands frames up in order, in softirq context, at most 64 a poll', () => {
    const { put, got, machine, softnet } = rig();
    for (let i = 0; i < 50; i++) expect(put(i)).toBe(0);
    expect(got).toEqual([]);
    machine.turn();
    expect(got).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([softnet.processed, softnet.pollList.length]).toEqual([50, 0]);
  });

  it('polls once for a batch: no extra round for the frames behind the first', () => {
    const { put, net, machine } = rig();
    for (let i = 0; i < 10; i++) put(i);
    const napi = net.softnet[0]!.pollList.head!;
    machine.turn();
    expect(napi.polls).toBe(1);
  });

  it('drops frames of a device that is down, with its reason', () => {
    const { put, dev, machine } = rig();
    devClose(dev);
    expect(put(1)).toBe(1);
    expect([machine.skbs.drops.get('DEV_READY'), dev.stats.get('rx_dropped'), machine.skbs.inUse]).toEqual([1, 1, 0]);
  });

  it('takes 1,001 frames and drops the rest, counted for CPU, device and reason', () => {
    const { dev, softnet, net, machine, got } = rig();
    // One buffer, many frames over it: the arena of a test machine is small.
    const { skbs } = net.machine;
    const first = testFrame(dev, 0, 20);
    let taken = 0;
    let refused = 0;
    for (let i = 0; i < 1200; i++) {
      const copy = skbs.clone(first)!;
      copy.protocol = 0x0800;
      if (softnet.enqueue(copy) === 0) taken++;
      else refused++;
    }
    expect(NETDEV_MAX_BACKLOG).toBe(1000);
    expect([taken, refused, softnet.dropped]).toEqual([1001, 199, 199]);
    expect([skbs.drops.get('CPU_BACKLOG'), dev.stats.get('rx_dropped')]).toEqual([199, 199]);
    for (let i = 0; i < 10; i++) machine.turn();
    expect([got.length, skbs.inUse]).toEqual([1001, 1]);
  });

  it('drops what waits of a device that goes away, and nothing else', () => {
    const { net, put, got, machine, dev, stack, softnet } = rig();
    const other = testDevice(net);
    const waits = (n: number) => {
      const skb = testFrame(other, 0, 20);
      skb.protocol = 0x0800;
      skb.tstampUs = n;
      softnet.enqueue(skb);
    };
    for (let i = 0; i < 6; i++) (i % 2 === 0 ? put : waits)(i);
    unregisterNetdevice(dev);
    expect([stack.backlogs[0]!.input.length, machine.skbs.drops.get('QUEUE_PURGE')]).toEqual([3, 3]);
    machine.turn();
    expect([got, machine.skbs.inUse, stack.backlogs[0]!.head]).toEqual([[1, 3, 5], 0, stack.backlogs[0]!.tail]);
  });
});
