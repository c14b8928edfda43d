// What does a frame cost that we send into the kernel by a TAP device? Against a loop of write() in C, one frame a call and without a
// virtio-net header; every frame goes up the kernel's stack to where nobody wants it, which is most of the price for both.
//
//   port     bursts of 64 through Port.txBurst: one system call a burst (io_uring), headers and all
//   bare     the same without offloads, and so without virtio-net headers, as C writes
//   plain    the same without io_uring, a call for each frame, as on kernels that have none
//   device   an sk_buff for each frame from the pool, filled, through dev_queue_xmit, one after the other: a call for each frame
//   polled   the same inside a poll, as a forwarder sends: the driver rings once for 64
//
// Processor time of the sender, user and system, a frame; sender and peer on one processor, in turn.

import { compare, type Figure } from './harness.ts';
import { openLab, script, TAP, type TapLab, whyNot } from './tap/lab.ts';

export const question = 'processor time a frame sent by the tap port against a write() loop in C';

const ROUNDS = 5;
const FRAMES = 300_000;
const GOAL = 0.85;

interface Side {
  readonly name: string;
  readonly mode: string;
  readonly len: number;
}

interface Sent {
  readonly sent: number;
  readonly cpuNs: number;
}

const C60: Side = { name: 'C write', mode: 'tx', len: 60 };
const C1500: Side = { name: 'C write', mode: 'tx', len: 1500 };
const OURS: readonly { readonly side: Side; readonly what: string; readonly peer: Side; readonly atLeast?: number }[] =
  [
    { what: '60 bytes', side: { name: 'port', mode: 'port', len: 60 }, peer: C60, atLeast: GOAL },
    { what: '1500 bytes', side: { name: 'port', mode: 'port', len: 1500 }, peer: C1500, atLeast: GOAL },
    { what: '60 bytes', side: { name: 'polled', mode: 'polled', len: 60 }, peer: C60, atLeast: GOAL },
    { what: '60 bytes', side: { name: 'device', mode: 'device', len: 60 }, peer: C60 },
    { what: '60 bytes', side: { name: 'bare', mode: 'bare', len: 60 }, peer: C60, atLeast: GOAL },
    { what: '60 bytes', side: { name: 'plain', mode: 'plain', len: 60 }, peer: C60 },
  ];

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const sides = [C60, C1500, ...OURS.map(({ side }) => side)];
    const rounds: Map<Side, number>[] = [];
    for (let i = -1; i < ROUNDS; i++) {
      const round = new Map<Side, number>();
      for (let k = 0; k < sides.length; k++) {
        const side = sides[(i + sides.length + k) % sides.length]!;
        round.set(side, await framesASecond(lab, side));
      }
      if (i >= 0) rounds.push(round);
    }
    const recorded = (side: Side) => {
      let next = 0;
      return { name: side.name, measure: () => rounds[next++]!.get(side)! };
    };
    const figures: Figure[] = [];
    for (const { side, what, peer, atLeast } of OURS) {
      const limit = atLeast === undefined ? {} : { atLeast };
      const options = { rounds: ROUNDS, warmUps: 0, ...limit };
      figures.push(await compare(what, 'frames a second of CPU', recorded(side), recorded(peer), options));
    }
    return figures;
  } finally {
    lab.close();
  }
}

/** Of processor time. */
async function framesASecond(lab: TapLab, { mode, len }: Side): Promise<number> {
  const args = [TAP, String(len), String(FRAMES)];
  const command = mode === 'tx' ? [lab.peer, 'tx', ...args] : script('sender.js', ...args, mode);
  const { sent, cpuNs } = await lab.start(command).result<Sent>();
  if (sent < FRAMES) throw new Error(`${mode}: ${sent} of ${FRAMES} frames sent`);
  await lab.free();
  return (sent * 1e9) / cpuNs;
}
