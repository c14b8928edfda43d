import { spawn } from 'node:child_process';
import { readdirSync, stat } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { HostExecutive, type Watch } from './executive.ts';
import { libc } from './sys/libc.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './sys/socket.ts';
import { openUdpSocket } from './udp/udp_socket.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const undo: (() => void)[] = [];
afterEach(() => {
  for (const act of undo.splice(0)) act();
});

/** A socket of this machine's loopback, and a way to make it readable. */
function socket(): { fd: number; poke: () => void } {
  const ip = { family: 4, v4: 0x7f000001 } as const;
  const { fd, address } = openUdpSocket({ ip, port: 0, scope: 0 }, {});
  undo.push(() => libc().close(fd));
  // From another process, for the tests in which this one's event loop stands still.
  const script = `require('dgram').createSocket('udp4').send('x', ${address.port}, '127.0.0.1', () => process.exit())`;
  return { fd, poke: () => void spawn(process.execPath, ['-e', script], { stdio: 'ignore' }) };
}

function watched(executive: HostExecutive, fd: number, onReadable: () => void): Watch {
  const watch = executive.watch(fd, onReadable);
  undo.unshift(() => watch.close());
  return watch;
}

describe('HostExecutive', () => {
  it('has a clock that starts near zero and a wall clock in microseconds', async () => {
    const executive = new HostExecutive();
    const before = executive.now();
    expect(before).toBeLessThan(1e9);
    await pause(5);
    expect(executive.now() - before).toBeGreaterThan(4e6);
    expect(Math.abs(executive.wallUs() / 1000 - Date.now())).toBeLessThan(5);
  });

  it('calls one turn for many requests, after the callbacks that were waiting', async () => {
    const executive = new HostExecutive();
    const order: string[] = [];
    executive.onTurn = () => order.push('turn');
    setImmediate(() => order.push('application'));
    executive.requestTurn();
    executive.requestTurn();
    await pause(10);
    expect(order).toEqual(['application', 'turn']);
  });

  it('calls a turn at or after the earliest time asked for, then forgets the later one', async () => {
    const executive = new HostExecutive();
    const turns: number[] = [];
    executive.onTurn = () => turns.push(executive.now());
    const start = executive.now();
    executive.requestTurnAt(start + 500e6);
    executive.requestTurnAt(start + 20e6);
    await pause(60);
    expect(turns.length).toBe(1);
    expect(turns[0]! - start).toBeGreaterThanOrEqual(20e6);
    executive.requestTurnAt(executive.now() - 1);
    await pause(5);
    expect(turns.length).toBe(2);
  });

  it('calls a turn within less than a millisecond where microseconds were asked for, once a descriptor is watched', async () => {
    const executive = new HostExecutive();
    watched(executive, socket().fd, () => {});
    const late: number[] = [];
    for (let i = 0; i < 21; i++) {
      const atNs = executive.now() + 200e3;
      await new Promise<void>((resolve) => {
        executive.onTurn = () => {
          expect(executive.now()).toBeGreaterThanOrEqual(atNs);
          late.push(executive.now() - atNs);
          resolve();
        };
        executive.requestTurnAt(atNs);
      });
    }
    expect(late.sort((a, b) => a - b)[10]).toBeLessThan(700e3);
  });

  it('keeps a turn that was asked for when the first descriptor is watched and when the last one is closed', async () => {
    const executive = new HostExecutive();
    const turns: number[] = [];
    executive.onTurn = () => turns.push(executive.now());
    const start = executive.now();
    executive.requestTurnAt(start + 20e6);
    const first = watched(executive, socket().fd, () => {});
    await pause(60);
    expect(turns.length).toBe(1);
    executive.requestTurnAt(executive.now() + 20e6);
    first.close();
    await pause(60);
    expect(turns.length).toBe(2);
  });

  it('waits a few microseconds awake, without a system call', () => {
    const executive = new HostExecutive();
    watched(executive, socket().fd, () => {});
    executive.spin(2000);
    const spans = Array.from({ length: 21 }, () => {
      const begin = executive.now();
      executive.spin(2000);
      return executive.now() - begin;
    });
    expect(Math.min(...spans)).toBeGreaterThanOrEqual(1990);
    expect(spans.sort((a, b) => a - b)[10]).toBeLessThan(40e3);
  });

  it('delivers every line that was raised although the handler of one throws', async () => {
    const executive = new HostExecutive();
    const fired: string[] = [];
    const a = watched(executive, socket().fd, () => {
      fired.push('a');
      throw new Error('a bug in a handler');
    });
    const b = watched(executive, socket().fd, () => {
      fired.push('b');
      a.arm(true);
      a.raise();
    });
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const seen: string[] = [];
    process.on('uncaughtException', (error) => seen.push(error.message));
    for (const watch of [a, b]) {
      watch.arm(true);
      watch.raise();
    }
    await pause(20);
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
    expect(fired).toEqual(['a', 'b', 'a']);
    expect(seen.length).toBe(2);
  });

  it('leaves no descriptor behind when the last watch is closed, and works again after that', async () => {
    const executive = new HostExecutive();
    const { fd, poke } = socket();
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    watched(executive, fd, () => {}).close();
    await pause(5);
    expect(open()).toBe(before);
    let fired = 0;
    watched(executive, fd, () => fired++).arm(true);
    poke();
    for (let i = 0; i < 500 && fired === 0; i++) await pause(10);
    expect(fired).toBe(1);
  });

  it('interrupts while armed, once, and again when armed again', async () => {
    const executive = new HostExecutive();
    const { fd, poke } = socket();
    let fired = 0;
    const watch = watched(executive, fd, () => fired++);
    poke();
    executive.spin(5e9);
    await pause(5);
    expect(fired).toBe(0);
    watch.arm(true);
    for (let i = 0; i < 500 && fired === 0; i++) await pause(10);
    expect(fired).toBe(1);
    watch.arm(true);
    await pause(20);
    expect(fired).toBe(2);
    watch.arm(true);
    watch.arm(false);
    await pause(20);
    expect(fired).toBe(2);
  });

  it('raises an armed line by software in a later turn, and no masked or closed one', async () => {
    const executive = new HostExecutive();
    const { fd } = socket();
    let fired = 0;
    const watch = watched(executive, fd, () => fired++);
    watch.raise();
    await pause(5);
    expect(fired).toBe(0);
    watch.arm(true);
    watch.raise();
    expect(fired).toBe(0);
    await pause(5);
    expect(fired).toBe(1);
    watch.arm(true);
    watch.raise();
    watch.close();
    await pause(5);
    expect(fired).toBe(1);
  });

  it('spins until a descriptor becomes readable, and no longer than asked, while the event loop stands still', async () => {
    const executive = new HostExecutive();
    const { fd, poke } = socket();
    watched(executive, fd, () => {});
    /** The longest of three: a signal (a child of another test ends) may cut one short. */
    const longest = (ns: number): number => {
      const spans = [0, 0, 0].map(() => {
        const begin = executive.now();
        executive.spin(ns);
        return executive.now() - begin;
      });
      return Math.max(...spans);
    };
    expect(longest(5e6)).toBeGreaterThan(4.9e6);
    expect(longest(5e6)).toBeLessThan(1e9);
    poke();
    const begin = executive.now();
    executive.spin(10e9);
    expect(executive.now() - begin).toBeLessThan(9e9);
    expect(longest(3e6)).toBeGreaterThan(2.9e6);
  });

  it('reports what an interrupt handler throws as an uncaught exception, and works on', async () => {
    const executive = new HostExecutive();
    const { fd, poke } = socket();
    let fired = 0;
    const watch = watched(executive, fd, () => {
      if (fired++ === 0) throw new Error('a bug in a handler');
    });
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const seen: string[] = [];
    process.on('uncaughtException', (error) => seen.push(error.message));
    watch.arm(true);
    poke();
    for (let i = 0; i < 500 && seen.length === 0; i++) await pause(10);
    watch.arm(true);
    await pause(10);
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
    expect(seen).toEqual(['a bug in a handler']);
    expect(fired).toBe(2);
  });

  it('takes no thread, however many descriptors are watched, and leaves the pool to the application', async () => {
    await new Promise((resolve) => stat('/', resolve));
    const threads = () => readdirSync('/proc/self/task').length;
    const before = threads();
    const executive = new HostExecutive();
    for (let i = 0; i < 16; i++) {
      const fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'test', '');
      undo.push(() => libc().close(fd));
      watched(executive, fd, () => {}).arm(true);
    }
    await pause(20);
    expect(threads()).toBe(before);
    const begin = performance.now();
    await new Promise((resolve) => stat('/', resolve));
    expect(performance.now() - begin).toBeLessThan(500);
  });
});
