// How many bytes does a frame cost the heap on its way through qemu ports, and through a pcap port? Two qemu ports that are joined by
// their own sockets, a stream and datagrams, frames of 60 and 1500 bytes; a capture that is received over and over, and written. The
// answer has to be none: 0.1 is noise. What is left of a capture is opening the file again for each round.
//
//   port --sendmmsg--> socket --readv, recvmmsg--> port          file --> pcap port --> /dev/null

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FrameBatch, type Port } from '../src/drivers/nic/port.ts';
import { createHostArena, type HostArena } from '../src/host/arena.ts';
import { HostExecutive } from '../src/host/executive.ts';
import { openPort } from '../src/host/open_port.ts';
import { pcapFile } from '../src/wire/pcap_writer.ts';
import { bytesPerFrame, type Figure } from './harness.ts';

export const question = 'bytes allocated a frame through qemu and pcap ports (none; limit 0.1 for noise)';

/** What a path's socket holds of datagrams is few. */
const BURST = 8;
const CAPTURED = 20_000;

export function run(): Figure[] {
  if (process.platform !== 'linux') return [{ kind: 'unanswered', what: question, reason: 'needs Linux' }];
  const folder = mkdtempSync(join(tmpdir(), 'netpoll-qemu-alloc-'));
  const executive = new HostExecutive();
  const memory = createHostArena();
  const open = (spec: string): Port => {
    const port = openPort(spec, executive);
    port.open(memory, () => {});
    return port;
  };
  const at = (name: string) => join(folder, name);
  const ports: Port[] = [];
  try {
    const capture = at('in.pcap');
    const frame = (tsUs: number) => ({ tsUs, bytes: new Uint8Array(300).fill(tsUs) });
    writeFileSync(capture, pcapFile(Array.from({ length: CAPTURED }, (_, i) => frame(i))));
    const stream = [open(`qemu:${at('s')}`), open(`qemu:connect:${at('s')}`)] as const;
    const datagrams = [open(`qemu:dgram:${at('a')},${at('b')}`), open(`qemu:dgram:${at('b')},${at('a')}`)] as const;
    const file = open(`pcap:${capture},loop=0,out=/dev/null`);
    ports.push(...stream, ...datagrams, file);
    const until = performance.now() + 5000;
    while (![...stream, ...datagrams].every((port) => port.link())) {
      if (performance.now() > until) throw new Error('the ports do not meet');
    }
    const limit = { atMost: 0.1 };
    const joined = [
      ['a stream', stream],
      ['datagrams', datagrams],
    ] as const;
    return [
      ...joined.flatMap(([what, [from, to]]) =>
        [60, 1500].map((len) => bytesPerFrame(`${what}, ${len} bytes`, path(memory, from, to, len), 100_000, limit)),
      ),
      bytesPerFrame('a capture, received and written', echo(memory, file), 100_000, limit),
    ];
  } finally {
    for (const port of ports) port.close();
    rmSync(folder, { recursive: true });
  }
}

/** Sends `frames` frames by one port and receives them by the other; gives how many came. */
function path(memory: HostArena, from: Port, to: Port, len: number): (frames: number) => number {
  const tx = new FrameBatch(BURST);
  const rx = new FrameBatch(64);
  const at = memory.reserve(4096, 64);
  for (let i = 0; i < BURST; i++) {
    tx.offset[i] = at;
    tx.len[i] = len;
    tx.vlanTci[i] = -1;
  }
  return (frames) => {
    let received = 0;
    for (let sent = 0; sent < frames; sent += BURST) {
      from.txBurst(0, tx, BURST);
      from.txReap(0, rx);
      for (let n = to.rxBurst(0, rx, 64); n > 0; n = to.rxBurst(0, rx, 64)) {
        for (let i = 0; i < n; i++) memory.release(rx.buf[i]!);
        received += n;
      }
    }
    if (received < frames) throw new Error(`${received} of ${frames} frames came`);
    return received;
  };
}

/** Receives `frames` frames and writes them. */
function echo(memory: HostArena, port: Port): (frames: number) => number {
  const rx = new FrameBatch(64);
  const done = new FrameBatch(64);
  return (frames) => {
    let received = 0;
    while (received < frames) {
      const n = port.rxBurst(0, rx, 64);
      port.txBurst(0, rx, n);
      port.txReap(0, done);
      for (let i = 0; i < n; i++) memory.release(rx.buf[i]!);
      received += n;
    }
    return received;
  };
}
