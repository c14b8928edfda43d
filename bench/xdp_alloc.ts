// How many bytes does a frame cost the heap in the ports that share their memory with the kernel? Frames go out of an xdp port and
// into another one at the other end of a veth, in bursts, in one synchronous call. The answer has to be none.

import { execFileSync } from 'node:child_process';
import { FrameBatch, type Port } from '../src/drivers/nic/port.ts';
import { createHostArena, type HostArena } from '../src/host/arena.ts';
import { HostExecutive } from '../src/host/executive.ts';
import { openPort } from '../src/host/open_port.ts';
import { bytesPerFrame, type Figure } from './harness.ts';

export const question =
  'bytes allocated a frame by an xdp port that sends and one that receives (none; limit 0.1 for noise)';

const FRAMES = 200_000;
const BURST = 32;
const LEN = 60;

export function run(): Figure[] {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return [{ kind: 'unanswered', what: question, reason: 'needs Linux and root (a veth pair, AF_XDP)' }];
  }
  const [a, b] = ['a', 'b'].map((end) => `npxa${process.pid.toString(36)}${end}`) as [string, string];
  ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b);
  try {
    for (const end of [a, b]) ip('link', 'set', end, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off', 'up');
    const executive = new HostExecutive();
    const memory = createHostArena();
    const [from, to] = [a, b].map((end) => openPort(`xdp:${end}`, executive, { rxRing: 1024 })) as [Port, Port];
    from.open(memory, () => {});
    to.open(memory, () => {});
    const figure = bytesPerFrame('xdp: sent, reaped and received', sender(memory, from, to), FRAMES, { atMost: 0.1 });
    from.close();
    to.close();
    return [figure];
  } finally {
    ip('link', 'del', a);
  }
}

/** Sends bursts; waits for none: what is not there after one burst comes with the next. */
function sender(memory: HostArena, from: Port, to: Port): (frames: number) => void {
  const batch = new FrameBatch(BURST);
  const out = new FrameBatch(64);
  for (let i = 0; i < BURST; i++) {
    const at = memory.start(memory.alloc()) + 64;
    memory.bytes.fill(0xff, at, at + 12);
    batch.offset[i] = at;
    batch.len[i] = LEN;
  }
  return (frames) => {
    let received = 0;
    let reaped = 0;
    for (let sent = 0; sent < frames; ) {
      sent += from.txBurst(0, batch, BURST);
      for (let n = from.txReap(0, out); n > 0; n = from.txReap(0, out)) reaped += n;
      for (let n = to.rxBurst(0, out, 64); n > 0; n = to.rxBurst(0, out, 64)) {
        for (let i = 0; i < n; i++) memory.release(out.buf[i]!);
        received += n;
      }
    }
    if (received < 0.9 * frames || reaped < 0.9 * frames) throw new Error(`${received} received, ${reaped} reaped`);
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
