import { describe, expect, it } from 'vitest';
import { testMachine } from './machine.fixture.ts';
import { panic } from './panic.ts';
import { Softirq } from './softirq.ts';
import { Work } from './timer.ts';

function withLog() {
  const made = testMachine({ cpus: 2 });
  const lines: string[] = [];
  made.machine.printk.registerConsole({
    name: 'log',
    write: (record) => lines.push(`<${record.level}>${new TextDecoder().decode(record.text)}`),
  });
  return { ...made, lines };
}

describe('panic', () => {
  it('prints the reason, the report and the end at the kernel’s levels, once', () => {
    const { machine, lines } = withLog();
    const order: string[] = [];
    panic(machine, 'oh', { report: ['Call Trace:'], notifiers: [() => order.push(`notified, dead: ${machine.dead}`)] });
    panic(machine, 'again');
    expect(lines).toEqual([
      '<0>Kernel panic - not syncing: oh',
      '<4>CPU: 0 PID: 1 Comm: init Not tainted netpoll',
      '<4>Call Trace:',
      '<0>---[ end Kernel panic - not syncing: oh ]---',
    ]);
    expect(order).toEqual(['notified, dead: false']);
    expect([machine.dead, machine.cpu.irqsDisabled, machine.oopsInProgress]).toEqual([true, true, 1]);
  });

  it('stops turns, timers, work and interrupts of every CPU', () => {
    const { machine, executive } = withLog();
    let ran = 0;
    machine.timers.mod(
      machine.timers.create(() => ran++),
      5,
    );
    new Work(machine, () => ran++).schedule();
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    machine.softirq.raise(Softirq.NET_RX);
    const lines = machine.cpus.map((cpu) => machine.requestIrq('eth0', cpu, () => ran++));
    panic(machine, 'stop');
    executive.nowNs = 100;
    machine.turn();
    for (const line of lines) line.raise();
    expect(ran).toBe(0);
  });

  it('inside an interrupt handler stops the softirqs and interrupts behind it', () => {
    const { machine } = withLog();
    let ran = 0;
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    const other = machine.requestIrq('other', machine.cpu, () => ran++);
    machine
      .requestIrq('fatal', machine.cpu, () => {
        machine.softirq.raise(Softirq.NET_RX);
        other.raise();
        panic(machine, 'in interrupt');
      })
      .raise();
    expect(ran).toBe(0);
  });

  it('inside a softirq stops the vectors and passes behind it', () => {
    const { machine } = withLog();
    let ran = 0;
    machine.softirq.open(Softirq.NET_TX, () => panic(machine, 'in softirq'));
    machine.softirq.open(Softirq.NET_RX, () => ran++);
    machine
      .requestIrq('irq', machine.cpu, () => {
        machine.softirq.raise(Softirq.NET_TX);
        machine.softirq.raise(Softirq.NET_RX);
      })
      .raise();
    expect(ran).toBe(0);
  });
});
