import { describe, expect, it } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { NAPI_STATE_NPSVC, napiCompleteDone, napiEnable, napiSchedule, netifNapiAdd } from '../device/napi_struct.ts';
import type { NetDevice } from '../device/net_device.ts';
import { napiInit } from './napi_init.ts';

/** An instance with `frames` waiting; each poll is written to `log`, as in A64. */
function source(dev: NetDevice, name: string, frames: number, log: string[], onPoll: () => void = () => {}) {
  let left = frames;
  const napi = netifNapiAdd(dev, (self, budget) => {
    onPoll();
    const work = Math.min(left, budget);
    left -= work;
    log.push(`${name}${work}`);
    if (work < budget) napiCompleteDone(self, work);
    return work;
  });
  napiEnable(napi);
  return napi;
}

function rig(cpus = 1) {
  const made = testNet({ cpus });
  const limits = napiInit(made.net);
  return { ...made, limits, dev: testDevice(made.net), log: [] as string[], softnet: made.net.softnet[0]! };
}

/** One pass of NET_RX a bar: the softirq's own restarts are made visible by counting its runs. */
function passes(made: ReturnType<typeof rig>, run: () => void): string[] {
  const { machine, log } = made;
  const NET_RX = 3;
  const result: string[][] = [];
  let seen = -1;
  const push = log.push.bind(log);
  log.push = (...items: string[]) => {
    const pass = machine.softirq.count[NET_RX]!;
    if (pass !== seen) result.push([]);
    seen = pass;
    result.at(-1)!.push(...items);
    return push(...items);
  };
  run();
  return result.map((each) => each.join(','));
}

describe('net_rx_action', () => {
  it('shares as today’s kernel: A with 200 frames, B with 10, gives A64,B10 | A64 | A64 | A8', () => {
    const made = rig();
    const a = source(made.dev, 'A', 200, made.log);
    const b = source(made.dev, 'B', 10, made.log);
    const seen = passes(made, () => {
      napiSchedule(a);
      napiSchedule(b);
      made.machine.turn();
    });
    expect(seen).toEqual(['A64,B10', 'A64', 'A64', 'A8']);
    expect([a.polls, a.work, made.softnet.timeSqueeze]).toEqual([4, 200, 0]);
  });

  it('stops at the budget of 300, one weight over at most, and counts the squeeze once a run', () => {
    const made = rig();
    for (let i = 0; i < 7; i++) napiSchedule(source(made.dev, String(i), 64, made.log));
    const seen = passes(made, () => made.machine.turn());
    expect(seen).toEqual(['064,164,264,364,464', '564,664,00,10,20,30,40', '50,60']);
    expect(made.softnet.timeSqueeze).toBe(1);
  });

  it('stops after 2 ticks, and ksoftirqd goes on with what is left', () => {
    const made = rig();
    const slow = () => {
      made.executive.nowNs += 5e6;
    };
    for (const name of ['A', 'B', 'C']) napiSchedule(source(made.dev, name, 10, made.log, slow));
    made.machine.turn();
    expect(made.log).toEqual(['A10', 'B10']);
    expect([made.softnet.timeSqueeze, made.executive.turns > 1, made.softnet.pollList.length]).toEqual([1, true, 1]);
    made.machine.turn();
    expect(made.log).toEqual(['A10', 'B10', 'C10']);
  });

  it('takes its limits from who sets them', () => {
    const made = rig();
    made.limits.budget = 1;
    for (const name of ['A', 'B']) napiSchedule(source(made.dev, name, 5, made.log));
    const seen = passes(made, () => made.machine.turn());
    expect(seen).toEqual(['A5', 'B5']);
    expect(made.softnet.timeSqueeze).toBe(2);
  });

  it('leaves what is queued during a run to the next one while an instance waits for its turn', () => {
    const made = rig();
    const late = source(made.dev, 'L', 1, made.log);
    const a = source(made.dev, 'A', 70, made.log, () => napiSchedule(late));
    napiSchedule(a);
    const seen = passes(made, () => made.machine.turn());
    expect(seen[0]).toBe('A64');
    expect(seen[1]).toBe('L1,A6,L0');
  });

  it('takes what is queued during a run in the same run if nothing else waits', () => {
    const made = rig();
    const late = source(made.dev, 'L', 1, made.log);
    const a = source(made.dev, 'A', 5, made.log, () => napiSchedule(late));
    napiSchedule(a);
    expect(passes(made, () => made.machine.turn())).toEqual(['A5,L1']);
  });

  it('does not poll an instance that netpoll polls on another CPU, and does not forget it', () => {
    const made = rig(2);
    const a = source(made.dev, 'A', 5, made.log);
    napiSchedule(a);
    a.pollOwner = 1;
    a.state |= NAPI_STATE_NPSVC;
    made.machine.turn();
    expect([made.log, made.softnet.pollList.length, a.pollOwner]).toEqual([[], 1, 1]);
    a.pollOwner = -1;
    a.state &= ~NAPI_STATE_NPSVC;
    made.machine.turn();
    expect(made.log).toEqual(['A5']);
  });

  it('on two CPUs at once keeps their lists apart', () => {
    const made = rig(2);
    const [, one] = made.machine.cpus;
    const b = source(made.dev, 'B', 100, made.log);
    const line = made.machine.requestIrq('b', one!, () => napiSchedule(b));
    const a = source(made.dev, 'A', 100, made.log, () => line.raise());
    napiSchedule(a);
    made.machine.turn();
    expect(made.log.filter((each) => each.startsWith('A'))).toEqual(['A64', 'A36']);
    expect([a.work, b.work]).toEqual([100, 100]);
    expect(made.net.softnet.map((each) => each.pollList.length)).toEqual([0, 0]);
  });
});
