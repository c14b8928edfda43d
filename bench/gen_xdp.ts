// How fast does netpoll gen send over the xdp port? Our generator (pktgen, nic driver, xdp port; every 60-byte frame with a number, a time
// and a checksum of its own) against AF_XDP in C on the bare rings, both copied by the kernel, 64 frames at once; one processor each.
//
// bench/xdp_tx.ts asks the same of the port alone.

import { fileURLToPath } from 'node:url';
import type { Figure } from './harness.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { against, heapOf, rounds, type Sender } from './packet_tx/peers.ts';
import { openLab, RECEIVE_CPU, whyNot } from './xdp_speed/lab.ts';

export const question = 'transmit rate of netpoll gen over the xdp port against an AF_XDP transmitter in C';

const ROUNDS = 5;
const AT_LEAST = 0.95;
const HEAP_LIMIT = 1;

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const script = fileURLToPath(new URL('packet_tx/sender.js', import.meta.url));
    const ours: Sender = {
      command: [process.execPath, ...process.execArgv, script, `xdp:${SEND_SIDE}`],
      ours: true,
    };
    const senders = { ours, 'C AF_XDP': { command: [lab.peer, 'tx', SEND_SIDE, '9', '64'] } };
    const plain = await rounds(lab, senders, ROUNDS);
    const sink = lab.start(RECEIVE_CPU, [lab.peer, 'drop', RECEIVE_SIDE]);
    await sink.until(() => sink.stderr.includes('listening'));
    const dropped = await rounds(lab, senders, ROUNDS);
    await sink.kill();
    return [
      await against(dropped, 'ours', 'C AF_XDP', 'rate', 'the far end’s driver drops', { atLeast: AT_LEAST }),
      await against(dropped, 'ours', 'C AF_XDP', 'cpu', 'the far end’s driver drops'),
      await against(plain, 'ours', 'C AF_XDP', 'rate', 'the far end’s stack drops'),
      await against(plain, 'ours', 'C AF_XDP', 'cpu', 'the far end’s stack drops'),
      heapOf(plain.ours!, 'heap of netpoll gen', HEAP_LIMIT),
    ];
  } finally {
    lab.close();
  }
}
