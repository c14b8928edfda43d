/**
 * What the showing keys print of a machine: its memory for frames, CPUs, softirqs, interrupt lines, tasks, timers. Devices add their
 * part to these reports (clients/sysrq/net.ts).
 *
 * A line a thing, bounded: a report must come through a network card that may be the trouble.
 */
import type { Cpu } from './cpu.ts';
import { Softirq } from './softirq.ts';
import type { Sysrq } from './sysrq.ts';

type Print = (line: string) => void;

/** Lines of one kind that a report has at most. */
export const REPORT_LINES_MAX = 64;

const VECTORS = Object.entries(Softirq);

/** m: frames and their memory. */
export function showMemory({ machine }: Sysrq, print: Print): void {
  const { arena, skbs } = machine;
  print('Mem-Info:');
  print(
    `slots:${arena.slots} size:${arena.slotSize}B free:${arena.available} used:${arena.slots - arena.available} refused:${arena.exhausted}`,
  );
  print(`skbuff_head_cache: objects:${skbs.size} active:${skbs.inUse} refused:${skbs.exhausted}`);
  const drops = skbs.drops.names.filter((name) => skbs.drops.get(name) > 0);
  for (const name of drops.slice(0, REPORT_LINES_MAX)) print(`dropped ${name}: ${skbs.drops.get(name)}`);
}

/** t: what would run, and what has asked to. */
export function showState({ machine }: Sysrq, print: Print): void {
  for (const cpu of machine.cpus) {
    const ran = VECTORS.filter(([, vector]) => cpu.softirqCount[vector]! > 0);
    const counts = ran.map(([name, vector]) => ` ${name}:${cpu.softirqCount[vector]}`).join('');
    print(
      `${task(`ksoftirqd/${cpu.id}`, cpu.ksoftirqdRunnable)} cpu:${cpu.id} softirqs:${counts === '' ? ' none' : counts}`,
    );
  }
  print(`${task('kworker/u', machine.works.length > 0)} works:${machine.works.length}`);
  const lines = machine.irqLines;
  for (const line of lines.slice(0, REPORT_LINES_MAX)) {
    print(`irq ${line.number}: ${line.name} cpu:${line.cpu.id} count:${line.count}${line.disabled ? ' disabled' : ''}`);
  }
  if (lines.length > REPORT_LINES_MAX) print(`... and ${lines.length - REPORT_LINES_MAX} more lines`);
}

/** The beginning of a task's line, as ps and the kernel name its state. */
export function task(name: string, runnable: boolean): string {
  return `task:${name.padEnd(15)} state:${runnable ? 'R  running task   ' : 'S'}`;
}

/** p: the CPU that runs, since it is the one that was asked. */
export function showRegisters({ machine, world }: Sysrq, print: Print): void {
  const { cpu } = machine;
  print(`CPU: ${cpu.id} Not tainted ${machine.release} ${machine.hostname}`);
  print(cpuState(cpu));
  for (const line of world.registers?.(cpu) ?? []) print(line);
}

/** l: every CPU that is not idle. */
export function showBacktraces(sysrq: Sysrq, print: Print): void {
  const { machine, world } = sysrq;
  for (const cpu of machine.cpus) {
    if (cpu !== machine.cpu && isIdle(cpu)) {
      sysrq.say(`CPU${cpu.id}: backtrace skipped as idling`);
      continue;
    }
    sysrq.say(`CPU${cpu.id}:`);
    print(cpuState(cpu));
    const trace = world.backtrace?.(cpu) ?? [];
    if (trace.length > 0) print('Call Trace:');
    for (const line of trace.slice(0, REPORT_LINES_MAX)) print(` ${line}`);
  }
}

function isIdle(cpu: Cpu): boolean {
  return cpu.preemptCount === 0 && !cpu.irqsDisabled && !cpu.ksoftirqdRunnable && cpu.softirqPending === 0;
}

function cpuState(cpu: Cpu): string {
  const pending = VECTORS.filter(([, vector]) => (cpu.softirqPending & (1 << vector)) !== 0).map(([name]) => name);
  const where = cpu.inHardirq ? 'hardirq' : cpu.inServingSoftirq ? 'softirq' : cpu.inSoftirq ? 'bh off' : 'process';
  const count = cpu.preemptCount.toString(16).padStart(8, '0');
  const irqs = cpu.irqsDisabled ? 'off' : 'on';
  return `preempt_count: ${count} (${where}) irqs: ${irqs} softirqs pending: ${pending.join(' ') || 'none'}`;
}

/** q: timers by deadline. */
export function showTimers({ machine }: Sysrq, print: Print): void {
  const nowNs = Math.floor(machine.executive.now());
  print(`now at ${nowNs} nsecs, jiffies: ${machine.jiffies}, HZ: ${machine.hz}`);
  print('active timers:');
  const { armed } = machine.timers;
  armed.slice(0, REPORT_LINES_MAX).forEach((timer, i) => {
    print(` #${i}: expires at ${Math.ceil(timer.atNs)} nsecs [in ${Math.ceil(timer.atNs - nowNs)} nsecs]`);
  });
  if (armed.length > REPORT_LINES_MAX) print(` ... and ${armed.length - REPORT_LINES_MAX} more`);
}
