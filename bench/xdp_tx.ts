// How fast does the xdp port send? Batches of 60-byte frames through Port.txBurst and txReap, against the same in C on the bare
// rings, both copied by the kernel, over a veth whose other end drops them in the driver.
//
// Counted are frames that the kernel has given back. All work is done on the sender's processor: its rate is its CPU time.

import { compare, type Figure } from './harness.ts';
import { RECEIVE_SIDE, SEND_SIDE } from './packet_rx/veth_namespace.ts';
import { type Lab, openLab, RECEIVE_CPU, SEND_CPU, script, whyNot } from './xdp_speed/lab.ts';

export const question = 'transmit rate of the xdp port against an AF_XDP transmitter in C';

const ROUNDS = 7;
const SECONDS = 0.8;

interface Sent {
  readonly sent: number;
  readonly seconds: number;
}

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const sink = lab.start(RECEIVE_CPU, [lab.peer, 'drop', RECEIVE_SIDE]);
    await sink.until(() => sink.stderr.includes('listening'));
    const figures: Figure[] = [];
    for (const batch of [32, 64]) figures.push(await against(lab, batch));
    await sink.kill();
    return figures;
  } finally {
    lab.close();
  }
}

function against(lab: Lab, batch: number): Promise<Figure> {
  const args = [String(SECONDS), String(batch)];
  const rate = async (command: readonly string[]) => {
    const { sent, seconds } = await lab.start(SEND_CPU, command).result<Sent>();
    return sent / seconds;
  };
  return compare(
    `sent, ${batch} at once`,
    'frames/s',
    {
      name: 'ours',
      measure: () => rate([process.execPath, ...process.execArgv, script('sender.js'), `xdp:${SEND_SIDE}`, ...args]),
    },
    { name: 'C', measure: () => rate([lab.peer, 'tx', SEND_SIDE, ...args]) },
    { rounds: ROUNDS, atLeast: 0.95 },
  );
}
