import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { NET_XMIT_CN, NETDEV_TX_BUSY, NETDEV_TX_OK } from '../base/status.ts';
import { devChangeTxQueueLen } from '../device/change.ts';
import { testDevice, testFrame, testNet } from '../device/device.fixture.ts';
import { netifStartQueue, netifStopQueue, netifWakeQueue, txTrylock, txUnlock } from '../device/netdev_queue.ts';
import { devClose } from '../device/open.ts';
import { Softirq } from '../machine/softirq.ts';
import { devQueueXmit } from './dev_queue_xmit.ts';
import { netInit } from './net_init.ts';

function rig() {
  const made = testNet();
  netInit(made.net);
  const sent: number[] = [];
  const driver = { room: Number.POSITIVE_INFINITY };
  const dev = testDevice(made.net, {
    startXmit(skb, _dev, queue) {
      if (driver.room-- <= 0) {
        netifStopQueue(queue, 0);
        return NETDEV_TX_BUSY;
      }
      sent.push(skb.arena.bytes[skb.data]!);
      skb.pool.consume(skb);
      return NETDEV_TX_OK;
    },
  });
  const send = (n: number) => devQueueXmit(testFrame(dev, n));
  return { ...made, dev, driver, sent, send, queue: dev.txQueues[0]! };
}

describe('devQueueXmit', () => {
  it('keeps order across BUSY: the refused frame goes first when the driver wakes the queue', () => {
    const { send, sent, driver, queue, machine } = rig();
    driver.room = 2;
    for (let n = 0; n < 6; n++) expect(send(n)).toBe(0);
    expect([sent, queue.requeues, queue.qdisc!.qlen]).toEqual([[0, 1], 1, 4]);
    driver.room = 100;
    netifWakeQueue(queue);
    machine.turn();
    expect(sent).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('drops what is over the queue’s limit, and what is for a device that is down, with reasons', () => {
    const { send, dev, queue, machine } = rig();
    devChangeTxQueueLen(dev, 3);
    netifStopQueue(queue, 0);
    expect([1, 2, 3, 4].map(send)).toEqual([0, 0, 0, 1]);
    expect([machine.skbs.drops.get('QDISC_OVERLIMIT'), queue.qdisc!.drops]).toEqual([1, 1]);
    devClose(dev);
    expect([machine.skbs.drops.get('QUEUE_PURGE'), machine.skbs.inUse]).toEqual([3, 0]);
    expect(send(5)).toBe(NET_XMIT_CN);
    expect([machine.skbs.drops.get('QDISC_DROP'), dev.stats.get('tx_dropped')]).toEqual([1, 1]);
  });

  it('is not callable with interrupts off', () => {
    const { send, machine } = rig();
    machine.cpu.localIrqSave();
    expect(() => send(1)).toThrow(Bug);
  });

  it('looks again at a queue whose lock somebody else held', () => {
    const { send, sent, queue, machine } = rig();
    txTrylock(queue, 0);
    send(1);
    expect(sent).toEqual([]);
    txUnlock(queue);
    machine.turn();
    expect(sent).toEqual([1]);
  });

  it('hands the driver 64 frames a run and leaves the rest to the softirq', () => {
    const { send, sent, queue, machine } = rig();
    netifStopQueue(queue, 0);
    for (let n = 0; n < 100; n++) send(n);
    netifStartQueue(queue);
    send(100);
    expect([sent.length, machine.softirq.count[Softirq.NET_TX]]).toEqual([101, 1]);
  });
});
