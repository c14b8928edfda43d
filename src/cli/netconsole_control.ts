/**
 * The way into a running netconsole: a unix socket that only its owner may use.
 *
 *     netpoll netconsole set t1/enabled 1  --{"op":"write","path":..}-->  netpoll netconsole run
 *                                          <--{"answer":1,"log":[..]}--
 *
 * One JSON object a line, either way. An answer is a result or a negative errno, as the kernel gives them, with the lines that
 * the operation left in the log. Plain files in a folder would look more like configfs, but whoever writes to a plain file is
 * not told that the value was refused; here the command fails with the errno.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SetupError } from '../base/status.ts';

export const CONTROL_OPS = ['list', 'read', 'write', 'mkdir', 'rmdir', 'kmsg', 'param'] as const;

export interface ControlRequest {
  readonly op: (typeof CONTROL_OPS)[number];
  readonly path: string;
  readonly value: string;
}

export interface ControlAnswer {
  readonly answer: string | string[] | number;
  readonly log: string[];
}

/** Longest request in characters, and how many may be connected. */
const REQUEST_MAX = 65536;
const CONNECTIONS_MAX = 32;
const CONNECT_MS = 3000;

/** Where an instance listens unless told otherwise. */
export function defaultControlPath(): string {
  const uid = process.getuid?.() ?? 0;
  const shared = uid === 0 ? '/run/netpoll-netconsole.sock' : join(tmpdir(), `netpoll-netconsole-${uid}.sock`);
  const own = process.env.XDG_RUNTIME_DIR;
  return process.env.NETPOLL_CONTROL ?? (own === undefined ? shared : join(own, 'netpoll-netconsole.sock'));
}

/** A path as configfs shows it, or below its root: what remains is relative. */
export function relativePath(path: string): string {
  return path.replace(/^\/sys\/kernel\/config\/netconsole(?=\/|$)/, '').replace(/^\/+|\/+$/g, '');
}

/** Listens at `path`; a socket that a dead instance left there is replaced. Throws SetupError `ERR_NETPOLL_CONTROL`. */
export async function serveControl(
  path: string,
  handle: (request: ControlRequest) => ControlAnswer,
): Promise<{ close(): void }> {
  if ((await connect(path)) !== null) throw refusal(path, 'another instance runs there; choose another --control');
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && !there.isSocket()) throw refusal(path, 'there is a file of that name, which is no socket');
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    let size = 0;
    socket.on('data', (chunk: Buffer) => {
      size = chunk.includes(0x0a) ? 0 : size + chunk.length;
      if (size > REQUEST_MAX) socket.destroy();
    });
    createInterface({ input: socket }).on('line', (line) => {
      const request = readRequest(line);
      if (request === null) socket.destroy();
      else socket.write(`${JSON.stringify(handle(request))}\n`);
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  } catch (error) {
    throw refusal(path, error instanceof Error ? error.message : String(error));
  } finally {
    process.umask(mask);
  }
  return {
    close() {
      server.close();
      rmSync(path, { force: true });
    },
  };
}

function readRequest(line: string): ControlRequest | null {
  try {
    const { op, path, value } = JSON.parse(line) as Record<string, unknown>;
    const known = CONTROL_OPS.find((each) => each === op);
    if (known === undefined || typeof path !== 'string' || typeof value !== 'string') return null;
    return { op: known, path, value };
  } catch {
    return null;
  }
}

export interface ControlClient {
  ask(op: ControlRequest['op'], path: string, value?: string): Promise<ControlAnswer>;
  close(): void;
}

/** Talks to the instance at `path`. Throws SetupError `ERR_NETPOLL_CONTROL` if there is none. */
export async function connectControl(path: string): Promise<ControlClient> {
  const socket = await connect(path);
  if (socket === null) throw refusal(path, 'no netconsole runs there; start one with: netpoll netconsole run');
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  return {
    async ask(op, at, value = '') {
      socket.write(`${JSON.stringify({ op, path: relativePath(at), value })}\n`);
      const { value: line, done } = await lines.next();
      if (done === true) throw refusal(path, 'the instance went away');
      return JSON.parse(line as string) as ControlAnswer;
    },
    close: () => void socket.end(),
  };
}

async function connect(path: string): Promise<Socket | null> {
  const socket = createConnection(path);
  return await new Promise((resolve) => {
    const failed = (): void => {
      socket.destroy();
      resolve(null);
    };
    socket.setTimeout(CONNECT_MS, failed);
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', failed);
      socket.on('error', () => socket.destroy());
      resolve(socket);
    });
  });
}

function refusal(path: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_CONTROL', `control socket ${path}: ${why}`);
}
