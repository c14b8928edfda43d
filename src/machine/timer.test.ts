import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testMachine } from './machine.fixture.ts';
import { Work } from './timer.ts';

describe('timers', () => {
  it('run in order of their deadlines, those of one time in the order of arming, none early', () => {
    const arming = fc.tuple(fc.nat(4), fc.integer({ min: -1, max: 9 }));
    fc.assert(
      fc.property(fc.array(arming, { maxLength: 40 }), (armings) => {
        const { machine, executive } = testMachine();
        const ran: [number, number][] = [];
        const timers = Array.from({ length: 5 }, (_, i) => machine.timers.create(() => ran.push([i, executive.nowNs])));
        const model: { at: number; which: number }[] = [];
        for (const [which, at] of armings) {
          const before = model.findIndex((each) => each.which === which);
          if (before >= 0) model.splice(before, 1);
          if (at < 0) expect(machine.timers.del(timers[which]!)).toBe(before >= 0);
          else {
            machine.timers.mod(timers[which]!, at);
            model.push({ at, which });
          }
        }
        model.sort((a, b) => a.at - b.at);
        expect(machine.timers.nextNs).toBe(model[0]?.at ?? -1);
        for (executive.nowNs = 0; executive.nowNs < 10; executive.nowNs++) machine.turn();
        expect(ran).toEqual(model.map(({ at, which }) => [which, at]));
        expect(machine.timers.nextNs).toBe(-1);
      }),
    );
  });

  it('ask for a turn at the earliest deadline, also after an earlier one was taken back', () => {
    const { machine, executive } = testMachine();
    const [a, b] = [machine.timers.create(() => {}), machine.timers.create(() => {})];
    machine.timers.mod(a, 500);
    machine.timers.mod(b, 900);
    machine.timers.del(a);
    expect(executive.turnAtNs).toEqual([500]);
    executive.nowNs = 500;
    machine.turn();
    expect(executive.turnAtNs).toEqual([500, 900]);
  });

  it('that arm themselves again for now do not hold a turn forever', () => {
    const { machine } = testMachine();
    let ran = 0;
    const timer = machine.timers.create(() => {
      ran++;
      machine.timers.mod(timer, 0);
    });
    machine.timers.mod(timer, 0);
    machine.turn();
    expect(ran).toBe(1);
  });

  it('run in softirq context', () => {
    const { machine } = testMachine();
    let inSoftirq = false;
    machine.timers.mod(
      machine.timers.create(() => {
        inSoftirq = machine.cpu.inServingSoftirq;
      }),
      0,
    );
    machine.turn();
    expect(inSoftirq).toBe(true);
  });
});

describe('work', () => {
  it('runs once in process context, however often it was scheduled', () => {
    const { machine, executive } = testMachine();
    const contexts: boolean[] = [];
    const work = new Work(machine, () => contexts.push(machine.cpu.inInterrupt));
    work.schedule();
    work.schedule(5);
    expect([work.queued, executive.turns]).toEqual([true, 1]);
    machine.turn();
    machine.turn();
    expect([contexts, work.queued]).toEqual([[false], false]);
  });

  it('runs after its delay, in the turn in which the delay is over', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    const work = new Work(machine, () => ran++);
    work.schedule(100);
    executive.nowNs = 99;
    machine.turn();
    expect(ran).toBe(0);
    executive.nowNs = 100;
    machine.turn();
    expect(ran).toBe(1);
  });

  it('does not run after it was cancelled, delayed or not, and can be scheduled again', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    const work = new Work(machine, () => ran++);
    for (const delay of [0, 10]) {
      work.schedule(delay);
      work.cancel();
      executive.nowNs += 10;
      machine.turn();
      expect([ran, work.queued]).toEqual([0, false]);
    }
    work.schedule();
    machine.turn();
    expect(ran).toBe(1);
  });

  it('that schedules itself runs once a turn, and asks for the next', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    const work = new Work(machine, () => {
      ran++;
      work.schedule();
    });
    work.schedule();
    machine.turn();
    expect(ran).toBe(1);
    expect(executive.turns).toBeGreaterThan(1);
    machine.turn();
    expect(ran).toBe(2);
  });
});
