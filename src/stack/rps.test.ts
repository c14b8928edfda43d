import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { skbGetHash } from '../skb/get_hash.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_IP } from '../wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { FlowLimit, hash32 } from './flow_limit.ts';
import { netInit } from './net_init.ts';

const CPUS = 4;

interface Seen {
  readonly flow: number;
  readonly serial: number;
  readonly cpu: number;
}

function rig(cpus = CPUS) {
  const made = testNet({ cpus, skbs: 4000 });
  const stack = netInit(made.net);
  const dev = testDevice(made.net);
  const seen: Seen[] = [];
  stack.types.add(ETH_P_IP, (skb) => {
    const { view } = skb.arena;
    seen.push({ flow: view.getUint16(skb.data + 20), serial: skb.tstampUs, cpu: made.machine.cpu.id });
    skb.pool.consume(skb);
    return 0;
  });
  let serial = 0;
  /** A UDP frame of flow `flow`, as a driver has it after eth_type_trans. */
  const frame = (flow: number): SkBuff => {
    const skb = made.machine.skbs.allocForDevice(dev, 60)!;
    writeIpv4(skb.arena.view, skb.data, 1, IPPROTO_UDP, 0x0a000001, 0x0a000002, 8);
    skb.arena.view.setUint16(skb.data + 20, flow);
    skb.arena.view.setUint16(skb.data + 22, 53);
    skb.tail += 28;
    skb.len += 28;
    skb.protocol = ETH_P_IP;
    skb.tstampUs = ++serial;
    return skb;
  };
  /** In the NET_RX softirq of `cpu`: hands the frames up as NAPI does. */
  const receive = (cpu: number, frames: SkBuff[]) => {
    const was = made.machine.enterCpu(made.machine.cpus[cpu]!);
    made.machine.cpu.localBhDisable();
    for (const skb of frames) made.net.napiReceive(skb);
    made.machine.softirq.localBhEnable(made.machine.cpu);
    made.machine.leaveCpu(was);
  };
  const turn = () => {
    for (let i = 0; i < 50; i++) made.machine.turn();
  };
  const softnet = made.net.softnet;
  return { ...made, ...stack, dev, seen, frame, receive, turn, softnet };
}

/** Puts the application on `cpu` and lets it read `flow`. */
function reads(r: ReturnType<typeof rig>, cpu: number, flow: number): void {
  const skb = r.frame(flow);
  const was = r.machine.enterCpu(r.machine.cpus[cpu]!);
  r.rps.recordSockFlow(skbGetHash(skb));
  r.machine.leaveCpu(was);
  skb.pool.consume(skb);
}

const cpusOf = (seen: Seen[], flow: number) => [
  ...new Set(seen.filter((each) => each.flow === flow).map(({ cpu }) => cpu)),
];

describe('a frame of a queue that is not in use', () => {
  test('is not steered, and the driver is told once', () => {
    const r = rig();
    r.dev.realNumRxQueues = 2;
    r.rps.setCpus(r.dev, 5, [1]);
    for (let i = 0; i < 2; i++) {
      const skb = r.frame(1);
      skb.queueMapping = 6;
      expect(r.rps.get(skb)).toBe(-1);
      skb.pool.consume(skb);
    }
    const { printk } = r.machine;
    const records = Array.from({ length: printk.nextSeq }, (_, seq) =>
      new TextDecoder().decode(printk.record(seq)!.text),
    );
    const said = records.filter((text) => text.includes('received packet on queue 5'));
    expect(said.length).toBe(1);
  });
});

describe('RPS', () => {
  test('off: frames go up where they were received, and nothing waits', () => {
    const r = rig();
    r.receive(1, [r.frame(1), r.frame(2)]);
    expect(r.seen.map(({ cpu }) => cpu)).toEqual([1, 1]);
    expect(r.softnet.map((each) => each.receivedRps)).toEqual([0, 0, 0, 0]);
  });

  test('chooses the CPU by the upper part of the hash times the length of the list', () => {
    const r = rig();
    r.rps.setCpus(r.dev, 0, [0, 1, 2, 3]);
    for (let flow = 1; flow < 200; flow++) {
      const skb = r.frame(flow);
      expect(r.rps.get(skb)).toBe(Math.floor((skbGetHash(skb) * 4) / 2 ** 32));
      skb.pool.consume(skb);
    }
  });

  test('moves frames to the other CPU with one interrupt a batch, and counts interrupts, not frames', () => {
    const r = rig(2);
    r.rps.setCpus(r.dev, 0, [1]);
    r.receive(
      0,
      Array.from({ length: 20 }, () => r.frame(7)),
    );
    r.turn();
    expect(r.seen.map(({ cpu }) => cpu)).toEqual(new Array(20).fill(1));
    expect(r.softnet[1]!.receivedRps).toBe(1);
    expect(r.softnet.map(({ processed }) => processed)).toEqual([0, 20]);
    expect([r.backlogs[1]!.tail, r.backlogs[1]!.head, r.machine.skbs.inUse]).toEqual([20, 20, 0]);
  });

  test('steers netif_rx too, from an interrupt handler', () => {
    const r = rig(2);
    r.rps.setCpus(r.dev, 0, [1]);
    const line = r.machine.requestIrq('nic', r.machine.cpus[0]!, () => {
      for (let i = 0; i < 3; i++) r.softnet[0]!.enqueue(r.frame(7));
    });
    line.raise();
    r.turn();
    expect(r.seen.map(({ cpu }) => cpu)).toEqual([1, 1, 1]);
  });

  test('leaves a queue alone that has no list, and one whose number the device has not', () => {
    const r = rig();
    r.rps.setCpus(r.dev, 1, [3]);
    const steered = r.frame(1);
    steered.queueMapping = 2;
    const unrecorded = r.frame(1);
    const other = r.frame(1);
    other.queueMapping = 9;
    r.receive(0, [steered, unrecorded, other]);
    r.turn();
    expect(r.seen.map(({ cpu }) => cpu).sort()).toEqual([0, 0, 3]);
  });

  test('drops and counts on the CPU that was chosen when its backlog is full', () => {
    const r = rig(2);
    r.rps.setCpus(r.dev, 0, [1]);
    r.backlogs[1]!.maxBacklog = 9;
    r.receive(
      0,
      Array.from({ length: 15 }, () => r.frame(7)),
    );
    r.turn();
    expect([r.seen.length, r.softnet[1]!.dropped, r.dev.stats.get('rx_dropped')]).toEqual([10, 5, 5]);
    expect([r.softnet[0]!.dropped, r.machine.skbs.drops.get('CPU_BACKLOG'), r.machine.skbs.inUse]).toEqual([0, 5, 0]);
  });

  test('whatever the flows, queues and lists: every frame goes up once, a flow on one CPU, in order', () => {
    const batch = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 10 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: CPUS - 1 }), batch), { maxLength: 12 }),
        fc.uniqueArray(fc.integer({ min: 0, max: CPUS - 1 }), { minLength: 1 }),
        (batches, list) => {
          const r = rig();
          r.rps.setCpus(r.dev, 0, list);
          let sent = 0;
          for (const [cpu, flows] of batches) {
            sent += flows.length;
            r.receive(
              cpu,
              flows.map((flow) => r.frame(flow)),
            );
          }
          r.turn();
          expect(r.seen.length).toBe(sent);
          expect(r.machine.skbs.inUse).toBe(0);
          inOrder(r.seen);
          for (let flow = 1; flow <= 12; flow++) expect(cpusOf(r.seen, flow).length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 150 },
    );
  });
});

function inOrder(seen: Seen[]): void {
  const last = new Map<number, number>();
  for (const { flow, serial } of seen) {
    expect(serial).toBeGreaterThan(last.get(flow) ?? 0);
    last.set(flow, serial);
  }
}

describe('RFS', () => {
  function flowing() {
    const r = rig();
    r.rps.setSockFlowEntries(32768);
    r.rps.setFlowCount(r.dev, 0, 2048);
    return r;
  }

  test('follows the application to its CPU', () => {
    const r = flowing();
    reads(r, 2, 7);
    r.receive(0, [r.frame(7), r.frame(8)]);
    r.turn();
    expect([cpusOf(r.seen, 7), cpusOf(r.seen, 8)]).toEqual([[2], [0]]);
    reads(r, 3, 7);
    r.receive(0, [r.frame(7)]);
    r.turn();
    expect(cpusOf(r.seen, 7)).toEqual([2, 3]);
  });

  test('does not follow before the last frame has left the CPU where the flow went', () => {
    const r = flowing();
    reads(r, 1, 7);
    const get = () => {
      const skb = r.frame(7);
      const cpu = r.rps.get(skb);
      r.rps.enqueue(skb, cpu);
      return cpu;
    };
    expect(get()).toBe(1);
    reads(r, 2, 7);
    // The frame is on CPU 1's backlog still.
    expect([get(), get()]).toEqual([1, 1]);
    r.turn();
    expect(get()).toBe(2);
    r.turn();
    inOrder(r.seen);
    expect(r.machine.skbs.inUse).toBe(0);
  });

  test('tells by signed distance: counters that wrap change nothing', () => {
    const r = flowing();
    for (const backlog of r.backlogs) {
      backlog.head = 0xfffffffe;
      backlog.tail = 0xfffffffe;
    }
    reads(r, 1, 7);
    r.receive(0, [r.frame(7), r.frame(7), r.frame(7)]);
    r.turn();
    expect([r.backlogs[1]!.head, r.backlogs[1]!.tail]).toEqual([1, 1]);
    reads(r, 2, 7);
    r.receive(0, [r.frame(7)]);
    r.turn();
    expect(cpusOf(r.seen, 7)).toEqual([1, 2]);
  });

  test('falls back to the list of CPUs for flows that nobody has read', () => {
    const r = flowing();
    r.rps.setCpus(r.dev, 0, [3]);
    reads(r, 1, 7);
    r.receive(0, [r.frame(7), r.frame(8)]);
    r.turn();
    expect([cpusOf(r.seen, 7), cpusOf(r.seen, 8)]).toEqual([[1], [3]]);
  });

  test('however applications move: no frame is lost, and each flow stays in order', () => {
    const step = fc.record({
      read: fc.tuple(fc.integer({ min: 0, max: CPUS - 1 }), fc.integer({ min: 1, max: 6 })),
      flows: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 8 }),
      turn: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const r = flowing();
        let sent = 0;
        for (const { read, flows, turn } of steps) {
          reads(r, read[0], read[1]);
          for (const flow of flows) {
            const skb = r.frame(flow);
            if (!r.rps.steer(skb)) r.softnet[0]!.deliver(skb);
            sent++;
          }
          if (turn) r.turn();
        }
        r.turn();
        expect([r.seen.length, r.machine.skbs.inUse]).toEqual([sent, 0]);
        inOrder(r.seen);
      }),
      { numRuns: 150 },
    );
  });
});

describe('the flow limit', () => {
  test('lets 64 of the last 128 frames be of one flow', () => {
    const limit = new FlowLimit();
    const heavy = Array.from({ length: 100 }, () => limit.exceeded(0x12345678));
    expect(heavy.indexOf(true)).toBe(64);
    expect(limit.count).toBe(36);
    expect(limit.exceeded(0x9abcdef0)).toBe(false);
  });

  test('forgets a flow when 128 others have passed', () => {
    const limit = new FlowLimit();
    for (let i = 0; i < 64; i++) limit.exceeded(1);
    for (let i = 0; i < 128; i++) limit.exceeded(0x1000000 * (i + 2));
    expect(limit.exceeded(1)).toBe(false);
  });

  test('is asked only when the backlog is half full, and counts on the CPU', () => {
    const r = rig(1);
    const backlog = r.backlogs[0]!;
    backlog.flowLimit = new FlowLimit();
    backlog.maxBacklog = 40;
    const put = (flow: number, n: number) => {
      let taken = 0;
      for (let i = 0; i < n; i++) if (r.softnet[0]!.enqueue(r.frame(flow)) === 0) taken++;
      return taken;
    };
    expect(put(1, 41)).toBe(41);
    expect(r.softnet[0]!.flowLimitCount).toBe(0);
    r.turn();
    backlog.maxBacklog = 110;
    expect(put(1, 56)).toBe(55 + 1);
    // From here on the limit counts; one frame of the flow was seen by it: 43 with the 41 before are too few to stop it at 55.
    expect(put(2, 10)).toBe(10);
    r.turn();
    expect(r.machine.skbs.inUse).toBe(0);
  });

  test('takes the upper bits of a multiplication for the bucket', () => {
    expect([hash32(1, 12), hash32(0xffffffff, 12), hash32(5, 0)]).toEqual([0x61c, 0x9e3, 0]);
  });
});
