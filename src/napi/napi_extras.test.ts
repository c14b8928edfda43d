import { describe, expect, it } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import {
  NAPI_STATE_IN_BUSY_POLL,
  NAPI_STATE_NO_BUSY_POLL,
  NAPI_STATE_SCHED,
  type NapiStruct,
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiSchedule,
  napiSynchronize,
  netdevSetDefer,
  netifNapiAdd,
} from '../device/napi_struct.ts';
import { napiBusyLoop } from './busy_poll.ts';
import { napiInit } from './napi_init.ts';
import { devSetThreaded, napiThreadName } from './threaded.ts';

function rig(weight = 64) {
  const made = testNet();
  napiInit(made.net);
  const dev = testDevice(made.net);
  const card = { waiting: 0, unmasked: 0, polls: [] as number[] };
  const napi = netifNapiAdd(
    dev,
    (self, budget) => {
      const work = Math.min(budget, card.waiting);
      card.waiting -= work;
      card.polls.push(work);
      if (work < budget && napiCompleteDone(self, work)) card.unmasked++;
      return work;
    },
    weight,
  );
  napiEnable(napi);
  const log = () => {
    const { printk } = made.machine;
    const records = Array.from({ length: printk.nextSeq }, (_, seq) => printk.record(seq)!);
    return records.map(({ text }) => new TextDecoder().decode(text));
  };
  return { ...made, dev, napi, card, log };
}

describe('napi_by_id', () => {
  it('finds what is enabled and may be busy polled', () => {
    const { net, dev, napi } = rig();
    expect(net.napiHash.byId(napi.id)).toBe(napi);
    napiDisable(napi);
    expect(net.napiHash.byId(napi.id)).toBeUndefined();
    const hidden = netifNapiAdd(dev, () => 0);
    hidden.state |= NAPI_STATE_NO_BUSY_POLL;
    napiEnable(hidden);
    expect(net.napiHash.byId(hidden.id)).toBeUndefined();
    napiSynchronize(hidden);
  });
});

describe('deferred interrupts', () => {
  it('poll by a timer until so many polls in a row were empty, then unmask', () => {
    const { dev, napi, card, machine, executive } = rig();
    netdevSetDefer(dev, 2, 20_000);
    card.waiting = 3;
    napiSchedule(napi);
    machine.turn();
    expect([card.polls, card.unmasked, napi.timer!.atNs]).toEqual([[3], 0, 20_000]);
    for (let i = 1; i <= 3; i++) {
      executive.nowNs = i * 20_000;
      machine.turn();
    }
    expect([card.polls, card.unmasked]).toEqual([[3, 0, 0], 1]);
    expect(napi.timer!.atNs).toBe(-1);
  });

  it('begin to count again when there is work', () => {
    const { dev, napi, card, machine, executive } = rig();
    netdevSetDefer(dev, 2, 20_000);
    card.waiting = 1;
    napiSchedule(napi);
    machine.turn();
    for (let i = 1; i <= 4; i++) {
      executive.nowNs = i * 20_000;
      if (i === 2) card.waiting = 5;
      machine.turn();
    }
    expect([card.polls, card.unmasked]).toEqual([[1, 0, 5, 0, 0], 1]);
  });

  it('need both the number and the time', () => {
    const { dev, napi, card, machine } = rig();
    netdevSetDefer(dev, 5, 0);
    card.waiting = 1;
    napiSchedule(napi);
    machine.turn();
    expect([card.unmasked, napi.timer]).toEqual([1, null]);
  });
});

describe('threaded NAPI', () => {
  it('is polled by its task, a weight at a time, and by the softirq again when it is switched off', () => {
    const { dev, napi, card, machine } = rig();
    devSetThreaded(dev, true);
    expect(napiThreadName(napi)).toBe(`napi/${dev.name}-${napi.id}`);
    card.waiting = 150;
    napiSchedule(napi);
    const softirqs = machine.softirq.count[3];
    for (let i = 0; i < 3; i++) machine.turn();
    expect([card.polls, card.unmasked, machine.softirq.count[3]]).toEqual([[64, 64, 22], 1, softirqs]);
    devSetThreaded(dev, false);
    card.waiting = 1;
    napiSchedule(napi);
    machine.turn();
    expect([card.polls.at(-1), machine.softirq.count[3]]).toEqual([1, softirqs! + 1]);
  });

  it('stays so across disable and enable', () => {
    const { dev, napi, card, machine } = rig();
    devSetThreaded(dev, true);
    napiDisable(napi);
    napiEnable(napi);
    card.waiting = 1;
    napiSchedule(napi);
    const before = machine.softirq.count[3];
    machine.turn();
    expect([card.polls, machine.softirq.count[3]]).toEqual([[1], before]);
  });
});

describe('busy polling', () => {
  it('takes frames while interrupts stay masked, until there is enough, and lets the driver unmask at the end', () => {
    const { net, napi, card, executive } = rig();
    card.waiting = 4;
    let late = 3;
    executive.onSpin = () => {
      if (late-- === 0) card.waiting = 6;
    };
    const seen: boolean[] = [];
    const taken = napiBusyLoop(net, napi.id, 1e6, () => {
      seen.push((napi.state & NAPI_STATE_IN_BUSY_POLL) !== 0);
      return card.polls.reduce((sum, n) => sum + n, 0) >= 10;
    });
    expect([taken, card.unmasked, seen.every(Boolean)]).toEqual([10, 1, true]);
    expect(napi.state & (NAPI_STATE_SCHED | NAPI_STATE_IN_BUSY_POLL)).toBe(0);
  });

  it('ends when its time is over, and knows no instance by a wrong id', () => {
    const { net, napi, executive } = rig();
    expect(napiBusyLoop(net, napi.id, 50_000, () => false)).toBe(0);
    expect(executive.nowNs).toBe(50_000);
    expect(napiBusyLoop(net, 999, 1, () => true)).toBe(-1);
  });

  it('leaves an instance alone that was disabled while it waited, and takes it again when it is enabled', () => {
    const { net, napi, card, executive } = rig();
    let pauses = 0;
    executive.onSpin = () => {
      pauses++;
      if (pauses === 2) napiDisable(napi);
      if (pauses === 5) {
        card.waiting = 3;
        napiEnable(napi);
      }
    };
    let polls = -1;
    const taken = napiBusyLoop(net, napi.id, 20_000, () => {
      if (pauses === 4) polls = card.polls.length;
      return false;
    });
    expect([taken, polls, napi.state & NAPI_STATE_IN_BUSY_POLL]).toEqual([3, 2, 0]);
    expect(card.unmasked).toBe(1);
  });

  it('hands what is left to the softirq', () => {
    const { net, napi, card, machine } = rig();
    card.waiting = 100;
    expect(napiBusyLoop(net, napi.id, 0, () => true)).toBe(16);
    machine.turn();
    expect([card.waiting, card.unmasked]).toEqual([0, 1]);
  });

  it('leaves the instance to a timer where the caller promises to come back', () => {
    const { net, dev, napi, card, machine, executive } = rig();
    netdevSetDefer(dev, 1, 20_000);
    card.waiting = 100;
    napiBusyLoop(net, napi.id, 0, () => true, { prefer: true });
    const polls = card.polls.length;
    machine.turn();
    expect(card.polls.length).toBe(polls);
    executive.nowNs = 20_000;
    machine.turn();
    expect(card.waiting).toBe(100 - 16 - 64 - 20);
  });
});

describe('the poll contract', () => {
  const broken = (poll: (napi: NapiStruct, budget: number) => number) => {
    const { net, machine, dev, log } = rig();
    const napi = netifNapiAdd(dev, poll);
    napiEnable(napi);
    for (let i = 0; i < 2; i++) {
      napiSchedule(napi);
      machine.turn();
    }
    return { lines: log().filter((line) => /napi|NAPI/.test(line)), net };
  };

  it('is complained of once: more than the budget', () => {
    const { lines } = broken((_napi, budget) => budget + 1);
    expect(lines).toEqual(['NAPI poll function of eth0 returned 65, exceeding its budget of 64.']);
  });

  it('is complained of once: less than the budget without completion', () => {
    expect(broken(() => 3).lines).toEqual([
      'eth0: NAPI poll function returned 3 of 64 without napi_complete_done: it is never polled again',
    ]);
  });

  it('is complained of once: all of the budget after completion', () => {
    const { lines } = broken((napi, budget) => {
      napiCompleteDone(napi, budget);
      napiSchedule(napi);
      return budget;
    });
    expect(lines).toEqual(['eth0: Budget exhausted after napi rescheduled']);
  });

  it('is complained of when a weight is above 64', () => {
    expect(rig(128).log()).toEqual(['eth0: netif_napi_add_weight() called with weight 128']);
  });
});
