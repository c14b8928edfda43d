/**
 * Somebody sits between the operator and the machine, hears every datagram, and uses what he has heard, with real sockets.
 *
 *     netpoll sysrq --> [relay: passes on, remembers; sends 20,000 of his own meanwhile] --> netpoll send --sysrq-key-file
 *
 * None of his is obeyed; the operator's are, each once.
 */
import { execFileSync } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { Child } from '../netns/child.ts';

const NETPOLL = [process.execPath, 'bin/netpoll.js'];
const KEY = '0badc0ffee15f00d'.repeat(4);
const ATTACKS = 20_000;
const SEED = 1;
const READY_MS = 30_000;
const OPERATOR_KEYS = 'tmhpqtmw';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'netpoll-attack-'));
  writeFileSync(join(folder, 'keys'), `${KEY}\n`, { mode: 0o600 });
  execFileSync('mkfifo', [join(folder, 'fifo')]);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

/** Passes on in both directions and remembers what came from the operator. */
class Relay {
  readonly heard: Buffer[] = [];
  readonly #front: Socket;
  readonly #back: Socket;
  readonly #machine: number;
  #operator: RemoteInfo | undefined;

  constructor(front: Socket, back: Socket, machine: number) {
    this.#front = front;
    this.#back = back;
    this.#machine = machine;
    front.on('message', (bytes, from) => {
      this.#operator = from;
      this.heard.push(bytes);
      this.send(bytes);
    });
    back.on('message', (bytes) => {
      if (this.#operator !== undefined) front.send(bytes, this.#operator.port, this.#operator.address);
    });
  }

  send(bytes: Uint8Array): void {
    this.#back.send(bytes, this.#machine, '127.0.0.1');
  }

  close(): void {
    this.#front.close();
    this.#back.close();
  }
}

/** One of his own: changed, cut, lengthened, repeated, or made up out of what he has heard. */
function attack(heard: readonly Buffer[], chance: Prng): Uint8Array {
  const old = Uint8Array.from(heard[Math.max(0, heard.length - 1 - chance.below(6))]!);
  const kind = chance.below(6);
  if (kind === 0) return old;
  if (kind === 1) return old.slice(0, chance.below(old.length));
  if (kind === 2) return Uint8Array.from([...old, 0x62]);
  if (kind === 3) {
    old[chance.below(old.length)]! ^= 1 << chance.below(8);
    return old;
  }
  if (kind === 4) return Uint8Array.from({ length: chance.below(150) }, () => chance.below(256));
  // A command to reset, with everything that he knows right, and a tag of his own.
  old[5] = 3;
  old[6] = 'bco'.charCodeAt(chance.below(3));
  old[47] = (old[47]! + 1 + chance.below(3)) & 0xff;
  for (let i = 88; i < 104; i++) old[i] = chance.below(256);
  return old;
}

describe('SysRq with somebody in between', () => {
  it(`obeys the operator, and none of ${ATTACKS} attacks (seed ${SEED})`, { timeout: 120_000 }, async () => {
    const log = await bound();
    const lines: string[] = [];
    log.on('message', (bytes) => lines.push(bytes.toString()));
    const free = await bound();
    const { port } = free.address();
    await new Promise<void>((resolve) => free.close(() => resolve()));
    const options = `${port}@127.0.0.1/udp:127.0.0.1:${port},${log.address().port}@127.0.0.1/`;
    const flags = ['--sysrq-key-file', join(folder, 'keys'), '--sysrq-mask', '1'];
    const machine = await Child.start([
      ...['sh', '-c', 'exec "$@" 0<>"$0"', join(folder, 'fifo')],
      ...[...NETPOLL, 'send', options, ...flags],
    ]);
    await machine.bindsUdp(port, READY_MS);
    const front = await bound();
    const relay = new Relay(front, await bound(), port);
    const command = (keys: string): Promise<Child> =>
      Child.start([
        ...[...NETPOLL, 'sysrq', `127.0.0.1:${front.address().port}`, ...keys, '--json'],
        ...['-k', join(folder, 'keys')],
      ]);
    // From the first command on he has something to work with.
    expect((await (await command('h')).ended).code).toBe(0);
    const operator = await command(OPERATOR_KEYS);
    const chance = new Prng(SEED);
    let sent = 0;
    let meanwhile = 0;
    while (sent < ATTACKS || operator.end === undefined) {
      for (let i = 0; i < 20; i++, sent++) relay.send(attack(relay.heard, chance));
      if (operator.end === undefined) meanwhile = sent;
      await sleep(1);
    }
    expect((await operator.ended).code, operator.stderr.toString()).toBe(0);
    expect(operator.lines.map((line) => (JSON.parse(line) as { key: string; status: string }).status)).toEqual(
      new Array(OPERATOR_KEYS.length).fill('accepted'),
    );
    expect(meanwhile).toBeGreaterThan(500);
    await sleep(300);
    expect(machine.end).toBeUndefined();
    const obeyed = lines.flatMap((line) => /sysrq: netconsole: (\w) from .* command (\d+)/.exec(line) ?? []);
    expect(obeyed.filter((_, i) => i % 3 === 1).join('')).toBe(`h${OPERATOR_KEYS}`);
    expect(lines.join('')).toMatch(/sysrq: netconsole: refused \d+: /);
    await machine.stop();
    relay.close();
    log.close();
  });
});
