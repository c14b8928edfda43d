// How well does our l2 forward join two wires? Frames of 60 bytes from one veth pair to another, by our forwarder over packet ports and over
// xdp ports, by AF_XDP in C that only moves descriptors, and by the kernel's own bridge, each on one processor; generator and sink are a C
// program on the other one.
//
//   forwarded      frames a second that come out of a flood
//   loss-free      the highest rate at which none is lost, and no queue grows: the last tenth of the frames takes less than 10 ms in the mean
//                  (bisected, 0.2 s a step; a step that loses is tried once more)
//   on its way     from the system call that sends a frame, to the kernel's stamp where it comes out, at 10, 50 and 90 % of that rate;
//                  programs run at real-time priority for it, so that what else the machine does is not what is measured
//   pauses         garbage collections of our forwarder meanwhile: none may be longer than 1 ms
//
// "at-once" turns our interrupt moderation off: a frame does not wait for others, and each one may cost a wake-up, which is 10 times what
// forwarding costs; a packet port takes frames one by one then, not in blocks. With moderation a poll has some 60 frames under load instead
// of 2, the heap gets a tenth, and a frame waits up to 250 us (xdp) or 4 ms (packet).
//
// On a veth the forwarder's processor also does the kernel's half of what it sends, which is the greater part: alloc, copy, the other end's
// receiving. So even C that touches nothing is bounded by it.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Cable, type Forwarder, openCable } from './forward/cable.ts';
import type { Report } from './forward/forwarder.ts';
import { amount, compare, curve, type Figure, quantiles } from './harness.ts';

export const question =
  'l2 forward between two veth pairs: packet and xdp ports against AF_XDP in C and the kernel bridge';

const ROUNDS = 5;
const FLOOD_SECONDS = 0.3;
const STEP_SECONDS = 0.2;
const STEPS = 6;
const QUEUE_LIMIT_US = 10_000;
const SWEEP = [50e3, 100e3, 200e3, 300e3, 400e3, 500e3, 600e3, 1000e3];
const LOADS = [0.1, 0.5, 0.9];
const LATENCY_SECONDS = 0.5;
const PAUSE_LIMIT_MS = 1;

interface Found {
  readonly flood: number[];
  readonly lossFree: number[];
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const tools = mkdtempSync(join(tmpdir(), 'forward-'));
  const cables: Cable[] = [];
  const close = async () => {
    for (const cable of cables.splice(0)) await cable.remove();
    rmSync(tools, { recursive: true, force: true });
  };
  const stop = () => void close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  try {
    for (const name of ['probe', 'xsk_forward']) {
      execFileSync('gcc', ['-O2', '-o', join(tools, name), source(`${name}.c`)], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
    }
    for (const each of forwarders(tools)) cables.push(await openCable(each, tools));
    return await answers(cables);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
    await close();
  }
}

function forwarders(tools: string): Forwarder[] {
  const script = fileURLToPath(new URL('forward/forwarder.js', import.meta.url));
  const ours = (scheme: string, ...more: string[]): Forwarder => ({
    name: ['ours', scheme, ...more].join(', '),
    ours: true,
    command: (a, b) => [process.execPath, ...process.execArgv, script, `${scheme}:${a}`, `${scheme}:${b}`, ...more],
  });
  return [
    ours('packet'),
    ours('xdp'),
    ours('xdp', 'at-once'),
    ours('packet', 'at-once'),
    { name: 'C AF_XDP', command: (a, b) => [join(tools, 'xsk_forward'), a, b] },
    { name: 'kernel bridge', bridge: true },
  ];
}

async function answers(cables: readonly Cable[]): Promise<Figure[]> {
  const found = await rates(cables);
  const [packet, xdp, xdpAtOnce, packetAtOnce, c, bridge] = cables as [Cable, Cable, Cable, Cable, Cable, Cable];
  const against = (a: Cable, b: Cable, what: string, of: keyof Found, limit = {}) => {
    const side = (cable: Cable) => {
      let next = 0;
      return { name: cable.forwarder.name, measure: () => found.get(cable)![of][next++]! };
    };
    return compare(what, 'frames/s', side(a), side(b), { rounds: ROUNDS, warmUps: 0, ...limit });
  };
  const figures: Figure[] = [];
  for (const [of, what] of [
    ['flood', 'forwarded of a flood'],
    ['lossFree', 'loss-free'],
  ] as const) {
    for (const [a, b] of [
      [xdp, c],
      [xdp, bridge],
      [packet, c],
      [packet, bridge],
    ] as const) {
      figures.push(await against(a, b, what, of));
    }
  }
  figures.push(await sweep(cables));
  const ours = [packet, xdp, xdpAtOnce, packetAtOnce];
  const before: Report[] = [];
  for (const cable of ours) before.push(await cable.ask<Report>());
  figures.push(...(await latencies(cables, found)));
  for (let i = 0; i < ours.length; i++) figures.push(...(await pauses(ours[i]!, before[i]!)));
  return figures;
}

/** All of them in each round, one after the other; each round begins with another one. The first is thrown away. */
async function rates(cables: readonly Cable[]): Promise<Map<Cable, Found>> {
  const found = new Map(cables.map((cable) => [cable, { flood: [] as number[], lossFree: [] as number[] }]));
  for (let round = -1; round < ROUNDS; round++) {
    for (let k = 0; k < cables.length; k++) {
      const cable = cables[(round + 1 + k) % cables.length]!;
      const { sent, received, seconds } = await cable.pass(0, FLOOD_SECONDS);
      const free = await lossFree(cable, sent / seconds);
      if (round < 0) continue;
      found.get(cable)!.flood.push(received / seconds);
      found.get(cable)!.lossFree.push(free);
    }
  }
  return found;
}

async function lossFree(cable: Cable, offered: number): Promise<number> {
  let [good, bad] = [0, offered];
  for (let i = 0; i < STEPS; i++) {
    const rate = (good + bad) / 2;
    let best = 0;
    for (let tries = 0; tries < 2 && best === 0; tries++) {
      const { sent, received, seconds, endUs } = await cable.pass(rate, STEP_SECONDS);
      if (received === sent && endUs < QUEUE_LIMIT_US) best = sent / seconds;
    }
    if (best > 0) good = rate;
    else bad = rate;
  }
  return good;
}

async function sweep(cables: readonly Cable[]): Promise<Figure> {
  const lines = [];
  for (const cable of cables) {
    const points: [number, number][] = [];
    for (const rate of SWEEP) {
      const { sent, received, seconds } = await cable.pass(rate, STEP_SECONDS);
      points.push([sent / seconds, received / seconds]);
    }
    lines.push({ name: cable.forwarder.name, points, ...(cable.forwarder.ours === true && { ours: true }) });
  }
  const axis = (name: string) => ({ name, unit: 'frames/s' });
  return curve('forwarded over offered load', { x: axis('offered'), y: axis('forwarded') }, lines);
}

async function latencies(cables: readonly Cable[], found: ReadonlyMap<Cable, Found>): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const load of LOADS) {
    const samples = new Map(cables.map((cable) => [cable, [] as Uint32Array[]]));
    for (let round = 0; round < 3; round++) {
      for (const cable of cables) {
        const rates = [...found.get(cable)!.lossFree].sort((x, y) => x - y);
        const { ns } = await cable.timed(rates[rates.length >> 1]! * load, LATENCY_SECONDS);
        samples.get(cable)!.push(ns);
      }
    }
    const sides = cables.map((cable) => {
      const us = samples.get(cable)!.flatMap((some) => Array.from(some, (ns) => ns / 1000));
      return { name: cable.forwarder.name, samples: us, ours: cable.forwarder.ours ?? false };
    });
    figures.push(quantiles(`on its way at ${100 * load} % of each one's own loss-free rate`, 'us', sides));
  }
  return figures;
}

async function pauses(cable: Cable, before: Report): Promise<Figure[]> {
  const { longestMs, collections, frames } = await cable.ask<Report>();
  const { name } = cable.forwarder;
  return [
    amount(`longest pause for garbage, ${name}`, 'ms', [longestMs], { atMost: PAUSE_LIMIT_MS }),
    amount(`garbage collections, ${name}`, 'a million frames', [(collections * 1e6) / (frames - before.frames)]),
  ];
}

function source(name: string): string {
  // Compiled code runs from .cache/bench/bench; C sources are not copied there.
  return fileURLToPath(new URL(`../../../bench/forward/${name}`, import.meta.url));
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (network namespaces, packet sockets, AF_XDP)';
  if (availableParallelism() < 2) return 'needs two processors, one for the generator and one for the forwarder';
  for (const [tool, from, version] of [
    ['ip', 'iproute2', '-V'],
    ['taskset', 'util-linux', '-V'],
    ['chrt', 'util-linux', '-V'],
    ['gcc', 'gcc libc6-dev', '--version'],
  ] as const) {
    if (spawnSync(tool, [version], { stdio: 'ignore' }).status !== 0) return `needs ${tool} (apt-get install ${from})`;
  }
  return null;
}
