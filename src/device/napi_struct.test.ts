import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { napiInit } from '../napi/napi_init.ts';
import { testDevice, testNet } from './device.fixture.ts';
import {
  NAPI_STATE_DISABLE,
  NAPI_STATE_MISSED,
  NAPI_STATE_NPSVC,
  NAPI_STATE_SCHED,
  type NapiStruct,
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiSchedule,
  napiSchedulePrep,
  netifNapiAdd,
  netifNapiDel,
} from './napi_struct.ts';

function idleNapi(poll: (napi: NapiStruct, budget: number) => number = () => 0) {
  const made = testNet();
  const dev = testDevice(made.net);
  const napi = netifNapiAdd(dev, poll);
  napiEnable(napi);
  return { ...made, dev, napi };
}

describe('napi_struct', () => {
  it('is added disabled: a schedule before napiEnable is refused and forgotten', () => {
    const { net } = testNet();
    const dev = testDevice(net);
    const napi = netifNapiAdd(dev, () => 0);
    expect(napiSchedule(napi)).toBe(false);
    napiEnable(napi);
    expect(napi.state & (NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_MISSED)).toBe(0);
    expect(() => napiEnable(napi)).toThrow(Bug);
    expect(dev.napiList).toEqual([napi]);
  });

  it('gets increasing ids behind those kept for CPUs', () => {
    const { net } = testNet({ cpus: 4 });
    const dev = testDevice(net);
    expect([netifNapiAdd(dev, () => 0).id, netifNapiAdd(dev, () => 0).id]).toEqual([5, 6]);
  });

  it('belongs to the first who schedules it; a second schedule leaves MISSED', () => {
    const { napi, net } = idleNapi();
    expect(napiSchedule(napi)).toBe(true);
    expect([napi.listOwner, net.softnet[0]!.pollList.length]).toEqual([0, 1]);
    expect(napiSchedule(napi)).toBe(false);
    expect(napi.state & NAPI_STATE_MISSED).not.toBe(0);
  });

  it('goes idle on completion, unless a schedule was missed: then it is queued again, once', () => {
    const { napi, net } = idleNapi();
    napiSchedule(napi);
    expect(napiCompleteDone(napi, 0)).toBe(true);
    expect([napi.state & NAPI_STATE_SCHED, napi.list, napi.listOwner]).toEqual([0, null, -1]);
    napiSchedule(napi);
    napiSchedule(napi);
    expect(napiCompleteDone(napi, 0)).toBe(false);
    expect([napi.state & NAPI_STATE_MISSED, net.softnet[0]!.pollList.head]).toEqual([0, napi]);
    expect(napiCompleteDone(napi, 0)).toBe(true);
    expect(() => napiCompleteDone(napi, 0)).toThrow(Bug);
  });

  it('is left alone by completion while netpoll services it', () => {
    const { napi, net } = idleNapi();
    napiSchedule(napi);
    napi.state |= NAPI_STATE_NPSVC;
    expect(napiCompleteDone(napi, 0)).toBe(false);
    expect([napi.state & NAPI_STATE_SCHED, net.softnet[0]!.pollList.length]).toEqual([NAPI_STATE_SCHED, 1]);
  });

  it('refuses a schedule while a disable is pending, without a trace', () => {
    const { napi } = idleNapi();
    napi.state |= NAPI_STATE_DISABLE;
    const before = napi.state;
    expect(napiSchedulePrep(napi)).toBe(false);
    expect(napi.state).toBe(before);
  });

  it('leaves the poll list when it is disabled, and forgets what was missed', () => {
    const { napi, net } = idleNapi();
    napiSchedule(napi);
    napiSchedule(napi);
    napiDisable(napi);
    expect(net.softnet[0]!.pollList.length).toBe(0);
    expect(napiSchedule(napi)).toBe(false);
    expect(() => napiDisable(napi)).toThrow(Bug);
    napiEnable(napi);
    expect(napiSchedule(napi)).toBe(true);
  });

  it('does not disable itself from inside its own poll', () => {
    const { machine, net, napi } = idleNapi((self) => {
      napiDisable(self);
      return 0;
    });
    napiInit(net);
    napiSchedule(napi);
    expect(() => machine.turn()).toThrow(Bug);
  });

  it('can be disabled from another instance’s poll while it waits for its next one', () => {
    const { machine, net } = testNet();
    napiInit(net);
    const dev = testDevice(net);
    const busy = netifNapiAdd(dev, (_napi, budget) => budget);
    const other = netifNapiAdd(dev, (napi) => {
      napiDisable(busy);
      napiCompleteDone(napi, 0);
      return 0;
    });
    for (const napi of [busy, other]) {
      napiEnable(napi);
      napiSchedule(napi);
    }
    machine.turn();
    expect([busy.polls, busy.list, net.softnet[0]!.pollList.length]).toEqual([1, null, 0]);
  });

  it('is deleted only when it is disabled; twice does no harm', () => {
    const { napi, dev } = idleNapi();
    expect(() => netifNapiDel(napi)).toThrow(Bug);
    napiDisable(napi);
    netifNapiDel(napi);
    netifNapiDel(napi);
    expect(dev.napiList).toEqual([]);
  });
});

describe('the NAPI state machine under any interleaving', () => {
  it('is never owned twice and loses no wake-up', () => {
    const event = fc.oneof(
      { weight: 4, arbitrary: fc.record({ what: fc.constant('frames'), n: fc.integer({ min: 1, max: 150 }) }) },
      { weight: 3, arbitrary: fc.record({ what: fc.constant('turn'), n: fc.constant(0) }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('netpoll'), n: fc.constantFrom(0, 16) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('disable'), n: fc.constant(0) }) },
      { weight: 1, arbitrary: fc.record({ what: fc.constant('enable'), n: fc.constant(0) }) },
      { weight: 2, arbitrary: fc.record({ what: fc.constant('during'), n: fc.integer({ min: 1, max: 80 }) }) },
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const { machine, net } = testNet();
        napiInit(net);
        // A level-triggered card: `waiting` frames, an interrupt while there are some and it is not masked.
        let waiting = 0;
        let masked = true;
        let enabled = false;
        let inPoll = 0;
        let arriveDuring = 0;
        let taken = 0;
        let arrived = 0;
        const interrupt = () => {
          if (masked || !napiSchedule(napi)) return;
          masked = true;
        };
        const arrive = (n: number) => {
          waiting += n;
          arrived += n;
          interrupt();
        };
        const dev = testDevice(net);
        const napi = netifNapiAdd(dev, (self, budget) => {
          expect(++inPoll).toBe(1);
          const work = Math.min(budget, waiting);
          waiting -= work;
          taken += work;
          const late = arriveDuring;
          arriveDuring = 0;
          if (late > 0) {
            waiting += late;
            arrived += late;
            napiSchedule(self);
          }
          if (work < budget && napiCompleteDone(self, work)) {
            masked = false;
            if (waiting > 0) interrupt();
          }
          inPoll--;
          return work;
        });
        const line = machine.requestIrq('card', machine.cpu, interrupt);
        const enable = () => {
          enabled = true;
          napiEnable(napi);
          masked = false;
          if (waiting > 0) line.raise();
        };
        enable();
        for (const { what, n } of events) {
          if (what === 'frames') {
            waiting += n;
            arrived += n;
            if (!masked) line.raise();
          } else if (what === 'turn') machine.turn();
          else if (what === 'during') arriveDuring = n;
          else if (what === 'netpoll') {
            if ((napi.state & NAPI_STATE_NPSVC) !== 0) continue;
            napi.state |= NAPI_STATE_NPSVC;
            napi.pollOwner = 0;
            napi.poll(napi, n);
            napi.pollOwner = -1;
            napi.state &= ~NAPI_STATE_NPSVC;
            // What netpoll leaves behind is the interrupt's business again (its poll_controller schedules).
            if (waiting > 0 && enabled) napiSchedule(napi);
          } else if (what === 'disable' && enabled) {
            enabled = false;
            masked = true;
            napiDisable(napi);
          } else if (what === 'enable' && !enabled) enable();
          // Frames without anybody who will poll them are a lost wake-up.
          const owned = (napi.state & NAPI_STATE_SCHED) !== 0;
          if (enabled && waiting > 0) expect(owned && napi.list !== null).toBe(true);
          if (napi.list !== null) expect(owned).toBe(true);
        }
        arriveDuring = 0;
        if (!enabled) enable();
        if (waiting > 0) arrive(0);
        for (let i = 0; i < 200 && waiting > 0; i++) machine.turn();
        expect([waiting, taken]).toEqual([0, arrived]);
      }),
      { numRuns: 500 },
    );
  });
});
