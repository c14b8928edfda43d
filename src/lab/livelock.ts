/**
 * Receive livelock: what a machine delivers against what is offered, for three ways to receive on the same hardware.
 *
 *     interrupt   every frame interrupts (snull): above the saturation load the CPU only takes interrupts, delivers nothing
 *     no quota    interrupts off, polled until the card is empty (poller): it never is, the next stage never runs
 *     napi        polled with weight and budget, then ksoftirqd, fair against tasks (nic): the card drops what is too much
 *
 * After Mogul and Ramakrishnan, "Eliminating receive livelock in an interrupt-driven kernel" (1996). Delivered is what reaches
 * a UDP socket. A task wants the whole CPU all the time; its nice value is the share that it is to keep.
 */
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import type { Port } from '../drivers/nic/port.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { CPU_TIMES, type CpuTimeName } from '../sim/cpu_time.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { startFlood } from './flood.ts';
import { createPoller } from './poller.ts';

export const WAYS = ['interrupt', 'no quota', 'napi'] as const;
export type Way = (typeof WAYS)[number];

const DRIVERS: Record<Way, (net: Net, port: Port, name?: string) => NetDevice> = {
  interrupt: createSnull,
  'no quota': createPoller,
  napi: createNic,
};

export interface LivelockOptions {
  readonly seed?: number;
  /** Frames a second offered, one run each. */
  readonly rates?: readonly number[];
  /** Virtual milliseconds that are measured, after as long a time of warming up. */
  readonly measureMs?: number;
  /** Priority of the task that wants the CPU; 15 if absent, which is 3 % against ksoftirqd's 0. */
  readonly taskNice?: number;
}

/** Per second of virtual time; shares are parts of 1. */
export interface LivelockPoint {
  readonly way: Way;
  readonly offered: number;
  readonly delivered: number;
  /** Lost on the card, which costs nothing, and on the backlog, after work was done. */
  readonly droppedByCard: number;
  readonly droppedByBacklog: number;
  readonly interrupts: number;
  /** Polls that emptied the ring, and polls that used their weight up (NAPI_HOWTO's Done and Ndone). */
  readonly done: number;
  readonly notDone: number;
  readonly shares: Readonly<Record<CpuTimeName | 'idle', number>>;
}

/** From a tenth of what one CPU delivers to eleven times it. */
export const LIVELOCK_RATES: readonly number[] = [
  20e3, 40e3, 80e3, 120e3, 160e3, 200e3, 240e3, 300e3, 400e3, 600e3, 800e3, 1200e3, 1600e3, 2000e3, 2400e3,
];

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const IP = 0x0a000001;
const PORT = 9;

/** Every way at every rate. */
export function livelock(options: LivelockOptions = {}): LivelockPoint[] {
  const points: LivelockPoint[] = [];
  for (const way of WAYS) {
    for (const rate of options.rates ?? LIVELOCK_RATES) points.push(livelockPoint(way, rate, options));
  }
  return points;
}

interface Reading {
  delivered: number;
  card: number;
  backlog: number;
  interrupts: number;
  polls: number;
  notDone: number;
  times: Float64Array;
}

/** One run. */
export function livelockPoint(way: Way, offered: number, options: LivelockOptions = {}): LivelockPoint {
  const spanNs = (options.measureMs ?? 90) * 1e6;
  const world = new World({ seed: options.seed ?? 1 });
  const wire = new Wire(world, { rateBps: 100e9 });
  const sim = createSimMachine(world, { hostname: 'lab', cpuModel: {}, slots: 4096, hz: 1000 });
  const model = sim.model!;
  const port = new SimPort(world, { name: 'sim:lab', mac: MAC, wire, model });
  const dev = DRIVERS[way](sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: IP });
  devOpen(dev);
  let delivered = 0;
  udpBind(new Inet(sim.stack), PORT, () => {
    delivered++;
  });
  model.addTask(0, 'hog', options.taskNice ?? 15);
  let notDone = 0;
  const napi = dev.napiList[0];
  const read = (): Reading => ({
    delivered,
    card: port.counters.get('rx_missed_errors'),
    backlog: sim.net.softnet[0]!.dropped,
    interrupts: sim.machine.irqLines.reduce((sum, line) => sum + line.count, 0),
    polls: napi?.polls ?? 0,
    notDone,
    times: model.cpus[0]!.times.slice(),
  });
  if (napi !== undefined) {
    const { poll } = napi;
    const counted: typeof poll = (self, budget) => {
      const work = poll(self, budget);
      if (work === budget) notDone++;
      return work;
    };
    (napi as { poll: typeof poll }).poll = counted;
  }
  startFlood(world, wire, { destMac: MAC, destIp: IP, destPort: PORT, rate: offered, fromNs: 0, untilNs: 2 * spanNs });
  const readings: Reading[] = [];
  world.at(spanNs, () => readings.push(read()));
  world.at(2 * spanNs, () => readings.push(read()));
  world.runUntil(2 * spanNs);
  return difference(way, offered, readings[0]!, readings[1]!, spanNs);
}

function difference(way: Way, offered: number, a: Reading, b: Reading, spanNs: number): LivelockPoint {
  const perSecond = (n: number): number => (n * 1e9) / spanNs;
  const shares = {} as Record<CpuTimeName | 'idle', number>;
  let busy = 0;
  CPU_TIMES.forEach((name, i) => {
    shares[name] = (b.times[i]! - a.times[i]!) / spanNs;
    busy += shares[name];
  });
  shares.idle = Math.max(0, 1 - busy);
  const notDone = b.notDone - a.notDone;
  return {
    way,
    offered,
    delivered: perSecond(b.delivered - a.delivered),
    droppedByCard: perSecond(b.card - a.card),
    droppedByBacklog: perSecond(b.backlog - a.backlog),
    interrupts: perSecond(b.interrupts - a.interrupts),
    done: perSecond(b.polls - a.polls - notDone),
    notDone: perSecond(notDone),
    shares,
  };
}
