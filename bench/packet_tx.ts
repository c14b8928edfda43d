// How fast does the packet port send? `netpoll gen` (pktgen, nic driver, packet port; every 60-byte frame with a number, a time and a
// checksum of its own) against trafgen, which is C, sends through PACKET_TX_RING and never changes its frame; and against sendmmsg() in C.
// One processor each, over a veth, into two sinks: a far end whose stack drops, and one that drops in its driver (XDP).
//
// A veth has no card: the sender's processor does the receiver's half of the kernel's work too, and that is most of what is measured.
// The rate is what the interface counted in a window of time; the processor time is the scheduler's, children included.
//
// PACKET_TX_RING against sendmmsg(), both in C, is asked as well, because it is what the port's choice rests on.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Figure } from './harness.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { against, compilePacketPeers, heapOf, rounds, type Sender, trafgen } from './packet_tx/peers.ts';
import { openLab, RECEIVE_CPU, whyNot } from './xdp_speed/lab.ts';

export const question = 'transmit rate of netpoll gen over the packet port against trafgen';

const ROUNDS = 5;
const AT_LEAST = 0.95;
/** The frames themselves take nothing; a turn of the loop does (an Immediate, an event, readings of the clock), every 10,000 frames. */
const HEAP_LIMIT = 1;

export async function run(): Promise<Figure[]> {
  const reason = whyNot() ?? noTrafgen();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const peers = compilePacketPeers();
  const folder = mkdtempSync(join(tmpdir(), 'trafgen-'));
  const lab = openLab();
  try {
    const ours = (...args: string[]): Sender => ({
      command: [
        process.execPath,
        ...process.execArgv,
        fileURLToPath(new URL('packet_tx/sender.js', import.meta.url)),
        `packet:${SEND_SIDE}`,
        ...args,
      ],
      ours: true,
    });
    const senders = { ours: ours(), trafgen: trafgen(folder) };
    const more = {
      'ours, clone_skb': ours('100000'),
      ...(peers.sendmmsg !== null && { 'C sendmmsg': peers.sendmmsg }),
      ...(peers.txRing !== null && { 'C TX_RING': peers.txRing }),
    };
    const plain = await rounds(lab, { ...senders, ...more }, ROUNDS);
    const sink = lab.start(RECEIVE_CPU, [lab.peer, 'drop', RECEIVE_SIDE]);
    await sink.until(() => sink.stderr.includes('listening'));
    const dropped = await rounds(lab, senders, ROUNDS);
    await sink.kill();
    const figures: Figure[] = [
      await against(plain, 'ours', 'trafgen', 'rate', 'the far end’s stack drops', { atLeast: AT_LEAST }),
      await against(plain, 'ours', 'trafgen', 'cpu', 'the far end’s stack drops'),
      await against(plain, 'ours, clone_skb', 'trafgen', 'rate', 'one frame again and again'),
      await against(dropped, 'ours', 'trafgen', 'rate', 'the far end’s driver drops', { atLeast: AT_LEAST }),
      await against(dropped, 'ours', 'trafgen', 'cpu', 'the far end’s driver drops'),
      heapOf(plain.ours!, 'heap of netpoll gen', HEAP_LIMIT),
    ];
    if (peers.sendmmsg === null || peers.txRing === null) {
      figures.push({ kind: 'unanswered', what: 'PACKET_TX_RING against sendmmsg()', reason: peers.why });
    } else {
      figures.push(
        await against(plain, 'ours', 'C sendmmsg', 'rate', 'the far end’s stack drops'),
        await against(plain, 'C TX_RING', 'C sendmmsg', 'rate', 'the far end’s stack drops'),
        await against(plain, 'C TX_RING', 'C sendmmsg', 'cpu', 'the far end’s stack drops'),
      );
    }
    return figures;
  } finally {
    lab.close();
    peers.remove();
    rmSync(folder, { recursive: true });
  }
}

function noTrafgen(): string | null {
  return spawnSync('trafgen', ['--version'], { stdio: 'ignore' }).error === undefined
    ? null
    : 'needs trafgen (apt-get install netsniff-ng)';
}
