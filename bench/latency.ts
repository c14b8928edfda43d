// How long does a frame take from the wire to a program that sleeps? From the sender's reading of the clock, right before its send,
// to the handler's, which is a UDP socket's: of our own stack over packet:, xdp: and udp:, in interrupt mode and with nothing
// asked for, and node:dgram's over the kernel's stack. Sender and receiver on a processor each, datagrams one by one over a veth
// at 500 and at 5,000 a second, so that each finds the machine idle. The receivers alternate; p50 and p99 are compared round by
// round, and the quantiles are those of all rounds together.
//
// A packet port gets frames in blocks, and a block that does not fill comes after a millisecond: the price of a thousand frames for
// one wake-up. `packet:eth0,wake=frame` has a ring of slots instead (frame_ring.ts) and is told of each frame. Moderation is adaptive in
// all of them, as it is if nobody says anything: below 20,000 frames a second nothing is held back. "Busy poll" does not sleep: it is
// what is left when nobody has to be woken, for a processor of one's own.

import { type Figure, type Limit, median, quantiles } from './figures.ts';
import { compare } from './harness.ts';
import type { Report } from './latency/receiver.ts';
import { PORT, STATION } from './packet_rx/line.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { type Lab, openLab, RECEIVE_CPU, SEND_CPU, script, whyNot } from './xdp_speed/lab.ts';

export const question =
  'latency from the wire to the handler of an idle machine, in interrupt mode, against node:dgram';

const ROUNDS = 5;
const BUFFER = 4 << 20;
/**
 * So many frames until a receiver's code has been compiled for good, ours and node:dgram's: at 500 a second that is its first twenty
 * seconds, which are not asked for.
 */
const WARM = { rate: 5000, seconds: 2 };
const LOADS = [
  { rate: 500, seconds: 2 },
  { rate: 5000, seconds: 1 },
] as const;

type Who = 'packet' | 'slots' | 'xdp' | 'busy' | 'udp' | 'dgram';
const ALL: readonly Who[] = ['packet', 'slots', 'xdp', 'busy', 'udp', 'dgram'];
const NAMES: Record<Who, string> = {
  packet: 'packet:',
  slots: 'packet:,wake=frame',
  xdp: 'xdp:',
  busy: 'xdp:, busy poll',
  udp: 'udp:',
  dgram: 'node:dgram',
};
const P50: Limit = { atMost: 1.2 };

type Trials = Record<Who, Float64Array[]>;

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    lab.veth.address(STATION);
    const figures: Figure[] = [];
    for (const load of LOADS) figures.push(...(await underLoad(lab, load.rate, load.seconds)));
    return figures;
  } finally {
    lab.close();
  }
}

async function underLoad(lab: Lab, rate: number, seconds: number): Promise<Figure[]> {
  const trials: Trials = { packet: [], slots: [], xdp: [], busy: [], udp: [], dgram: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (let k = 0; k < ALL.length; k++) {
      const who = ALL[(round + k) % ALL.length]!;
      trials[who].push(await trial(lab, who, rate, seconds));
    }
  }
  const words = `${rate.toLocaleString('en')}/s`;
  const sides = ALL.map((who) => ({
    name: NAMES[who],
    ours: who !== 'dgram',
    samples: Float64Array.from(trials[who].flatMap((each) => [...each])),
  }));
  const figures: Figure[] = [quantiles(`wire to handler at ${words}`, 'us', sides)];
  for (const who of ALL.filter((each) => each !== 'dgram')) {
    figures.push(await against(trials, who, `p50 at ${words}`, median, who === 'packet' ? {} : P50));
    figures.push(await against(trials, who, `p99 at ${words}`, p99, {}));
  }
  return figures;
}

function against(
  trials: Trials,
  who: Who,
  what: string,
  of: (values: number[]) => number,
  limit: Limit,
): Promise<Figure> {
  const recorded = (side: Who) => {
    let next = 0;
    return { name: NAMES[side], measure: () => of([...trials[side][next++]!]) };
  };
  return compare(what, 'us', recorded(who), recorded('dgram'), { rounds: ROUNDS, warmUps: 0, ...limit });
}

function p99(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.ceil(0.99 * values.length) - 1]!;
}

async function trial(lab: Lab, who: Who, rate: number, seconds: number): Promise<Float64Array> {
  const node = [process.execPath, ...process.execArgv];
  const ours = (spec: string) => [...node, script('../latency/receiver.js'), spec];
  const command = {
    packet: ours(`packet:${RECEIVE_SIDE}`),
    slots: ours(`packet:${RECEIVE_SIDE},wake=frame`),
    xdp: ours(`xdp:${RECEIVE_SIDE}`),
    busy: [...ours(`xdp:${RECEIVE_SIDE}`), '{"busyUsecs":200}'],
    udp: ours(`udp:0.0.0.0:${PORT}`),
    dgram: [...node, script('../latency/dgram.js'), String(PORT), String(BUFFER)],
  }[who];
  // Only who stands on the kernel's stack lets it have the frames: it would answer them that nobody listens.
  lab.veth.ip(who === 'udp' || who === 'dgram' ? 'replace' : 'flush');
  const receiver = lab.start(RECEIVE_CPU, command);
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    await send(lab, WARM.rate, WARM.seconds);
    await receiver.ask<Report>();
    const sent = await send(lab, rate, seconds);
    const { us } = await receiver.ask<Report>();
    if (us.length < 0.99 * sent) throw new Error(`${NAMES[who]}: ${us.length} of ${sent} arrived`);
    return Float64Array.from(us);
  } finally {
    await receiver.kill();
  }
}

async function send(lab: Lab, rate: number, seconds: number): Promise<number> {
  const argv = [process.execPath, script('../latency/sender.js'), SEND_SIDE, String(rate), String(seconds)];
  return (await lab.start(SEND_CPU, argv).result<{ sent: number }>()).sent;
}
