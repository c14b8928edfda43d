import { describe, expect, it } from 'vitest';
import { Softirq } from '../machine/softirq.ts';
import { CPU_TIMES, type CpuTimeName } from './cpu_time.ts';
import { RecordingPrng, ReplayPrng } from './draws.ts';
import { createSimMachine } from './sim_machine.ts';
import { REORDER_NS, Wire } from './wire.ts';
import { World } from './world.ts';

function rig(options: { cpus?: number; ksoftirqdNice?: number } = {}) {
  const world = new World({ seed: 1 });
  const costs = { irqNs: 1000, softirqNs: 0, switchNs: 0 };
  const cpuModel = { costs, ksoftirqdNice: options.ksoftirqdNice ?? 0 };
  const sim = createSimMachine(world, { hostname: 'lab', cpus: options.cpus ?? 1, cpuModel });
  const model = sim.model!;
  const time = (name: CpuTimeName, cpu = 0): number => model.timeNs(cpu, CPU_TIMES.indexOf(name));
  return { world, ...sim, model, time };
}

describe('the cost model', () => {
  it('adds what an interrupt takes to the softirq that it interrupts', () => {
    const { world, machine, model, time } = rig();
    const log: [string, number][] = [];
    const second = machine.requestIrq('b', machine.cpu, () => {
      model.charge(2_000);
      log.push(['second', world.nowNs]);
    });
    const first = machine.requestIrq('a', machine.cpu, () => machine.softirq.raise(Softirq.TASKLET));
    machine.softirq.open(Softirq.TASKLET, () => {
      model.charge(10_000);
      log.push(['softirq', world.nowNs]);
    });
    world.at(0, () => first.raise());
    world.at(5_000, () => second.raise());
    world.runIdle();
    expect(log).toEqual([
      ['second', 8_000],
      ['softirq', 14_000],
    ]);
    expect([time('hardirq'), time('softirq'), time('task')]).toEqual([4_000, 10_000, 0]);
  });

  it('keeps an interrupt waiting while they are off, and takes it then', () => {
    const { world, machine, model } = rig();
    let atNs = 0;
    const line = machine.requestIrq('a', machine.cpu, () => {
      atNs = world.nowNs;
    });
    world.at(0, () => {
      const were = machine.cpu.localIrqSave();
      model.charge(50_000);
      machine.cpu.localIrqRestore(were);
    });
    world.at(10_000, () => line.raise());
    world.runIdle();
    expect(atNs).toBe(51_000);
  });

  it('shares a CPU between tasks by their weights', () => {
    const { world, model } = rig();
    const a = model.addTask(0, 'a', 0);
    const b = model.addTask(0, 'b', 5);
    world.runFor(2e9);
    expect(a.usedNs + b.usedNs).toBeGreaterThan(1.99e9);
    expect(a.usedNs / b.usedNs).toBeCloseTo(1.25 ** 5, 0);
  });

  it('gives ksoftirqd its turn among tasks', () => {
    const { world, machine, model, time } = rig();
    model.addTask(0, 'hog', 0);
    machine.softirq.open(Softirq.TASKLET, () => {
      model.charge(100_000);
      machine.softirq.raise(Softirq.TASKLET);
    });
    world.at(0, () => machine.softirq.raise(Softirq.TASKLET));
    world.runFor(1e9);
    expect(time('ksoftirqd') / 1e9).toBeCloseTo(0.5, 1);
    expect(time('task') / 1e9).toBeCloseTo(0.5, 1);
  });

  it('lets two CPUs work at the same time', () => {
    const { world, machine, model, time } = rig({ cpus: 2 });
    const lines = machine.cpus.map((cpu) => machine.requestIrq(`cpu${cpu.id}`, cpu, () => model.charge(99_000)));
    for (let i = 0; i < 100; i++) for (const line of lines) world.at(i * 200_000, () => line.raise());
    world.runFor(100 * 200_000);
    expect([time('hardirq', 0), time('hardirq', 1)]).toEqual([1e7, 1e7]);
    expect(world.nowNs).toBe(2e7);
  });

  it('ends a run at its horizon in the middle of a flood, and goes on with the rest', () => {
    const { world, machine, model, time } = rig();
    const line = machine.requestIrq('a', machine.cpu, () => model.charge(1_000_000));
    world.at(0, () => line.raise());
    world.runFor(10_000);
    expect(world.nowNs).toBe(10_000);
    let raisedAt = 0;
    const next = machine.requestIrq('b', machine.cpu, () => {
      raisedAt = world.nowNs;
    });
    world.at(20_000, () => next.raise());
    world.runFor(2e6);
    expect(raisedAt).toBeGreaterThanOrEqual(1_001_000);
    expect(time('hardirq')).toBe(1_002_000);
  });
});

describe('a wire with faults', () => {
  const arrivals = (options: ConstructorParameters<typeof Wire>[1], count: number, world = new World({ seed: 3 })) => {
    const wire = new Wire(world, { delayNs: 1000, ...options });
    const seen: [number, number][] = [];
    wire.attach({ receive: (bytes) => seen.push([bytes[0]!, world.nowNs]) });
    for (let i = 0; i < count; i++) {
      world.at(i * 10_000, () => wire.transmit({ receive() {} }, Uint8Array.of(i), 0, 1));
    }
    world.runIdle();
    return { seen, wire };
  };

  it('keeps order under jitter', () => {
    const { seen } = arrivals({ jitterNs: 100_000 }, 100);
    expect(seen.map(([id]) => id)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(new Set(seen.map(([id, at]) => at - id * 10_000)).size).toBeGreaterThan(10);
  });

  it('holds a frame back so that later ones overtake it', () => {
    const { seen, wire } = arrivals({ reorder: 0.2 }, 100);
    const late = seen.filter(([id, at]) => at === id * 10_000 + 1000 + REORDER_NS);
    expect(late.length).toBe(wire.counters.get('reordered'));
    expect(late.length).toBeGreaterThan(5);
    expect(seen.map(([id]) => id)).not.toEqual([...seen.map(([id]) => id)].sort((a, b) => a - b));
  });

  it('has the same history again from what was drawn', () => {
    const faults = { loss: 0.2, duplication: 0.2, reorder: 0.2, jitterNs: 5000 };
    const recording = new RecordingPrng(9);
    const first = arrivals(faults, 50, new World({ seed: 9, prng: recording })).seen;
    expect(first).toEqual(arrivals(faults, 50, new World({ seed: 9 })).seen);
    const replay = new ReplayPrng(recording.draws);
    expect(arrivals(faults, 50, new World({ seed: 1, prng: replay })).seen).toEqual(first);
    expect(replay.left).toBe(0);
  });
});
