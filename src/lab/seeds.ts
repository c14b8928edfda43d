/**
 * The seed farm: random worlds with all checkers on. One seed is one world, one history, one verdict.
 *
 *  1. Draw machines (driver and its queues, CPUs, RPS, GRO, veths, cost model or not), a wire with faults.
 *  2. For 20 to 60 virtual milliseconds: traffic of netpoll and UDP, trains of TCP segments, frames that are garbage, link flaps,
 *     stalled transmitters, stuck interrupts, sections with interrupts off, cards taken down and up, rings and queues changed, busy
 *     polling, now and then a panic.
 *  3. Heal everything, let it run out, and ask the ledgers (sim/ledger.ts) and who watched for starvation (sim/starvation.ts);
 *     contexts are watched all the time (sim/contexts.ts).
 *
 * A failure is a sentence and the seed that has it again.
 */
import { Prng } from '../base/prng.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { checkWire, type Ledger } from '../sim/ledger.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { type Plant, type SeedStation, seedStation } from './seed_station.ts';
import { seedTraffic } from './seed_traffic.ts';

export interface SeedVerdict {
  readonly seed: number;
  /** What was wrong, empty if nothing. */
  readonly wrong: readonly string[];
  /** Frames that came into machines, and events of the world; to see that something happened. */
  readonly frames: number;
  readonly events: number;
  readonly panics: number;
  /** Milliseconds for which the oldest frame lived. */
  readonly oldestMs: number;
}

/** Time to come to rest in, and how often it is given where frames wait for netpoll: tries are 100 ms apart, each for few frames. */
const HEALED_NS = 5e9;
const HEALED_ROUNDS = 8;

/** Runs one world. Never throws: what was thrown is in the verdict. `plant` puts a fault into it which must be found. */
export function runSeed(seed: number, plant: Plant | null = null): SeedVerdict {
  const chance = new Prng(seed ^ 0x5eed);
  const world = new World({ seed });
  const wire = new Wire(world, {
    rateBps: pick(chance, [10e6, 100e6, 1e9, 10e9]),
    delayNs: pick(chance, [0, 500, 5_000, 300_000]),
    loss: sometimes(chance, 0.3),
    duplication: sometimes(chance, 0.2),
    reorder: sometimes(chance, 0.3),
    jitterNs: chance.chance(0.3) ? 50_000 : 0,
  });
  let events = 0;
  const wrong: string[] = [];
  const stations: SeedStation[] = [];
  const ledgers: Ledger[] = [];
  let heard = 0;
  const hand = {
    receive() {
      heard++;
    },
  };
  wire.attach(hand);
  try {
    const count = 2 + chance.below(3);
    for (let i = 0; i < count; i++) stations.push(seedStation(world, wire, chance, i + 1, i === 0 ? plant : null));
    for (const station of stations) ledgers.push(station.ledger);
    const endNs = 20e6 + chance.below(40e6);
    seedTraffic(world, wire, hand, chance, stations, endNs);
    events += world.runUntil(endNs);
    for (const ledger of ledgers) wrong.push(...ledger.check(false));
    heal(wire, stations);
    for (let round = 0; round < HEALED_ROUNDS && (round === 0 || deferred(stations)); round++) {
      events += world.runFor(HEALED_NS);
    }
    for (const { sim, ledger, starvation } of stations) {
      wrong.push(...ledger.check(!sim.machine.dead), ...starvation.stop());
      if (ledger.oldestNs > starvation.boundNs) {
        const ms = Math.round(ledger.oldestNs / 1e6);
        wrong.push(
          `${ledger.name}: a frame was ${ms} ms old when it ended, at most ${starvation.boundNs / 1e6} were allowed`,
        );
      }
    }
    const cards = stations.map(({ card }) => card.account);
    wrong.push(...checkWire(wire, cards, heard, true));
  } catch (error) {
    wrong.push(
      error instanceof Error ? (plant === null ? (error.stack ?? error.message) : error.message) : String(error),
    );
  }
  return {
    seed,
    wrong,
    frames: ledgers.reduce((sum, ledger) => sum + ledger.entered, 0),
    events,
    panics: stations.filter(({ sim }) => sim.machine.dead).length,
    oldestMs: ledgers.reduce((most, { oldestNs }) => Math.max(most, oldestNs / 1e6), 0),
  };
}

function deferred(stations: readonly SeedStation[]): boolean {
  return stations.some(({ sim, dev }) => !sim.machine.dead && (npinfoOf(dev)?.txq.length ?? 0) > 0);
}

function heal(wire: Wire, stations: readonly SeedStation[]): void {
  wire.partitioned = false;
  for (const station of stations) {
    const { card } = station;
    card.setTxStalled(false);
    card.setLink(true);
    card.setIrqStuck(false);
    if (!station.sim.machine.dead) station.up();
  }
}

function pick<T>(chance: Prng, values: readonly T[]): T {
  return values[chance.below(values.length)]!;
}

/** In half of the worlds none, else up to `most`. */
function sometimes(chance: Prng, most: number): number {
  return chance.chance(0.5) ? 0 : (chance.below(1000) / 1000) * most;
}
