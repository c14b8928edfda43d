/**
 * The stress of seed 003, as often as there are seeds: a PONG server, netconsole and SysRq storms at the same time on the same bond of
 * a machine with several CPUs, while wires fail and slaves come and go.
 *
 *  1. Draw the modes of the two bonds, wires, CPUs, memory; let the bonds find each other.
 *  2. For 15 to 40 virtual milliseconds: pings, SysRq keys from keyboards (in interrupts), from processes, over the network;
 *     chatter, sections with interrupts off, trouble; now and then a panic.
 *  3. Heal everything, let it run out, and ask all books (bond_storm_checks.ts, sim/ledger.ts). Contexts are watched all the time.
 *  4. Alive: a machine that has not panicked answers a ping and obeys a command; one that has obeys when it is polled.
 *
 * A failure is a sentence and the seed that has it again.
 */
import { Prng } from '../base/prng.ts';
import { devOpen } from '../device/open.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { checkWire } from '../sim/ledger.ts';
import type { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { AD_LACP_FAST, BOND_LINK_UP, BOND_MODE_8023AD, BOND_MODE_NAMES, bondSlaveIsUp } from '../stacked/bond/bond.ts';
import { onCpu, planStorm, rejoin, type Storm } from './bond_storm_actions.ts';
import { countedLosses, outcomes, StormBooks } from './bond_storm_checks.ts';
import {
  bondedMachine,
  plantFault,
  STORM_IP,
  STORM_MODES,
  type StormPlant,
  stormClients,
  stormWires,
  WATCHER_IP,
} from './bond_storm_hosts.ts';
import { StormWatcher } from './bond_storm_watcher.ts';

export interface StormVerdict {
  readonly seed: number;
  /** What was wrong, empty if nothing. */
  readonly wrong: readonly string[];
  readonly mode: string;
  readonly cpus: number;
  /** Sent by the watcher, answered by the storm, and heard by the watcher. */
  readonly pings: number;
  readonly answered: number;
  readonly pongs: number;
  /** Records of the log that were shown, and that the watcher heard. */
  readonly records: number;
  readonly recordsHeard: number;
  /** SysRq commands over the network that were obeyed. */
  readonly commands: number;
  readonly lost: number;
  readonly events: number;
  readonly panicked: boolean;
}

/** The bonds have come up, and 802.3ad has agreed. */
const SETTLE_NS = 300e6;
const SETTLE_AD_NS = 6e9;
/** Long enough for every deferred queue, tried again each 100 ms. */
const HEALED_NS = 6e9;

/** Runs one storm. Never throws: what was thrown is in the verdict. `plant` puts a fault into it which must be found. */
export function runStorm(seed: number, plant: StormPlant | null = null): StormVerdict {
  const chance = new Prng(seed ^ 0xb07d);
  const world = new World({ seed });
  const wires = stormWires(world, chance);
  const [mode, watcherMode] = STORM_MODES[chance.below(STORM_MODES.length)]!;
  const cpus = 2 + chance.below(3);
  const slots = 128 << chance.below(3);
  const wrong: string[] = [];
  const storm = setUp(world, wires, chance, { mode, watcherMode, cpus, slots });
  const { host, watcher } = storm;
  let events = 0;
  const shown = new Set<number>();
  const heard = (): number => [...watcher.records].filter((record) => shown.has(record)).length;
  let lost = 0;
  try {
    events += world.runFor(mode === BOND_MODE_8023AD ? SETTLE_AD_NS : SETTLE_NS);
    if (plant !== null) plantFault(host, plant);
    const info = npinfoOf(host.bond.dev)!;
    const before = outcomes(info) - storm.books.datagramsNow();
    // What the log level lets through: the storm changes it, too.
    host.sim.machine.printk.registerConsole({ name: 'shown', write: ({ seq }) => void shown.add(seq) });
    const endNs = world.nowNs + 15e6 + chance.below(25e6);
    planStorm(storm, endNs);
    events += world.runUntil(endNs);
    wrong.push(...host.ledger.check(false), ...watcher.machine.ledger.check(false));
    heal(storm);
    events += world.runFor(HEALED_NS);
    wrong.push(...alive(storm));
    events += world.runFor(HEALED_NS);
    wrong.push(...storm.books.check(before));
    for (const { sim, ledger } of [host, watcher.machine]) wrong.push(...ledger.check(!sim.machine.dead));
    wires.forEach((wire, i) => {
      wrong.push(...checkWire(wire, [host.ports[i]!, watcher.machine.ports[i]!], 0, true));
    });
    lost = countedLosses(host, watcher, wires);
    const missing = shown.size - heard();
    if (missing > lost) wrong.push(`${missing} records of the log are missing, ${lost} frames are counted as lost`);
  } catch (error) {
    wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  return {
    seed,
    wrong,
    mode: BOND_MODE_NAMES[mode] ?? String(mode),
    cpus,
    pings: watcher.pings,
    answered: host.pong.answered,
    pongs: watcher.pongs,
    records: shown.size,
    recordsHeard: heard(),
    commands: host.listener.audit.counters.get('accepted'),
    lost,
    events,
    panicked: host.sim.machine.dead,
  };
}

interface Running extends Storm {
  readonly books: StormBooks;
}

function setUp(
  world: World,
  wires: readonly Wire[],
  chance: Prng,
  drawn: { mode: number; watcherMode: number; cpus: number; slots: number },
): Running {
  const { mode, watcherMode, cpus, slots } = drawn;
  const lacpRate = chance.below(2);
  const bonded = bondedMachine(world, wires, chance, { name: 'storm', ip: STORM_IP, mode, slots, cpus, lacpRate });
  const far = bondedMachine(world, wires, chance, {
    ...{ name: 'watcher', ip: WATCHER_IP, mode: watcherMode, slots: 2048, cpus: 1, lacpRate },
  });
  const host = stormClients(bonded, far.bond.dev.devAddr, chance);
  const watcher = new StormWatcher(far, bonded.bond.dev.devAddr, chance);
  const books = new StormBooks(host);
  return { world, wires, host, watcher, chance, released: new Set(), beforeRelease: () => books.follow(), books };
}

function heal(storm: Running): void {
  for (const wire of storm.wires) {
    wire.partitioned = false;
    wire.loss = wire.reorder = 0;
  }
  for (const { sim, ports, bond } of [storm.host, storm.watcher.machine]) {
    for (const port of ports) {
      port.setTxStalled(false);
      port.setLink(true);
      port.setIrqStuck(false);
    }
    if (!sim.machine.dead) devOpen(bond.dev);
  }
  for (const i of storm.released) rejoin(storm, i);
}

/** No deadlock: it still answers, and still obeys. */
function alive(storm: Running): string[] {
  const { world, host, watcher, chance } = storm;
  const { machine } = host.sim;
  const far = watcher.machine.sim.machine;
  const [pongs, results] = [watcher.pongs, watcher.results];
  if (machine.dead && !reachable(storm)) return [];
  for (let tries = 0; tries < 20; tries++) {
    onCpu(far, far.cpus[0]!, () => {
      if (!machine.dead) watcher.ping(1, chance);
      if (tries % 2 === 0) watcher.ask();
      else watcher.command('h', chance);
    });
    world.runFor(50e6);
    // After a panic nobody polls by himself.
    for (let n = 0; machine.dead && n < 4; n++) host.listener.poll();
    world.runFor(50e6);
    if (watcher.results > results && (machine.dead || watcher.pongs > pongs)) return [];
  }
  const what = watcher.results > results ? 'a ping' : 'a command';
  return [`the machine is ${machine.dead ? 'dead' : 'alive'}, and ${what} has had no answer for 2 s`];
}

/**
 * Whether a dead machine can be talked to: both ends still use every wire. It does not take a slave back that had just left, nor
 * believe in a link that came back. It sends no LACPDU either: a partner at the fast rate has given up after three seconds, and
 * one whose link has flapped does not agree again.
 */
function reachable({ host, watcher, wires }: Running): boolean {
  const { params } = host.bond;
  const lacp = params.mode === BOND_MODE_8023AD;
  if (lacp && params.lacpRate === AD_LACP_FAST) return false;
  return [host.bond, watcher.machine.bond].every(({ slaves }) => {
    const usable = slaves.filter((slave) => bondSlaveIsUp(slave) && slave.link === BOND_LINK_UP);
    return usable.filter((slave) => !lacp || !slave.inactive).length === wires.length;
  });
}
