/**
 * QEMU's end of a qemu: port, for tests: Node's own sockets for streams and UDP, and system calls for datagrams between paths, which
 * Node has not. Shares nothing with the port but the C library's table.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { libc } from '../sys/libc.ts';

export interface QemuPeer {
  inject(frame: Uint8Array): void;
  /** Frames heard since the last call. */
  sent(): Uint8Array[];
  close(): void;
}

/** The length in front, as QEMU has it. */
export function framed(frame: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(frame.length);
  return Buffer.concat([head, frame]);
}

/** Cuts a stream into frames. */
export class Unframer {
  #bytes = Buffer.alloc(0);
  frames: Uint8Array[] = [];

  push(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 4 && this.#bytes.length >= 4 + this.#bytes.readUInt32BE(0)) {
      const end = 4 + this.#bytes.readUInt32BE(0);
      this.frames.push(Uint8Array.from(this.#bytes.subarray(4, end)));
      this.#bytes = this.#bytes.subarray(end);
    }
  }

  take(): Uint8Array[] {
    const all = this.frames;
    this.frames = [];
    return all;
  }
}

type Where = { path: string } | { host: string; port: number };

/** Calls, again and again, as QEMU does with `reconnect`. What is injected while nobody answers waits. */
export function callingPeer(where: Where): QemuPeer {
  const heard = new Unframer();
  let waiting: Buffer[] = [];
  let socket: Socket | undefined;
  let over = false;
  const call = (): void => {
    const mine = createConnection(where);
    mine.on('connect', () => {
      socket = mine;
      mine.setNoDelay(true);
      for (const each of waiting) mine.write(each);
      waiting = [];
    });
    mine.on('data', (chunk: Buffer) => heard.push(chunk));
    mine.on('error', () => {});
    mine.on('close', () => {
      if (socket === mine) socket = undefined;
      if (!over) setTimeout(() => over || call(), 2);
    });
  };
  call();
  return {
    inject(frame) {
      if (socket === undefined) waiting.push(framed(frame));
      else socket.write(framed(frame));
    },
    sent: () => heard.take(),
    close() {
      over = true;
      socket?.destroy();
    },
  };
}

/** Listens, one caller at a time. */
export async function listeningPeer(where: Where): Promise<QemuPeer> {
  const heard = new Unframer();
  let waiting: Buffer[] = [];
  let socket: Socket | undefined;
  const server = createServer((caller) => {
    socket = caller;
    for (const each of waiting) caller.write(each);
    waiting = [];
    caller.on('data', (chunk: Buffer) => heard.push(chunk));
    caller.on('error', () => {});
    caller.on('close', () => {
      if (socket === caller) socket = undefined;
    });
  });
  server.listen(where);
  await once(server, 'listening');
  return {
    inject(frame) {
      if (socket === undefined) waiting.push(framed(frame));
      else socket.write(framed(frame));
    },
    sent: () => heard.take(),
    close() {
      socket?.destroy();
      server.close();
    },
  };
}

export async function udpPeer(ours: number, theirs: number): Promise<QemuPeer> {
  const socket = createSocket('udp4').bind(ours, '127.0.0.1');
  await once(socket, 'listening');
  let heard: Uint8Array[] = [];
  socket.on('message', (frame) => heard.push(Uint8Array.from(frame)));
  socket.on('error', () => {});
  return {
    inject: (frame) => socket.send(frame, theirs, '127.0.0.1'),
    sent() {
      const all = heard;
      heard = [];
      return all;
    },
    close: () => socket.close(),
  };
}

/** Datagrams between two paths. What the other end has no room for waits here. */
export function pathPeer(ours: string, theirs: string): QemuPeer {
  const AF_UNIX = 1;
  const c = libc();
  const fd = c.socket(AF_UNIX, 2 | 0o4000 | 0o2000000, 0);
  const name = (path: string) => Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(path), Buffer.alloc(1)]);
  rmSync(ours, { force: true });
  if (c.bind(fd, name(ours), name(ours).length) < 0) throw new Error(`bind ${ours}: ${c.errno()}`);
  const into = Buffer.alloc(1 << 17);
  let waiting: Uint8Array[] = [];
  const flush = (): void => {
    while (waiting.length > 0) {
      if (c.sendto(fd, waiting[0]!, waiting[0]!.length, 0x40, name(theirs), name(theirs).length) < 0) return;
      waiting = waiting.slice(1);
    }
  };
  let heard: Uint8Array[] = [];
  const timer = setInterval(() => {
    flush();
    for (let n = c.recv(fd, into, into.length, 0x40); n >= 0; n = c.recv(fd, into, into.length, 0x40)) {
      heard.push(Uint8Array.from(into.subarray(0, n)));
    }
  }, 1);
  return {
    inject(frame) {
      waiting.push(frame.slice());
      flush();
    },
    sent() {
      const all = heard;
      heard = [];
      return all;
    },
    close() {
      clearInterval(timer);
      c.close(fd);
      rmSync(ours, { force: true });
    },
  };
}
