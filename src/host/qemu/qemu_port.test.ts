import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { createHostArena, type HostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { framed, Unframer } from './qemu_peer.fixture.ts';
import { QemuPort } from './qemu_port.ts';
import { parseQemuSpec } from './qemu_spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'netpoll-qemu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const path = () => join(folder, `s${files++}`);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const frameOf = (seed: number, len: number) => Uint8Array.from({ length: len }, (_, i) => seed * 13 + i * 7);

const open: QemuPort[] = [];
afterEach(() => {
  for (const port of open.splice(0)) port.close();
});

interface Rig {
  readonly port: QemuPort;
  readonly memory: HostArena;
  readonly out: FrameBatch;
  /** Link changes told of. */
  changes: number;
  receive(): Uint8Array[];
}

function rigOf(rest: string, slots = 256): Rig {
  const port = new QemuPort(parseQemuSpec(`qemu:${rest}`, rest), new HostExecutive());
  const memory = createHostArena({ slots, reserveBytes: 2 << 20 });
  const rig: Rig = {
    port,
    memory,
    out: new FrameBatch(64),
    changes: 0,
    receive() {
      const all: Uint8Array[] = [];
      for (let n = port.rxBurst(0, rig.out, 64); n > 0; n = port.rxBurst(0, rig.out, 64)) {
        for (let i = 0; i < n; i++) {
          const at = rig.out.offset[i]!;
          all.push(memory.bytes.slice(at, at + rig.out.len[i]!));
          memory.release(rig.out.buf[i]!);
        }
      }
      return all;
    },
  };
  port.open(
    memory,
    () => port.irqEnable(0, false),
    () => rig.changes++,
  );
  open.push(port);
  return rig;
}

async function caller(where: string): Promise<Socket> {
  const socket = createConnection({ path: where });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function until(test: () => boolean): Promise<void> {
  for (let patience = 400; !test() && patience > 0; patience--) await pause(5);
  expect(test()).toBe(true);
}

/** Sends `n` frames of `len` bytes as long as the port takes them; gives how many it took. */
function send(rig: Rig, n: number, len: number): number {
  const buf = rig.memory.alloc();
  const batch = new FrameBatch(16);
  batch.offset.fill(rig.memory.start(buf));
  batch.len.fill(len);
  let taken = 0;
  const done = new FrameBatch(64);
  while (taken < n) {
    const want = Math.min(16, n - taken);
    const got = rig.port.txBurst(0, batch, want);
    taken += got;
    while (rig.port.txReap(0, done) > 0);
    if (got < want) break;
  }
  return taken;
}

describe('qemu port, a stream', () => {
  it('finds frames again however the stream is cut', async () => {
    const where = path();
    const rig = rigOf(where);
    const socket = await caller(where);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 14, max: 1800 }), { minLength: 1, maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 20 }),
        async (lens, cuts) => {
          const frames = lens.map((len, i) => frameOf(i, len));
          const bytes = Buffer.concat(frames.map(framed));
          const heard: Uint8Array[] = [];
          let at = 0;
          for (let k = 0; at < bytes.length; k++) {
            const cut = cuts[k % cuts.length]!;
            await new Promise((resolve) => socket.write(bytes.subarray(at, at + cut), resolve));
            at += cut;
            heard.push(...rig.receive());
          }
          await until(() => heard.push(...rig.receive()) === frames.length);
          expect(heard).toEqual(frames);
        },
      ),
      { numRuns: 25 },
    );
    expect(rig.port.counters.get('rx_bad_lengths')).toBe(0);
    socket.destroy();
  });

  it('waits for a reader who takes a few bytes now and then, and loses nothing', async () => {
    const where = path();
    const rig = rigOf(where);
    const socket = await caller(where);
    const heard = new Unframer();
    socket.pause();
    expect(rig.port.link()).toBe(true);
    let taken = 0;
    let stopped = 0;
    for (let round = 0; round < 40; round++) {
      const got = send(rig, 2000, 1500);
      taken += got;
      if (got < 2000) stopped++;
      await pause(1);
      for (let chunk = socket.read(10_000); chunk !== null; chunk = round % 3 > 0 ? socket.read() : null) {
        heard.push(chunk);
        if (heard.frames.length >= taken) break;
      }
    }
    expect(stopped).toBeGreaterThan(0);
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.resume();
    const done = new FrameBatch(64);
    await until(() => {
      while (rig.port.txReap(0, done) > 0);
      return heard.frames.length === taken;
    });
    expect(heard.frames.every((frame) => frame.length === 1500)).toBe(true);
    expect(rig.port.counters.get('tx_frames')).toBe(taken);
    expect(rig.port.counters.get('tx_errors')).toBe(0);
    socket.destroy();
  });

  it('interrupts when there is room again', async () => {
    const where = path();
    const port = new QemuPort(parseQemuSpec(`qemu:${where}`, where), new HostExecutive());
    open.push(port);
    const memory = createHostArena({ slots: 16, reserveBytes: 2 << 20 });
    let interrupts = 0;
    port.open(memory, () => interrupts++);
    const socket = await caller(where);
    socket.pause();
    expect(port.link()).toBe(true);
    const rig = { port, memory } as Rig;
    for (let rounds = 0; send(rig, 4096, 1500) === 4096; rounds++) expect(rounds).toBeLessThan(20);
    const done = new FrameBatch(64);
    while (port.txReap(0, done) > 0);
    expect(port.irqEnable(0, true)).toBe(false);
    await pause(30);
    expect(interrupts).toBe(0);
    socket.resume();
    await until(() => interrupts > 0);
    expect(port.txReap(0, done)).toBeGreaterThan(0);
    socket.destroy();
  });

  it.each([
    ['of nothing', [0, 0, 0, 0]],
    ['longer than anything QEMU sends', [0, 1, 0x10, 1]],
    ['that is text', [...Buffer.from('GET ')]],
  ])('closes a connection with a length %s, counts it, and takes the next caller', async (_what, bytes) => {
    const where = path();
    const rig = rigOf(where);
    const socket = await caller(where);
    socket.write(Buffer.concat([framed(frameOf(1, 60)), Buffer.from(bytes), Buffer.alloc(2000)]));
    socket.resume();
    const closed = once(socket, 'close');
    const heard: Uint8Array[] = [];
    await until(() => {
      heard.push(...rig.receive());
      return rig.port.counters.get('rx_bad_lengths') === 1;
    });
    await closed;
    expect(heard).toEqual([frameOf(1, 60)]);
    expect(rig.port.link()).toBe(false);
    expect(rig.port.problem).toContain('not frames with their lengths');
    const next = await caller(where);
    next.write(framed(frameOf(2, 60)));
    await until(() => heard.push(...rig.receive()) === 2);
    expect(rig.port.counters.get('peers')).toBe(2);
    expect(rig.changes).toBe(3);
    next.destroy();
  });

  it('survives random bytes, and comes back for the next caller each time', async () => {
    const where = path();
    const rig = rigOf(where);
    let lives = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 3000 }), async (bytes) => {
        const socket = await caller(where);
        socket.on('data', () => {});
        socket.end(bytes);
        lives++;
        await until(() => {
          rig.receive();
          return rig.port.counters.get('peers_lost') === lives;
        });
        socket.destroy();
      }),
      { numRuns: 40 },
    );
    expect(rig.memory.available).toBe(256);
  });

  it('leaves out frames that are too short, or longer than a slot, and goes on', async () => {
    const where = path();
    const rig = rigOf(where);
    const socket = await caller(where);
    socket.write(Buffer.concat([frameOf(1, 13), frameOf(2, 9000), frameOf(3, 60)].map(framed)));
    const heard: Uint8Array[] = [];
    await until(() => heard.push(...rig.receive()) > 0);
    expect(heard).toEqual([frameOf(3, 60)]);
    expect(rig.port.counters.get('rx_length_errors')).toBe(2);
    socket.destroy();
  });

  it('finishes what waits when the peer goes, and counts it', async () => {
    const where = path();
    const rig = rigOf(where);
    const socket = await caller(where);
    socket.pause();
    expect(rig.port.link()).toBe(true);
    const taken = send(rig, 100_000, 1500);
    socket.destroy();
    const done = new FrameBatch(64);
    await until(() => {
      rig.receive();
      return rig.port.counters.get('peers_lost') === 1;
    });
    while (rig.port.txReap(0, done) > 0);
    const counters = rig.port.counters.toJSON() as Record<string, number>;
    expect(counters.tx_frames! + counters.tx_no_peer!).toBe(taken);
    expect(send(rig, 5, 60)).toBe(5);
    expect(rig.port.counters.get('tx_no_peer')).toBe(counters.tx_no_peer! + 5);
  });

  it('calls again until somebody is there, while the event loop is held too', async () => {
    const where = path();
    const rig = rigOf(`connect:${where},reconnect=0.02`);
    expect(rig.port.link()).toBe(false);
    const servers: Server[] = [];
    for (let life = 1; life <= 2; life++) {
      const server = createServer((socket) => setTimeout(() => socket.destroy(), 40));
      servers.push(server);
      rmSync(where, { force: true });
      server.listen(where);
      await once(server, 'listening');
      await until(() => rig.port.link());
      expect(rig.port.counters.get('peers')).toBe(life);
      server.close();
      await until(() => {
        rig.receive();
        return rig.port.counters.get('peers_lost') === life;
      });
    }
    // Nothing but polling from here on: no timer, no callback.
    rmSync(where, { force: true });
    const listen = `require('node:net').createServer().listen(${JSON.stringify(where)})`;
    const peer = spawn(process.execPath, ['-e', listen], { stdio: 'ignore' });
    const limit = performance.now() + 5000;
    while (!rig.port.link() && performance.now() < limit) rig.receive();
    peer.kill('SIGKILL');
    expect(rig.port.counters.get('peers')).toBe(3);
  });
});

describe('qemu port, opening', () => {
  it('takes the place of a dead process’s socket, not that of a living one or of a file', async () => {
    const where = path();
    const dead = `const { createServer } = require('node:net');
      createServer().listen(${JSON.stringify(where)}, () => process.kill(process.pid, 'SIGKILL'));`;
    spawnSync(process.execPath, ['-e', dead]);
    expect(existsSync(where)).toBe(true);
    const rig = rigOf(where);
    expect(() => rigOf(where)).toThrow(/EADDRINUSE.*another program is there/);
    rig.port.close();
    expect(existsSync(where)).toBe(false);
    writeFileSync(where, 'mine');
    expect(() => rigOf(where)).toThrow(/or it is a file/);
    expect(existsSync(where)).toBe(true);
  });

  it('says what is wrong with a place, and takes ordinary memory for a mistake', () => {
    expect(() => rigOf('/nowhere/at/all.sock')).toThrow(/ENOENT.*there is no folder \/nowhere\/at/);
    expect(() => rigOf('connect:/nowhere/at/all.sock')).toThrow(/there is no folder \/nowhere\/at/);
    expect(() => rigOf('203.0.113.7:1234')).toThrow(/no interface has this address/);
    const port = new QemuPort(parseQemuSpec('qemu:/tmp/x', '/tmp/x'), new HostExecutive());
    expect(() => port.open(createArena(4), () => {})).toThrow(SetupError);
  });

  it('tells how QEMU is to be started until it is there', async () => {
    const where = path();
    const rig = rigOf(where);
    expect(rig.port.notices).toEqual([expect.stringContaining(`server=off,addr.type=unix,addr.path=${where}`)]);
    const socket = await caller(where);
    expect(rig.port.link()).toBe(true);
    expect(rig.port.notices).toEqual([]);
    socket.destroy();
  });
});
