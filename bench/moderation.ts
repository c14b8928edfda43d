// What does it cost to be woken, and what does moderation save? The same flood of 60-byte frames on our ports with interrupts as they come
// (`ethtool -C rx-usecs 0 adaptive-rx off`), held back for a fixed time, and adaptive, which is what a device has if nobody says anything.
// A sender that wakes a sleeper for each frame sends half as many, and the sleeper pays for waking up.
//
//   delivered    datagrams a second that reach a UDP socket of our own stack, of a sender that takes all of a processor
//   CPU time     of the receiving process, a datagram
//   polls        of the queue, a datagram: how often the machine looked; with moderation off each begins with an interrupt
//
// Ratios are to the same port with moderation off, in alternating rounds. bench/latency.ts shows what adaptive costs the idle: nothing.

import type { CoalesceParams } from '../src/device/coalesce.ts';
import { amount, type Figure } from './figures.ts';
import { compare } from './harness.ts';
import { type FloodSite, flood, onEachPort, withReceiver } from './livelock/ports.ts';
import type { FloodReport } from './livelock/receiver.ts';

export const question = 'interrupt moderation under a flood: off, fixed and adaptive, on packet:, xdp: and udp:';

const ROUNDS = 5;
/** The compiler has done its work by then. */
const WARM_SECONDS = 2;
const FLOOD_SECONDS = 0.6;
const OFF: Partial<CoalesceParams> = { adaptiveRx: false };
const MODES: readonly (readonly [name: string, coalesce: Partial<CoalesceParams>])[] = [
  ['off', OFF],
  ['fixed, 50 us', { adaptiveRx: true, pktRateLow: 0, pktRateHigh: 1, rxUsecsHigh: 50 }],
  ['fixed, 1000 us', { adaptiveRx: true, pktRateLow: 0, pktRateHigh: 1, rxUsecsHigh: 1000 }],
  ['adaptive', {}],
];
interface Trial {
  readonly rate: number;
  readonly cpuNs: number;
  readonly interrupts: number;
  readonly polls: number;
}

export const run = (): Promise<Figure[]> => onEachPort(question, onPort);

async function onPort(site: FloodSite, name: string, spec: string): Promise<Figure[]> {
  const trials = new Map<string, Trial[]>(MODES.map(([mode]) => [mode, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (let k = 0; k < MODES.length; k++) {
      const [mode, coalesce] = MODES[(round + k) % MODES.length]!;
      trials.get(mode)!.push(await trial(site, spec, coalesce));
    }
  }
  const figures: Figure[] = [];
  for (const [mode] of MODES.slice(1)) {
    figures.push(await against(trials, name, mode, 'delivered', 'datagrams/s', ({ rate }) => rate));
    figures.push(await against(trials, name, mode, 'CPU time', 'ns a datagram', ({ cpuNs }) => cpuNs));
  }
  for (const [mode] of MODES) {
    const polls = trials.get(mode)!.map((each) => each.polls);
    figures.push(
      amount(
        `${name} ${mode}: polls of the queue`,
        'a thousand datagrams',
        polls.map((each) => each * 1000),
      ),
    );
    const interrupts = trials.get(mode)!.map((each) => each.interrupts);
    figures.push(
      amount(
        `${name} ${mode}: interrupts`,
        'a thousand datagrams',
        interrupts.map((each) => each * 1000),
      ),
    );
  }
  return figures;
}

function against(
  trials: ReadonlyMap<string, readonly Trial[]>,
  name: string,
  mode: string,
  what: string,
  unit: string,
  of: (trial: Trial) => number,
): Promise<Figure> {
  const recorded = (which: string) => {
    let next = 0;
    return { name: which, measure: () => of(trials.get(which)![next++]!) };
  };
  return compare(`${name} ${what}`, unit, recorded(mode), recorded('off'), { rounds: ROUNDS, warmUps: 0 });
}

function trial(site: FloodSite, spec: string, coalesce: Partial<CoalesceParams>): Promise<Trial> {
  return withReceiver(site, spec, { words: [JSON.stringify({ coalesce })] }, async (receiver) => {
    await flood(site, { seconds: WARM_SECONDS });
    const before = await receiver.ask<FloodReport>();
    const { elapsed } = await flood(site, { seconds: FLOOD_SECONDS });
    const after = await receiver.ask<FloodReport>();
    const received = after.received - before.received;
    return {
      rate: received / elapsed,
      cpuNs: (after.cpuNs - before.cpuNs) / received,
      interrupts: (after.interrupts - before.interrupts) / received,
      polls: (after.polls - before.polls) / received,
    };
  });
}
