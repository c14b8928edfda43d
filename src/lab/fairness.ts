/**
 * Fairness, in two experiments on one CPU.
 *
 *     neighbours   two cards, one flooded, one with a frame now and then: how long does that frame take to its socket?
 *                  A poll takes `weight` frames and goes to the end of the list, so the answer is a bound, not a hope.
 *     priority     one card, flooded; an application reads from the socket. ksoftirqd and the application share what the CPU
 *                  has: more for ksoftirqd means that more frames arrive which nobody has the time to read.
 */
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { DEFAULT_COSTS } from '../sim/cpu_time.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { sentNs, startFlood } from './flood.ts';

const PORT = 9;
const FAST_WIRE = { rateBps: 100e9 };
/** Datagrams that the application's socket holds: as many as 4 MiB take. */
const SOCKET_QUEUE = 4096;
/** What the application does with a datagram. */
const READ_NS = 8_000;

export interface NeighboursResult {
  /** Nanoseconds from arrival at the card to the socket, of the frames of the quiet card. */
  readonly count: number;
  readonly meanNs: number;
  readonly maxNs: number;
  /** What the rules promise: one run of net_rx_action, then the frame's own way. */
  readonly boundNs: number;
  readonly floodDelivered: number;
}

/** The quiet card's frames while the other one gets `floodRate` frames a second. */
export function neighbours(options: { seed?: number; floodRate?: number; ms?: number } = {}): NeighboursResult {
  const spanNs = (options.ms ?? 100) * 1e6;
  const world = new World({ seed: options.seed ?? 1 });
  const sim = createSimMachine(world, { hostname: 'lab', cpuModel: {}, slots: 4096 });
  const busy = attach(world, sim, 1);
  const quiet = attach(world, sim, 2);
  let count = 0;
  let sum = 0;
  let maxNs = 0;
  let floodDelivered = 0;
  const inet = new Inet(sim.stack);
  udpBind(inet, PORT, () => {
    floodDelivered++;
  });
  udpBind(inet, PORT + 1, (skb) => {
    const tookNs = world.nowNs - sentNs(skb.arena.view, skb.data) - quiet.wire.delayNs;
    count++;
    sum += tookNs;
    maxNs = Math.max(maxNs, tookNs);
  });
  const rate = options.floodRate ?? 1e6;
  startFlood(world, busy.wire, { ...busy.to, destPort: PORT, rate, fromNs: 0, untilNs: spanNs });
  startFlood(world, quiet.wire, { ...quiet.to, destPort: PORT + 1, rate: 1000, fromNs: 0, untilNs: spanNs });
  world.runUntil(spanNs);
  return { count, meanNs: sum / count, maxNs, boundNs: boundNs(sim), floodDelivered };
}

/** A run of net_rx_action takes at most its budget and one weight; a run later at most the frame is polled, and goes up. */
function boundNs(sim: SimMachine): number {
  const { driverNs, stackNs, pollNs, irqNs, softirqNs, switchNs } = DEFAULT_COSTS;
  const frames = sim.stack.limits.budget + 64;
  return frames * (driverNs + stackNs) + 16 * pollNs + 4 * irqNs + 2 * softirqNs + 2 * switchNs;
}

export interface PriorityPoint {
  readonly nice: number;
  /** Datagrams a second that reached the socket, and that the application has read. */
  readonly received: number;
  readonly read: number;
  readonly droppedByCard: number;
  readonly droppedBySocket: number;
  /** Parts of 1. */
  readonly receiveShare: number;
  readonly applicationShare: number;
}

export const PRIORITIES: readonly number[] = [-20, -10, -5, 0, 5, 10, 19];

/** A flood of `rate` frames a second against an application of nice 0, for each priority of ksoftirqd. */
export function priorities(
  options: { seed?: number; rate?: number; ms?: number; nices?: readonly number[] } = {},
): PriorityPoint[] {
  return (options.nices ?? PRIORITIES).map((nice) =>
    priority(nice, options.rate ?? 600e3, (options.ms ?? 150) * 1e6, options.seed ?? 1),
  );
}

function priority(ksoftirqdNice: number, rate: number, spanNs: number, seed: number): PriorityPoint {
  const world = new World({ seed });
  const sim = createSimMachine(world, { hostname: 'lab', cpuModel: { ksoftirqdNice }, slots: 4096, hz: 1000 });
  const { wire, port, to } = attach(world, sim, 1);
  const model = sim.model!;
  let waiting = 0;
  let received = 0;
  let read = 0;
  let full = 0;
  const application = model.addTask(0, 'reader', 0, () => {
    if (waiting === 0) return 0;
    waiting--;
    read++;
    return READ_NS;
  });
  udpBind(new Inet(sim.stack), PORT, () => {
    received++;
    if (waiting === SOCKET_QUEUE) full++;
    else if (waiting++ === 0) application.wake();
  });
  startFlood(world, wire, { ...to, destPort: PORT, rate, fromNs: 0, untilNs: 2 * spanNs });
  const reading = (): number[] => {
    const { times } = model.cpus[0]!;
    const card = port.counters.get('rx_missed_errors');
    return [received, read, card, full, times[0]! + times[1]! + times[2]!, times[4]!];
  };
  let before: number[] = [];
  let after: number[] = [];
  world.at(spanNs, () => {
    before = reading();
  });
  world.at(2 * spanNs, () => {
    after = reading();
  });
  world.runUntil(2 * spanNs);
  const [gotten = 0, taken = 0, byCard = 0, bySocket = 0, receiveNs = 0, taskNs = 0] = after.map(
    (value, i) => (value - before[i]!) / spanNs,
  );
  return {
    nice: ksoftirqdNice,
    received: gotten * 1e9,
    read: taken * 1e9,
    droppedByCard: byCard * 1e9,
    droppedBySocket: bySocket * 1e9,
    receiveShare: receiveNs,
    applicationShare: taskNs,
  };
}

interface Card {
  readonly wire: Wire;
  readonly port: SimPort;
  readonly to: { readonly destMac: Uint8Array; readonly destIp: number };
}

/** A nic of the machine on a wire of its own, up. */
function attach(world: World, sim: SimMachine, number: number): Card {
  const wire = new Wire(world, FAST_WIRE);
  const destMac = Uint8Array.of(2, 0, 0, 0, 0, number);
  const destIp = 0x0a000000 + 256 * number + 1;
  const port = new SimPort(world, { name: `sim:${number}`, mac: destMac, wire, model: sim.model });
  const dev = createNic(sim.net, port);
  dev.addresses.push({ family: 4, v4: destIp });
  devOpen(dev);
  return { wire, port, to: { destMac, destIp } };
}
