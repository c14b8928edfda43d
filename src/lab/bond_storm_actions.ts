/**
 * What happens in a bond storm: pings and SysRq storms over one bond, from every context of every CPU, and trouble with its wires.
 */
import type { Prng } from '../base/prng.ts';
import type { Cpu } from '../machine/cpu.ts';
import type { Machine } from '../machine/machine.ts';
import { panic } from '../machine/panic.ts';
import { netpollPoll } from '../netpoll/poll.ts';
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import { bondEnslave } from '../stacked/bond/enslave.ts';
import { bondRelease } from '../stacked/bond/release.ts';
import type { StormHost, StormMachine } from './bond_storm_hosts.ts';
import type { StormWatcher } from './bond_storm_watcher.ts';
import { LINE_TROUBLES, lineTrouble } from './trouble.ts';

/** X, t and m are the seeds' storm; the others are what else shows something. X has no operation: help. */
const STORM_KEYS = 'XXtttmmmplqwd57h';

export interface Storm {
  readonly world: World;
  readonly wires: readonly Wire[];
  readonly host: StormHost;
  readonly watcher: StormWatcher;
  readonly chance: Prng;
  /** Slaves that an action has taken out of the bond. */
  readonly released: Set<number>;
  /** Called before a slave leaves: what netpoll counts for it goes with it. */
  readonly beforeRelease: (index: number) => void;
}

/** Plans everything, from now until `endNs`. */
export function planStorm(storm: Storm, endNs: number): void {
  const { world, chance, host } = storm;
  const { machine } = host.sim;
  const keyboards = machine.cpus.map((cpu) =>
    machine.requestIrq(`keyboard${cpu.id}`, cpu, () => void host.sysrq.handle(anyKey(chance))),
  );
  const cpu = (): Cpu => machine.cpus[chance.below(machine.cpus.length)]!;
  const action = (): void => {
    const dice = chance.below(1000);
    if (dice < 300) ping(storm);
    else if (dice < 420) keyboards[chance.below(keyboards.length)]!.raise();
    else if (dice < 540) onCpu(machine, cpu(), () => void host.sysrq.trigger(`_${anyKey(chance)}${anyKey(chance)}`));
    else if (dice < 700) command(storm);
    else if (dice < 780) onCpu(machine, cpu(), () => chatter(storm));
    else if (dice < 850) onCpu(machine, cpu(), () => wedged(storm));
    else if (dice < 997) trouble(storm);
    else onCpu(machine, cpu(), () => panic(machine, 'drawn'));
  };
  const left = endNs - world.nowNs;
  for (let n = 30 + chance.below(90); n > 0; n--) world.after(chance.below(left), action);
}

/**
 * Process context of one CPU: not while it is in an interrupt, or anywhere else where process context does not get to. The work is
 * left out then; it happens again soon.
 */
export function onCpu(machine: Machine, cpu: Cpu, run: () => void): void {
  const nested = machine.cpu !== cpu && (machine.cpu.inInterrupt || machine.cpu.irqsDisabled);
  if (machine.dead || cpu.inInterrupt || cpu.irqsDisabled || !cpu.takesInterrupts || nested) return;
  const interrupted = machine.enterCpu(cpu);
  run();
  machine.leaveCpu(interrupted);
}

function anyKey(chance: Prng): string {
  return STORM_KEYS[chance.below(STORM_KEYS.length)]!;
}

function ping({ watcher, chance }: Storm): void {
  const { machine } = watcher.machine.sim;
  onCpu(machine, machine.cpus[0]!, () => watcher.ping(1 + chance.below(30), chance));
}

function command({ watcher, chance }: Storm): void {
  const { machine } = watcher.machine.sim;
  onCpu(machine, machine.cpus[0]!, () => watcher.command(anyKey(chance), chance));
}

/** Lines from process context, with interrupts on or off, and from inside an interrupt of another CPU. */
function chatter({ host, chance }: Storm): void {
  const { machine } = host.sim;
  const off = chance.chance(0.5);
  const were = off && machine.cpu.localIrqSave();
  for (let n = 1 + chance.below(10); n > 0; n--) machine.printk.info(`chatter ${'x'.repeat(chance.below(300))}`);
  if (off) machine.cpu.localIrqRestore(were);
}

/** Interrupts off for a while: netpoll and SysRq alone keep the machine talking. */
function wedged({ host, chance }: Storm): void {
  const { machine } = host.sim;
  const { cpu } = machine;
  const were = cpu.localIrqSave();
  for (let n = 1 + chance.below(8); n > 0; n--) {
    if (chance.chance(0.5)) host.listener.poll();
    else netpollPoll(host.pong.np);
    machine.executive.spin(20_000);
  }
  cpu.localIrqRestore(were);
}

function trouble(storm: Storm): void {
  const { world, wires, chance, host, watcher } = storm;
  const i = chance.below(wires.length);
  const wire = wires[i]!;
  const side: StormMachine = chance.chance(0.7) ? host : watcher.machine;
  const port = side.ports[i]!;
  const afterNs = chance.below(8e6);
  const kind = chance.below(7);
  if (kind < LINE_TROUBLES) {
    lineTrouble(world, port, wire, kind, afterNs);
  } else if (kind === 4) {
    wire.loss = chance.below(1000) / 1000;
    world.after(afterNs, () => {
      wire.loss = 0;
    });
  } else if (kind === 5) {
    wire.reorder = 0.2;
    world.after(afterNs, () => {
      wire.reorder = 0;
    });
  } else releaseSlave(storm, i, afterNs);
}

/** A slave leaves the bond while netpoll uses it, and comes back: late enslaving. */
function releaseSlave(storm: Storm, i: number, afterNs: number): void {
  const { world, host, released } = storm;
  const { machine } = host.sim;
  if (released.has(i) || released.size + 1 >= host.slaves.length) return;
  onCpu(machine, machine.cpus[0]!, () => {
    storm.beforeRelease(i);
    if (bondRelease(host.bond, host.slaves[i]!) === 0) released.add(i);
  });
  world.after(afterNs, () => rejoin(storm, i));
}

/** Puts a slave that was released back; again a little later where that is not possible now. */
export function rejoin(storm: Storm, i: number): void {
  const { world, host, released } = storm;
  const { machine } = host.sim;
  if (!released.has(i) || machine.dead) return;
  onCpu(machine, machine.cpus[0]!, () => {
    if (bondEnslave(host.bond, host.slaves[i]!) === 0) released.delete(i);
  });
  if (released.has(i)) world.after(1e6, () => rejoin(storm, i));
}
