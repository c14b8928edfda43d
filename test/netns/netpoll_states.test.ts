/**
 * Netpoll on the host's ports, with the machine in every state.
 *
 *   namespace a                                          namespace b
 *   states.mjs, one process a state     ----veth----     answerer.mjs on 10.0.0.2
 *   packet:v0 or xdp:v0 as 10.0.0.77, or udp:10.0.0.1
 *   tap:t0 as 10.8.0.77 -- the kernel's t0, 10.8.0.1, and an answerer of its own
 *   qemu:SOCKET as 10.9.0.77 -- netpoll forward, in the place of QEMU -- the kernel's q0, 10.9.0.1
 *
 * The client sends, hears the answer, and answers that on the same device (deferred: its hook runs inside the device's poll) and
 * on another one (at once). Only `normal` lets the event loop turn.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostExecutive } from '../../src/host/executive.ts';
import { openPort } from '../../src/host/open_port.ts';
import { printMac } from '../../src/wire/address.ts';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });
const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const OWN_ADDRESS = '10.0.0.77';
const PORT = 7100;
const OTHER_PORT = 7101;
const STATES = ['normal', 'interrupts-off', 'softirq', 'panic', 'wedged'] as const;
const PORTS = ['packet', 'xdp', 'udp', 'tap', 'qemu'] as const;
const FORWARD = join(FIXTURES, '..', '..', '..', 'bin', 'netpoll.js');

interface Told {
  readonly sent: number;
  readonly heard: string;
  readonly otherAtOnce: boolean;
  readonly deferred: number;
  readonly waiting: number;
  readonly ticks: number;
  readonly tookMs: number;
}

describe.skipIf(lacking !== undefined)(titled('netpoll on the ports of this host', lacking), () => {
  let pair: VethPair;
  let answerer: Child;
  let local: Child;
  let socket: string;
  const folder = scratch('states');

  beforeAll(async () => {
    pair = await vethPair('states');
    const { space } = pair.a;
    socket = join(folder.path, 'vm.sock');
    await space.ip('tuntap', 'add', 'dev', 't0', 'mode', 'tap');
    await space.ip('addr', 'add', '10.8.0.1/24', 'dev', 't0');
    await space.ip('link', 'set', 't0', 'up');
    const forward = [FORWARD, 'forward', `qemu:connect:${socket},reconnect=0.05`, 'tap:q0'];
    const guest = await space.start([process.execPath, ...forward]);
    await guest.says(/forwarding between/, 30_000);
    await space.ip('addr', 'add', '10.9.0.1/24', 'dev', 'q0');
    // As a kernel's netpoll, ours answers ARP only while it has the device to itself.
    await space.neighbour('t0', '10.8.0.77', macOf('tap:t0'));
    await space.neighbour('q0', '10.9.0.77', macOf(`qemu:${socket}`));
    local = await space.start([process.execPath, join(FIXTURES, 'answerer.mjs'), String(PORT)]);
    await local.bindsUdp(PORT);
    await pair.b.space.neighbour(pair.b.device, OWN_ADDRESS, pair.a.mac);
    answerer = await pair.b.space.start([
      process.execPath,
      join(FIXTURES, 'answerer.mjs'),
      String(PORT),
      String(OTHER_PORT),
    ]);
    await answerer.bindsUdp(PORT);
    await answerer.bindsUdp(OTHER_PORT);
  });
  afterAll(async () => {
    await pair?.remove();
    folder.discard();
  });

  it.each(PORTS.flatMap((port) => STATES.map((state) => [port, state] as const)))('%s:, %s', async (port, state) => {
    const { a, b } = pair;
    const options = {
      xdp: (remote: number) => `6665@${OWN_ADDRESS}/xdp:${a.device},${remote}@${b.address}/${b.mac}`,
      packet: (remote: number) => `6665@${OWN_ADDRESS}/packet:${a.device},${remote}@${b.address}/${b.mac}`,
      udp: (remote: number) => `6665@${a.address}/udp:${a.address}:6665,${remote}@${b.address}/`,
      tap: (remote: number) => `6665@10.8.0.77/tap:t0,${remote}@10.8.0.1/`,
      qemu: (remote: number) => `6665@10.9.0.77/qemu:${socket},${remote}@10.9.0.1/`,
    };
    const other = port === 'udp' ? 'packet' : 'udp';
    const who = port === 'tap' || port === 'qemu' ? [answerer, local] : [answerer];
    const before = who.map((each) => each.lines.length);
    const fresh = () => who.flatMap((each, i) => each.lines.slice(before[i]));
    const argv = [
      process.execPath,
      join(FIXTURES, 'states.mjs'),
      state,
      options[port](PORT),
      options[other](OTHER_PORT),
    ];
    const { stdout } = await a.space.run(argv);
    const told = JSON.parse(stdout) as Told;
    expect(told).toMatchObject({ sent: 0, heard: 'ping', otherAtOnce: true, deferred: 1, waiting: 0, ticks: 0 });
    expect(told.tookMs).toBeLessThan(2000);
    await answerer.until('three datagrams', () => fresh().length >= 3, 2000);
    const came = fresh().map((line) => JSON.parse(line) as { port: number; text: string });
    expect(came.map((each) => `${each.port} ${each.text}`).sort()).toEqual([
      `${PORT} ${state} same`,
      `${PORT} ${state} send`,
      `${OTHER_PORT} ${state} other`,
    ]);
  });
});

/** The address that a port of this name has. */
function macOf(spec: string): string {
  return printMac(openPort(spec, new HostExecutive()).caps.mac);
}
