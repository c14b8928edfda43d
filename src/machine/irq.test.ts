import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { testMachine } from './machine.fixture.ts';
import { Softirq } from './softirq.ts';

describe('an interrupt line', () => {
  it('runs its handler at once, in hardirq context with interrupts off, and leaves everything as it was', () => {
    const { machine } = testMachine();
    const { cpu } = machine;
    const seen: boolean[] = [];
    const line = machine.requestIrq('eth0', cpu, () => seen.push(cpu.inHardirq, cpu.inInterrupt, cpu.irqsDisabled));
    line.raise();
    expect(seen).toEqual([true, true, true]);
    expect([cpu.preemptCount, cpu.irqsDisabled, line.count]).toEqual([0, false, 1]);
  });

  it('waits while interrupts are off, once however often it was raised, in order with the others', () => {
    const { machine } = testMachine();
    const { cpu } = machine;
    const ran: string[] = [];
    const a = machine.requestIrq('a', cpu, () => ran.push('a'));
    const b = machine.requestIrq('b', cpu, () => ran.push('b'));
    const outer = cpu.localIrqSave();
    const inner = cpu.localIrqSave();
    for (const line of [b, a, b, a, a]) line.raise();
    cpu.localIrqRestore(inner);
    expect(ran).toEqual([]);
    cpu.localIrqRestore(outer);
    expect(ran).toEqual(['b', 'a']);
  });

  it('does not interrupt a handler: the second handler runs when the first is over', () => {
    const { machine } = testMachine();
    const ran: string[] = [];
    const b = machine.requestIrq('b', machine.cpu, () => ran.push('b'));
    const a = machine.requestIrq('a', machine.cpu, () => {
      b.raise();
      ran.push('a over');
    });
    a.raise();
    expect(ran).toEqual(['a over', 'b']);
  });

  it('stays quiet while disabled, nested; one interrupt that came meanwhile is delivered', () => {
    const { machine } = testMachine();
    const line = machine.requestIrq('eth0', machine.cpu, () => {});
    line.disable();
    line.disable();
    line.raise();
    line.raise();
    line.enable();
    expect([line.count, line.disabled]).toEqual([0, true]);
    line.enable();
    expect([line.count, line.disabled]).toEqual([1, false]);
    line.enable();
    expect(line.count).toBe(1);
  });

  it('that was disabled while it waited for its CPU is delivered when it is enabled, not before and not twice', () => {
    const { machine } = testMachine();
    const line = machine.requestIrq('eth0', machine.cpu, () => {});
    const were = machine.cpu.localIrqSave();
    line.raise();
    line.disable();
    machine.cpu.localIrqRestore(were);
    expect(line.count).toBe(0);
    line.enable();
    expect(line.count).toBe(1);
    const again = machine.cpu.localIrqSave();
    line.raise();
    line.disable();
    line.enable();
    machine.cpu.localIrqRestore(again);
    expect(line.count).toBe(2);
  });

  it('that raises itself again is delivered in a loop, not in a recursion, before any softirq', () => {
    const { machine } = testMachine();
    let left = 20_000;
    const order: string[] = [];
    machine.softirq.open(Softirq.NET_RX, () => order.push(`softirq with ${left} left`));
    const line = machine.requestIrq('flood', machine.cpu, () => {
      machine.softirq.raise(Softirq.NET_RX);
      if (--left > 0) line.raise();
    });
    line.raise();
    expect(order).toEqual(['softirq with 0 left']);
  });

  it('runs softirqs of an earlier interrupt although a disabled line waits behind it', () => {
    const { machine } = testMachine();
    const { cpu } = machine;
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    const a = machine.requestIrq('a', cpu, () => machine.softirq.raise(Softirq.NET_RX));
    const b = machine.requestIrq('b', cpu, () => {});
    const were = cpu.localIrqSave();
    a.raise();
    b.raise();
    b.disable();
    cpu.localIrqRestore(were);
    expect(ran).toBe(1);
  });

  it('interrupts another CPU than the one that runs, which goes on afterwards', () => {
    const { machine } = testMachine({ cpus: 2 });
    const [zero, one] = machine.cpus;
    const on: number[] = [];
    machine.softirq.open(Softirq.NET_RX, () => on.push(machine.cpu.id));
    const line = machine.requestIrq('eth0', one!, () => {
      on.push(machine.cpu.id);
      machine.softirq.raise(Softirq.NET_RX);
    });
    const were = zero!.localIrqSave();
    line.raise();
    expect([on, machine.cpu]).toEqual([[1, 1], zero]);
    zero!.localIrqRestore(were);
  });

  it('raises when a handler leaves the context count changed', () => {
    const { machine } = testMachine();
    const line = machine.requestIrq('bad', machine.cpu, () => machine.cpu.localBhDisable());
    expect(() => line.raise()).toThrow(Bug);
  });
});
