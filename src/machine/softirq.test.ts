import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { testMachine } from './machine.fixture.ts';
import { Softirq, type SoftirqVector } from './softirq.ts';

/** Raises `vector` where softirqs run at once: at the end of an interrupt. */
function fromInterrupt(machine: ReturnType<typeof testMachine>['machine'], ...vectors: SoftirqVector[]): void {
  const line = machine.requestIrq('test', machine.cpu, () => {
    for (const vector of vectors) machine.softirq.raise(vector);
  });
  line.raise();
}

describe('softirqs', () => {
  it('raised in an interrupt run at its end, lowest vector first, and need no ksoftirqd', () => {
    const { machine, executive } = testMachine();
    const ran: string[] = [];
    for (const name of ['NET_RX', 'NET_TX', 'HI'] as const) machine.softirq.open(Softirq[name], () => ran.push(name));
    fromInterrupt(machine, Softirq.NET_RX, Softirq.HI, Softirq.NET_TX);
    expect(ran).toEqual(['HI', 'NET_TX', 'NET_RX']);
    expect(executive.turns).toBe(0);
    expect(machine.softirq.count[Softirq.NET_RX]).toBe(1);
  });

  it('raised in process context wait for ksoftirqd, which asks for one turn', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    machine.softirq.raise(Softirq.NET_RX);
    machine.softirq.raise(Softirq.NET_RX);
    expect([ran, executive.turns]).toEqual([0, 1]);
    machine.turn();
    expect([ran, machine.cpu.ksoftirqdRunnable]).toEqual([1, false]);
  });

  it('run inside a serving context, which neither nests nor counts as BH off', () => {
    const { machine } = testMachine();
    const { cpu } = machine;
    const seen: boolean[] = [];
    const inner = machine.requestIrq('inner', cpu, () => machine.softirq.raise(Softirq.NET_RX));
    let runs = 0;
    machine.softirq.open(Softirq.NET_RX, () => {
      if (++runs > 1) return;
      seen.push(cpu.inServingSoftirq, cpu.inSoftirq, cpu.inHardirq);
      inner.raise();
      expect(runs).toBe(1);
    });
    fromInterrupt(machine, Softirq.NET_RX);
    expect(seen).toEqual([true, true, false]);
    expect([runs, cpu.preemptCount]).toEqual([2, 0]);
  });

  it('wait while bottom halves are off, and run at the outermost localBhEnable', () => {
    const { machine } = testMachine();
    const { cpu } = machine;
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    cpu.localBhDisable();
    cpu.localBhDisable();
    expect([cpu.inServingSoftirq, cpu.inSoftirq]).toEqual([false, true]);
    fromInterrupt(machine, Softirq.NET_RX);
    machine.softirq.localBhEnable(cpu);
    expect(ran).toBe(0);
    machine.softirq.localBhEnable(cpu);
    expect(ran).toBe(1);
  });

  it('refuse to be switched on again inside an interrupt, with interrupts off, or without having been off', () => {
    const { machine } = testMachine();
    const { cpu, softirq } = machine;
    expect(() => softirq.localBhEnable(cpu)).toThrow(Bug);
    cpu.localBhDisable();
    const were = cpu.localIrqSave();
    expect(() => softirq.localBhEnable(cpu)).toThrow(Bug);
    cpu.localIrqRestore(were);
    softirq.localBhEnable(cpu);
  });

  it('that raise themselves get 10 passes, then ksoftirqd gets the rest at the next turn', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => {
      ran++;
      machine.softirq.raise(Softirq.NET_RX);
    });
    fromInterrupt(machine, Softirq.NET_RX);
    expect([ran, executive.turns, machine.cpu.ksoftirqdRunnable]).toEqual([10, 1, true]);
    machine.turn();
    expect([ran, executive.turns]).toEqual([20, 2]);
  });

  it('get no further pass after 2 ms, but always the first', () => {
    const { machine, executive } = testMachine();
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => {
      ran++;
      executive.nowNs += 700_000;
      machine.softirq.raise(Softirq.NET_RX);
    });
    fromInterrupt(machine, Softirq.NET_RX);
    expect(ran).toBe(3);
    executive.nowNs = 1e9;
    ran = 0;
    machine.turn();
    expect(ran).toBe(3);
  });

  it('run on the CPU that raised them', () => {
    const { machine } = testMachine({ cpus: 3 });
    const on: number[] = [];
    machine.softirq.open(Softirq.NET_RX, () => on.push(machine.cpu.id));
    for (const cpu of machine.cpus) {
      const interrupted = machine.enterCpu(cpu);
      machine.softirq.raise(Softirq.NET_RX);
      machine.leaveCpu(interrupted);
    }
    machine.turn();
    expect(on).toEqual([0, 1, 2]);
    expect(machine.cpu.id).toBe(0);
  });

  it('without a handler are dropped and do not loop', () => {
    const { machine } = testMachine();
    fromInterrupt(machine, Softirq.BLOCK);
    expect(machine.cpu.softirqPending).toBe(0);
  });

  it('raise when a handler leaves the context count changed', () => {
    const { machine } = testMachine();
    machine.softirq.open(Softirq.HI, () => machine.cpu.localBhDisable());
    expect(() => fromInterrupt(machine, Softirq.HI)).toThrow(/softirq 0/);
  });
});
