// How fast does the xdp port receive? Our whole way up to a protocol's handler, in TypeScript, against a C program that walks its
// AF_XDP ring and does nothing else: the same flood of 60-byte frames over a veth, both native and copied by the kernel.
//
//   poll     a frame wakes the sleeping receiver          busy     the receiver asks again and again
//
//   delivered  frames a second of flood, as the receiver itself counts
//   arrived    share of what was sent
//   CPU time   user and system of the receiving process, all its threads, a frame (poll only: who is busy uses all there is)
//
// A processor that wakes a sleeper for each frame sends half as many: rates of the two modes do not compare.

import { compare, type Figure } from './harness.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { type Lab, openLab, RECEIVE_CPU, SEND_CPU, script, whyNot } from './xdp_speed/lab.ts';

export const question = 'receive rate of the xdp port, up to a protocol handler, against a bare AF_XDP receiver in C';

const ROUNDS = 7;
const FLOOD_SECONDS = 0.8;
const WARM_SECONDS = 0.4;

type Mode = 'poll' | 'spin';

interface Trial {
  readonly sent: number;
  readonly seconds: number;
  readonly received: number;
  readonly cpuNs: number;
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    return [...(await figures(lab, 'poll', 'sleeping')), ...(await figures(lab, 'spin', 'busy'))];
  } finally {
    lab.close();
  }
}

async function figures(lab: Lab, mode: Mode, words: string): Promise<Figure[]> {
  const ours: Trial[] = [];
  const peers: Trial[] = [];
  const node = () => trial(lab, [process.execPath, ...process.execArgv, script('receiver.js'), RECEIVE_SIDE, mode]);
  const c = () => trial(lab, [lab.peer, 'rx', RECEIVE_SIDE, mode]);
  const rate = ({ received, seconds }: Trial) => received / seconds;
  const first = await compare(
    `delivered, ${words}`,
    'frames/s',
    { name: 'ours', measure: async () => rate(kept(ours, await node())) },
    { name: 'C', measure: async () => rate(kept(peers, await c())) },
    { rounds: ROUNDS, atLeast: 0.95 },
  );
  const again = (what: string, unit: string, of: (trial: Trial) => number) => {
    // Without the warm-up, in the order of the rounds.
    const from = (trials: readonly Trial[]) => {
      let next = trials.length - ROUNDS;
      return () => of(trials[next++]!);
    };
    const options = { rounds: ROUNDS, warmUps: 0 };
    return compare(what, unit, { name: 'ours', measure: from(ours) }, { name: 'C', measure: from(peers) }, options);
  };
  const rest = [await again(`arrived, ${words}`, 'of the frames sent', ({ received, sent }) => received / sent)];
  if (mode === 'poll') {
    rest.push(await again(`CPU time, ${words}`, 'ns a frame', ({ cpuNs, received }) => cpuNs / received));
  }
  return [first, ...rest];
}

function kept(trials: Trial[], trial: Trial): Trial {
  trials.push(trial);
  return trial;
}

async function trial(lab: Lab, command: readonly string[]): Promise<Trial> {
  const receiver = lab.start(RECEIVE_CPU, command);
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    await flood(lab, WARM_SECONDS);
    const before = await receiver.ask<{ received: number }>();
    const { sent, seconds } = await flood(lab, FLOOD_SECONDS);
    const after = await receiver.ask<{ received: number }>();
    return { sent, seconds, received: after.received - before.received, cpuNs: after.cpuNs - before.cpuNs };
  } finally {
    await receiver.kill();
  }
}

function flood(lab: Lab, seconds: number): Promise<{ sent: number; seconds: number }> {
  return lab.start(SEND_CPU, [lab.peer, 'flood', SEND_SIDE, String(seconds)]).result();
}
