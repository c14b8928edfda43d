// What does a frame cost that the kernel sends us by a TAP device? Against a loop of read() in C, one frame a call, with virtio-net
// headers where we have them and without where we have none. The device's queue is filled while the receiver is stopped, and then
// emptied, again and again: nobody waits for frames, and the sender is not measured.
//
//   port     Port.rxBurst with offloads: the header of each frame read and checked; 32 reads in one system call (io_uring)
//   stack    the same and the whole way up: driver, NAPI, sk_buff, netif_receive_skb, a protocol's handler, which frees
//   bare     the port without offloads and headers
//
// Processor time of the receiving process, user and system, all its threads, a frame. The kernel takes 0.15 us more for a frame with
// a header than for one without, in C too.

import { compare, type Figure } from './harness.ts';
import { openLab, QUEUE, script, TAP, type TapLab, whyNot } from './tap/lab.ts';

export const question = 'processor time a frame received by the tap port against a read() loop in C';

const ROUNDS = 5;
const FRAMES = QUEUE - 2000;
const WARM_FILLS = 6;
const FILLS = 3;

interface Side {
  readonly name: string;
  readonly mode: string;
  readonly len: number;
}

const C60: Side = { name: 'C read', mode: 'rx', len: 60 };
const VNET60: Side = { name: 'C read with headers', mode: 'vnet', len: 60 };
const VNET1500: Side = { name: 'C read with headers', mode: 'vnet', len: 1500 };
const PORT60: Side = { name: 'port', mode: 'port', len: 60 };
const STACK60: Side = { name: 'stack', mode: 'stack', len: 60 };
const OURS: readonly { readonly side: Side; readonly what: string; readonly peer: Side; readonly atLeast?: number }[] =
  [
    { what: '60 bytes', side: PORT60, peer: VNET60, atLeast: 0.85 },
    { what: '1500 bytes', side: { name: 'port', mode: 'port', len: 1500 }, peer: VNET1500, atLeast: 0.85 },
    { what: '60 bytes', side: { name: 'bare', mode: 'bare', len: 60 }, peer: C60, atLeast: 0.85 },
    { what: '60 bytes', side: STACK60, peer: VNET60 },
    { what: '60 bytes', side: STACK60, peer: C60 },
  ];

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const sides = [...new Set(OURS.flatMap(({ side, peer }) => [side, peer]))];
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
  const peer = [lab.peer, 'rx', TAP, ...(mode === 'vnet' ? ['vnet'] : [])];
  const receiver = lab.start(mode === 'rx' || mode === 'vnet' ? peer : script('receiver.js', TAP, mode));
  try {
    await receiver.until(() => receiver.stderr.includes('listening'));
    let due = 0;
    const fills = async (times: number) => {
      for (let i = 0; i < times; i++) {
        receiver.child.kill('SIGSTOP');
        due += lab.fill(len, FRAMES);
        receiver.child.kill('SIGCONT');
        await receiver.ask<{ received: number }>();
      }
      return receiver.ask<{ received: number }>();
    };
    const before = await fills(WARM_FILLS);
    const after = await fills(FILLS);
    if (after.received !== due) throw new Error(`${mode}: ${due} frames sent, ${after.received} received`);
    return ((after.received - before.received) * 1e9) / (after.cpuNs - before.cpuNs);
  } finally {
    await receiver.kill();
    await lab.free();
  }
}
