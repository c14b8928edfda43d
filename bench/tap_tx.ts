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

import type { Figure } from './harness.ts';
import { script, TAP, type TapLab } from './tap/lab.ts';
import { type Pair, type Side, takeTurns } from './tap/turns.ts';

export const question = 'processor time a frame sent by the tap port against a write() loop in C';

const FRAMES = 300_000;
const GOAL = 0.85;

interface Sent {
  readonly sent: number;
  readonly cpuNs: number;
}

const C60: Side = { name: 'C write', mode: 'tx', len: 60 };
const C1500: Side = { name: 'C write', mode: 'tx', len: 1500 };
const OURS: readonly Pair[] = [
  { what: '60 bytes', side: { name: 'port', mode: 'port', len: 60 }, peer: C60, atLeast: GOAL },
  { what: '1500 bytes', side: { name: 'port', mode: 'port', len: 1500 }, peer: C1500, atLeast: GOAL },
  { what: '60 bytes', side: { name: 'polled', mode: 'polled', len: 60 }, peer: C60, atLeast: GOAL },
  { what: '60 bytes', side: { name: 'device', mode: 'device', len: 60 }, peer: C60 },
  { what: '60 bytes', side: { name: 'bare', mode: 'bare', len: 60 }, peer: C60, atLeast: GOAL },
  { what: '60 bytes', side: { name: 'plain', mode: 'plain', len: 60 }, peer: C60 },
];

export function run(): Promise<Figure[]> {
  return takeTurns(question, OURS, framesASecond);
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
