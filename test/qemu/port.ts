/**
 * The host's ends of a guest's serial ports.
 *
 * qemu throws bytes away when the far end of a serial port does not take them at once, and a test process on a busy
 * machine does not. So whatever must be complete goes to a file, which is read along as it grows; only the control port,
 * a word at a time, is a socket.
 */
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { SerialLog } from './serial.ts';

const TAIL_MS = 20;
const CHUNK = 65_536;

export interface Port {
  readonly path: string;
  /** qemu's name for this kind of character device. */
  readonly backend: 'file' | 'socket';
  readonly log: SerialLog;
  close(): void;
}

/** Guest to host only, complete. */
export class FilePort implements Port {
  readonly path: string;
  readonly backend = 'file';
  readonly log = new SerialLog();
  readonly #started = performance.now();
  readonly #tail: NodeJS.Timeout;

  constructor(path: string) {
    this.path = path;
    this.#tail = setInterval(() => this.drain(), TAIL_MS);
  }

  /** Read what the file holds beyond what has been read. */
  drain(): void {
    if (!existsSync(this.path)) return;
    const fd = openSync(this.path, 'r');
    try {
      for (;;) {
        const chunk = Buffer.alloc(CHUNK);
        const length = readSync(fd, chunk, 0, CHUNK, this.log.length);
        if (length === 0) return;
        this.log.append(chunk.subarray(0, length), performance.now() - this.#started);
      }
    } finally {
      closeSync(fd);
    }
  }

  close(): void {
    clearInterval(this.#tail);
  }
}

/** Both ways, a line at a time. */
export class SocketPort implements Port {
  readonly path: string;
  readonly backend = 'socket';
  readonly log = new SerialLog();
  readonly #server: Server;
  readonly #started = performance.now();
  #socket: Socket | undefined;

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
    server.on('connection', (socket) => {
      this.#socket = socket;
      socket.on('data', (chunk: Buffer) => this.log.append(chunk, performance.now() - this.#started));
      socket.on('error', () => socket.destroy());
    });
  }

  /** Wait for qemu's call at `path`. */
  static async listen(path: string): Promise<SocketPort> {
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    return new SocketPort(path, server);
  }

  write(text: string): void {
    this.#socket?.write(text);
  }

  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }
}
