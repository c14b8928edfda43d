// How fast does the udp port send? 64 frames of 120 payload bytes to one place in each burst, against sendmmsg() in C with 64
// datagrams a call, and against C that has the kernel cut them (UDP_SEGMENT), which our port does of itself.
//
//   processor time   user and system of the sending process a datagram; nothing else runs in it meanwhile
//   capacity         datagrams a second of processor time: its inverse
//
// The datagrams end in a socket of this host that nobody reads and that takes them one by one: the kernel walks the whole way, and drops
// each at its end. Our port is armed, as a device's is while its program sends. That its socket is in an epoll, as C's is not, costs the kernel
// 130 ns a datagram (it tells who waits there that room has come free): for a burst the port takes its socket out (udp_queue.ts). Ours are
// 45 ns of JavaScript a datagram; the rest is the kernel's.

import { execFileSync } from 'node:child_process';
import { FrameBatch } from '../src/drivers/nic/port.ts';
import { createHostArena } from '../src/host/arena.ts';
import { HostExecutive } from '../src/host/executive.ts';
import { openPort } from '../src/host/open_port.ts';
import { libc } from '../src/host/sys/libc.ts';
import { type HeaderEnds, writeIpv4Headers } from '../src/host/udp/frame_headers.ts';
import { openUdpSocket } from '../src/host/udp/udp_socket.ts';
import { bytesPerFrame, compare, type Figure } from './harness.ts';
import { compilePeers, noCompiler, type Peers } from './udp/peers.ts';

export const question = 'transmit rate of the udp port against sendmmsg() in C, and its heap bytes a frame';

const BURST = 64;
const PAYLOAD = 120;
const FRAMES = 4000 * BURST;
const ROUNDS = 7;

export async function run(): Promise<Figure[]> {
  const reason = process.platform === 'linux' ? noCompiler() : 'needs Linux';
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const sink = openUdpSocket(
    { ip: { family: 4, v4: 0x7f000001 }, port: 0, scope: 0 },
    { receiveBuffer: 4096, gro: false },
  );
  const { port } = sink.address;
  const peers = compilePeers();
  try {
    const single = sender(port, false);
    const merged = sender(port, true);
    const options = { rounds: ROUNDS };
    const capacity = 'datagrams a second of processor time';
    const c = { name: 'C sendmmsg', measure: () => peer(peers, port) };
    const cut = { name: 'C UDP_SEGMENT', measure: () => peer(peers, port, 'segment') };
    return [
      await compare('capacity, one by one', capacity, { name: 'ours', measure: () => perSecond(single.send) }, c, {
        ...options,
        atLeast: 0.9,
      }),
      await compare(
        'capacity, as the port sends',
        capacity,
        { name: 'ours', measure: () => perSecond(merged.send) },
        c,
        {
          ...options,
          atLeast: 0.9,
        },
      ),
      await compare(
        'capacity, both cut by the kernel',
        capacity,
        { name: 'ours', measure: () => perSecond(merged.send) },
        cut,
        options,
      ),
      bytesPerFrame('heap of the sender, one by one', single.send, FRAMES, { atMost: 0.1 }),
      bytesPerFrame('heap of the sender, one a burst', sender(port, false, 1).send, FRAMES / 4, { atMost: 0.1 }),
      bytesPerFrame('heap of the sender, merged', merged.send, FRAMES, { atMost: 0.1 }),
    ];
  } finally {
    peers.remove();
    libc().close(sink.fd);
  }
}

function perSecond(send: (n: number) => void): number {
  const before = process.cpuUsage();
  send(FRAMES);
  const { user, system } = process.cpuUsage(before);
  return FRAMES / ((user + system) / 1e6);
}

function peer(peers: Peers, port: number, ...mode: string[]): number {
  const args = [String(port), String(PAYLOAD), String(FRAMES), ...mode];
  const { sent, cpuNs } = JSON.parse(execFileSync(peers.path('sendmmsg'), args, { encoding: 'utf8' })) as {
    sent: number;
    cpuNs: number;
  };
  return sent / (cpuNs / 1e9);
}

function sender(toPort: number, segment: boolean, burst = BURST): { send: (n: number) => void } {
  const memory = createHostArena({ slots: 512, reserveBytes: 0 });
  const port = openPort('udp:127.0.0.1:0', new HostExecutive(), { segment });
  port.open(memory, () => {});
  port.irqEnable(0, true);
  const batch = new FrameBatch(BURST);
  const done = new FrameBatch(BURST);
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, 0x7f000001);
  for (let i = 0; i < BURST; i++) {
    const buf = memory.alloc();
    const at = memory.start(buf) + 128;
    memory.bytes.fill(0x78, at, at + PAYLOAD);
    const ends: HeaderEnds = { source: view, sourceAt: 0, sourcePort: 1, dest: view, destAt: 0, destPort: toPort };
    batch.buf[i] = buf;
    batch.offset[i] = writeIpv4Headers(memory.view, at, PAYLOAD, ends, i, port.caps.mac);
    batch.len[i] = at + PAYLOAD - batch.offset[i]!;
  }
  return {
    send(n) {
      for (let sent = 0; sent < n; ) {
        sent += port.txBurst(0, batch, burst);
        while (port.txReap(0, done) > 0);
      }
    },
  };
}
