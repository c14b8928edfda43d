import { describe, expect, it } from 'vitest';
import { testMachine } from './machine.fixture.ts';
import { Softirq } from './softirq.ts';
import { Work } from './timer.ts';

describe('Machine', () => {
  it('counts ticks at its rate', () => {
    const { machine, executive } = testMachine({ hz: 100 });
    expect(machine.jiffyNs).toBe(10_000_000);
    executive.nowNs = 25_000_000;
    expect(machine.jiffies).toBe(2);
    expect(testMachine().machine.jiffyNs).toBe(4_000_000);
  });

  it('in a turn runs due timers, then work, then ksoftirqd', () => {
    const { machine } = testMachine();
    const order: string[] = [];
    machine.softirq.open(Softirq.NET_RX, () => order.push('ksoftirqd'));
    const work = new Work(machine, () => {
      order.push('work');
      machine.softirq.raise(Softirq.NET_RX);
    });
    machine.timers.mod(
      machine.timers.create(() => {
        order.push('timer');
        work.schedule();
      }),
      0,
    );
    machine.turn();
    expect(order).toEqual(['timer', 'work', 'ksoftirqd']);
  });

  it('numbers its interrupt lines and knows the CPU that runs', () => {
    const { machine } = testMachine({ cpus: 2 });
    const lines = machine.cpus.map((cpu, i) => machine.requestIrq(`irq${i}`, cpu, () => {}));
    expect(machine.irqLines).toEqual(lines);
    expect(lines.map((line) => line.number)).toEqual([0, 1]);
    const before = machine.enterCpu(machine.cpus[1]!);
    expect([before.id, machine.cpu.id]).toEqual([0, 1]);
    machine.leaveCpu(before);
    expect(machine.cpu.id).toBe(0);
  });
});
