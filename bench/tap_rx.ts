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

import type { Figure } from './harness.ts';
import { QUEUE, script, TAP, type TapLab } from './tap/lab.ts';
import { type Pair, type Side, takeTurns } from './tap/turns.ts';

export const question = 'processor time a frame received by the tap port against a read() loop in C';

const FRAMES = QUEUE - 2000;
const WARM_FILLS = 6;
const FILLS = 3;

const C60: Side = { name: 'C read', mode: 'rx', len: 60 };
const VNET60: Side = { name: 'C read with headers', mode: 'vnet', len: 60 };
const VNET1500: Side = { name: 'C read with headers', mode: 'vnet', len: 1500 };
const PORT60: Side = { name: 'port', mode: 'port', len: 60 };
const STACK60: Side = { name: 'stack', mode: 'stack', len: 60 };
const OURS: readonly Pair[] = [
  { what: '60 bytes', side: PORT60, peer: VNET60, atLeast: 0.85 },
  { what: '1500 bytes', side: { name: 'port', mode: 'port', len: 1500 }, peer: VNET1500, atLeast: 0.85 },
  { what: '60 bytes', side: { name: 'bare', mode: 'bare', len: 60 }, peer: C60, atLeast: 0.85 },
  { what: '60 bytes', side: STACK60, peer: VNET60 },
  { what: '60 bytes', side: STACK60, peer: C60 },
];

export function run(): Promise<Figure[]> {
  return takeTurns(question, OURS, framesASecond);
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
