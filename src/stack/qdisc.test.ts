import { describe, expect, it } from 'vitest';
import { NET_XMIT_CN, NETDEV_TX_BUSY, NETDEV_TX_OK } from '../base/status.ts';
import { devChangeTxQueueLen } from '../device/change.ts';
import { testDevice, testFrame, testNet } from '../device/device.fixture.ts';
import { allocEtherdev } from '../device/eth.ts';
import { type DeviceOps, type NetDevice, netifCarrierOff, netifCarrierOn } from '../device/net_device.ts';
import {
  netdevTxCompletedQueue,
  netdevTxSentQueue,
  netifStartQueue,
  netifStopQueue,
  netifWakeQueue,
} from '../device/netdev_queue.ts';
import { devOpen } from '../device/open.ts';
import { registerNetdevice } from '../device/register.ts';
import { PACKET_OUTGOING } from '../skb/sk_buff.ts';
import { devQueueXmit } from './dev_queue_xmit.ts';
import { netInit } from './net_init.ts';
import { PRIO_TO_BAND } from './qdisc_pfifo_fast.ts';

function rig(ops: Partial<DeviceOps> = {}, txQueues = 1, cpus = 1) {
  const made = testNet({ cpus });
  const stack = netInit(made.net);
  const sent: { mark: number; queue: number; more: boolean }[] = [];
  const dev = testDevice(
    made.net,
    {
      startXmit(skb, _dev, txq) {
        sent.push({ mark: skb.arena.bytes[skb.data]!, queue: txq.index, more: txq.xmitMore });
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
      ...ops,
    },
    txQueues,
  );
  const send = (mark: number, change: (skb: ReturnType<typeof testFrame>) => void = () => {}) => {
    const skb = testFrame(dev, mark);
    change(skb);
    return devQueueXmit(skb);
  };
  return { ...made, stack, dev, sent, send, txq: dev.txQueues[0]! };
}

describe('pfifo_fast', () => {
  it('sends by band, and within a band in order', () => {
    const { send, sent, txq, machine } = rig();
    expect(PRIO_TO_BAND).toEqual([1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    netifStopQueue(txq, 0);
    const priorities = [0, 1, 6, 2, 4, 7, 15];
    priorities.forEach((priority, mark) => {
      send(mark, (skb) => {
        skb.priority = priority;
      });
    });
    expect(txq.qdisc!.qlen).toBe(7);
    netifWakeQueue(txq);
    machine.turn();
    expect(sent.map(({ mark }) => mark)).toEqual([2, 5, 0, 4, 6, 1, 3]);
  });

  it('holds txQueueLen frames in each band, and drops from the tail when that shrinks', () => {
    const { send, dev, txq, machine } = rig();
    devChangeTxQueueLen(dev, 4);
    netifStopQueue(txq, 0);
    for (let mark = 0; mark < 4; mark++) send(mark);
    expect(send(4)).toBe(1);
    const urgent = send(5, (skb) => {
      skb.priority = 6;
    });
    expect([urgent, txq.qdisc!.qlen, txq.qdisc!.drops]).toEqual([0, 5, 1]);
    devChangeTxQueueLen(dev, 2);
    expect([txq.qdisc!.qlen, txq.qdisc!.backlog, machine.skbs.drops.get('QDISC_OVERLIMIT')]).toEqual([3, 180, 3]);
    expect([devChangeTxQueueLen(dev, -1), devChangeTxQueueLen(dev, 2 ** 32)]).toEqual([-34, -34]);
  });
});

describe('a qdisc', () => {
  it('keeps a frame that the driver refused in front, whatever its band, and counts it', () => {
    let busy = true;
    const sent: number[] = [];
    const { send, txq, machine } = rig({
      startXmit(skb, _dev, queue) {
        if (busy) {
          netifStopQueue(queue, 0);
          return NETDEV_TX_BUSY;
        }
        sent.push(skb.arena.bytes[skb.data]!);
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
    send(1);
    send(2, (skb) => {
      skb.priority = 6;
    });
    const qdisc = txq.qdisc!;
    expect([qdisc.requeues, qdisc.qlen, qdisc.gsoSkb.length]).toEqual([1, 2, 1]);
    busy = false;
    netifWakeQueue(txq);
    machine.turn();
    expect([sent, qdisc.qlen, qdisc.backlog, qdisc.packets, qdisc.bytes]).toEqual([[1, 2], 0, 0, 2, 120]);
  });

  it('takes frames as far as the byte limits have room, and says that more follow', () => {
    const { send, sent, txq, machine } = rig();
    txq.dql.queued(150);
    txq.dql.completed(150, 0);
    netifStopQueue(txq, 0);
    for (let mark = 0; mark < 5; mark++) send(mark);
    netifWakeQueue(txq);
    machine.turn();
    expect(sent.map(({ more }) => more)).toEqual([true, true, false, true, false]);
  });

  it('waits while the byte limits are used up', () => {
    const sent: number[] = [];
    const { send, txq, machine } = rig({
      startXmit(skb, _dev, queue) {
        sent.push(skb.arena.bytes[skb.data]!);
        netdevTxSentQueue(queue, skb.len);
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
    for (let mark = 0; mark < 4; mark++) send(mark);
    expect(sent).toEqual([0]);
    netdevTxCompletedQueue(txq, 1, 60);
    machine.turn();
    expect(sent).toEqual([0, 1, 2]);
  });

  it('is noop while there is no link: frames are dropped, and sent again when it is back', () => {
    const { send, sent, dev, txq, machine } = rig();
    netifStopQueue(txq, 0);
    send(1);
    netifCarrierOff(dev);
    machine.turn();
    expect([send(2), machine.skbs.drops.get('QUEUE_PURGE'), dev.stats.get('tx_dropped')]).toEqual([NET_XMIT_CN, 1, 1]);
    netifStartQueue(txq);
    netifCarrierOn(dev);
    expect([send(3), sent.map(({ mark }) => mark)]).toEqual([0, [3]]);
  });
});

describe('a device without a queue', () => {
  function unqueued(net: ReturnType<typeof testNet>['net'], startXmit: DeviceOps['startXmit']): NetDevice {
    const dev = allocEtherdev(net, { ops: { open: () => 0, startXmit } });
    dev.devAddr.set([2, 0, 0, 0, 0, 7]);
    dev.noQueue = true;
    registerNetdevice(dev);
    devOpen(dev);
    return dev;
  }

  it('drops what its driver does not take at once, and says so', () => {
    const { net, machine } = rig();
    const dev = unqueued(net, () => NETDEV_TX_BUSY);
    expect(devQueueXmit(testFrame(dev))).toBe(-100);
    const last = machine.printk.record(machine.printk.nextSeq - 1)!;
    expect(new TextDecoder().decode(last.text)).toBe(`Virtual device ${dev.name} asks to queue packet!`);
    expect([dev.stats.get('tx_dropped'), machine.skbs.inUse]).toEqual([1, 0]);
  });

  it('ends a circle of devices that send through each other', () => {
    const { net, machine } = rig();
    let depth = 0;
    const devs: NetDevice[] = [];
    for (let i = 0; i < 12; i++) {
      devs.push(
        unqueued(net, (skb) => {
          depth++;
          skb.dev = devs[(i + 1) % devs.length]!;
          devQueueXmit(skb);
          return NETDEV_TX_OK;
        }),
      );
    }
    devQueueXmit(testFrame(devs[0]!));
    expect([depth, machine.skbs.drops.get('RECURSION_LIMIT'), machine.skbs.inUse]).toEqual([9, 1, 0]);
  });
});

describe('several queues', () => {
  it('have mq over them and keep a flow on one', () => {
    const { send, sent, dev } = rig({}, 4);
    expect([dev.qdisc!.ops.id, dev.txQueues[3]!.qdisc!.ops.id]).toEqual(['mq', 'pfifo_fast']);
    const used = new Set<number>();
    for (let flow = 1; flow < 64; flow++) {
      for (let i = 0; i < 2; i++) {
        send(flow, (skb) => {
          skb.hash = Math.imul(flow, 0x9e3779b1) >>> 0;
        });
      }
      const [a, b] = sent.slice(-2);
      expect(a!.queue).toBe(b!.queue);
      used.add(a!.queue);
    }
    expect(used.size).toBe(4);
  });

  it('answer on the queue of the receive queue, unless XPS names others', () => {
    const { send, sent, dev } = rig({}, 4);
    const answer = (rxq: number) =>
      send(1, (skb) => {
        skb.hash = 0xffffffff;
        skb.queueMapping = rxq + 1;
      });
    answer(2);
    answer(6);
    dev.xpsCpus = [[1]];
    answer(2);
    dev.xpsCpus = [[0, 3]];
    answer(2);
    dev.xpsRxqs = [undefined, undefined, [2]];
    answer(2);
    dev.xpsRxqs = null;
    dev.xpsCpus = [[9]];
    answer(1);
    expect(sent.map(({ queue }) => queue)).toEqual([2, 2, 1, 3, 2, 1]);
  });

  it('are the driver’s to choose; one that is not in use becomes the first, with one complaint', () => {
    let choice = 2;
    const { send, sent, machine } = rig({ selectQueue: () => choice }, 4);
    const before = machine.printk.nextSeq;
    send(1);
    choice = 9;
    send(2);
    send(3);
    expect([sent.map(({ queue }) => queue), machine.printk.nextSeq - before]).toEqual([[2, 0, 0], 1]);
  });
});

describe('taps', () => {
  it('see what goes out, as OUTGOING', () => {
    const { stack, send } = rig();
    const seen: number[] = [];
    stack.types.add(3, (skb) => {
      seen.push(skb.pktType);
      skb.pool.consume(skb);
      return 0;
    });
    send(1);
    expect(seen).toEqual([PACKET_OUTGOING]);
  });
});

describe('the watchdog', () => {
  it('tells the driver of a queue that was stopped for longer than its limit, once a round, and freezes all meanwhile', () => {
    const late: number[] = [];
    let frozen: number[] = [];
    const { net, executive, machine, dev } = rig({}, 1);
    const watched = testDevice(
      net,
      {
        txTimeout(of, txq) {
          late.push(txq.index);
          frozen = of.txQueues.map((each) => each.state & 4);
          netifWakeQueue(txq);
        },
      },
      2,
    );
    netifStopQueue(watched.txQueues[1]!, 0);
    const fired: number[] = [];
    for (let second = 1; second <= 20; second++) {
      executive.nowNs = second * 1e9;
      const before = late.length;
      machine.turn();
      if (late.length > before) fired.push(second);
    }
    expect([late, fired, frozen]).toEqual([[1], [6], [4, 4]]);
    expect([watched.txQueues[1]!.transTimeout, watched.txQueues[1]!.state]).toEqual([1, 0]);
    const log = Array.from({ length: machine.printk.nextSeq }, (_, seq) => machine.printk.record(seq)!);
    const lines = log.map(({ text }) => new TextDecoder().decode(text));
    expect(lines).toContain(`${watched.name}: NETDEV WATCHDOG: CPU: 0: transmit queue 1 timed out 6000 ms`);
    expect(dev.watchdogTimer).toBeNull();
  });
});
