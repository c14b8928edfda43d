// The kernel's verifier and the kernel's own run of the program are the judges: nothing is interpreted here.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { IPPROTO_TCP } from '../../wire/ipv4.ts';
import { createXskMap, loadXdpProgram, runXdpProgram } from '../sys/bpf.ts';
import { libc } from '../sys/libc.ts';
import { redirectProgram, XDP_DROP, XDP_PASS } from './redirect_program.ts';

const root = process.getuid?.() === 0;
const PORT = 6666;
/** With no socket in the map, a frame that would be redirected is told from the others by what is said for a miss. */
const TAKEN = XDP_DROP;

interface Parts {
  readonly tag?: number;
  readonly type?: number;
  readonly protocol?: number;
  readonly options?: number;
  readonly fragment?: number;
  readonly port?: number;
}

function ipv4({ tag, type = 0x0800, protocol = 17, options = 0, fragment = 0, port = PORT }: Parts = {}): Uint8Array {
  const frame = new Uint8Array(100);
  const view = new DataView(frame.buffer);
  let at = 12;
  if (tag !== undefined) {
    view.setUint16(at, 0x8100);
    view.setUint16(at + 2, tag);
    at += 4;
  }
  view.setUint16(at, type);
  const ip = at + 2;
  frame[ip] = 0x45 + options;
  view.setUint16(ip + 6, fragment);
  frame[ip + 9] = protocol;
  view.setUint16(ip + 20 + 4 * options + 2, port);
  return frame;
}

function ipv6({ protocol = 17, port = PORT }: Parts = {}): Uint8Array {
  const frame = new Uint8Array(100);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x86dd);
  frame[14] = 0x60;
  frame[20] = protocol;
  view.setUint16(56, port);
  return frame;
}

describe.skipIf(!root)(`the redirect program${root ? '' : ' (skip: needs root, bpf())'}`, () => {
  let map: number;
  let program: number;
  beforeAll(() => {
    map = createXskMap('test', 4, 'test');
    program = loadXdpProgram('test', redirectProgram({ map, udpPort: PORT, miss: TAKEN }), 'test');
  });
  afterAll(() => {
    libc().close(program);
    libc().close(map);
  });

  it.each<[string, Uint8Array, number]>([
    ['a datagram to the port', ipv4(), TAKEN],
    ['one behind a VLAN tag', ipv4({ tag: 7 }), TAKEN],
    ['one behind IP options', ipv4({ options: 10 }), TAKEN],
    ['a first fragment', ipv4({ fragment: 0x2000 }), TAKEN],
    ['a datagram over IPv6', ipv6(), TAKEN],
    ['a datagram to another port', ipv4({ port: 6667 }), XDP_PASS],
    ['one over IPv6 to another port', ipv6({ port: 26 }), XDP_PASS],
    ['a later fragment', ipv4({ fragment: 0x0001 }), XDP_PASS],
    ['TCP to the port', ipv4({ protocol: IPPROTO_TCP }), XDP_PASS],
    ['TCP over IPv6 to the port', ipv6({ protocol: IPPROTO_TCP }), XDP_PASS],
    ['ARP', ipv4({ type: 0x0806 }), XDP_PASS],
    ['two VLAN tags', ipv4({ tag: 7, type: 0x8100 }), XDP_PASS],
  ])('with a port: %s', (_, frame, answer) => {
    expect(runXdpProgram(program, frame)).toBe(answer);
  });

  it('with a port: passes what is cut off before the port', () => {
    for (const len of [14, 20, 33, 41]) expect(runXdpProgram(program, ipv4().slice(0, len))).toBe(XDP_PASS);
    expect(runXdpProgram(program, ipv4().slice(0, 42))).toBe(TAKEN);
    expect(runXdpProgram(program, ipv4({ options: 10 }).slice(0, 81))).toBe(XDP_PASS);
    expect(runXdpProgram(program, ipv6().slice(0, 61))).toBe(XDP_PASS);
  });

  it('without a port: takes every frame, in a handful of instructions', () => {
    const bytes = redirectProgram({ map, miss: TAKEN });
    expect(bytes.length / 8).toBeLessThanOrEqual(7);
    const all = loadXdpProgram('test', bytes, 'test');
    for (const frame of [ipv4(), ipv4({ type: 0x0806 }), new Uint8Array(14)]) {
      expect(runXdpProgram(all, frame)).toBe(TAKEN);
    }
    libc().close(all);
  });

  it('says what the verifier says of a program that is wrong', () => {
    // r0 = r2: never written.
    const wrong = Uint8Array.of(0xbf, 0x20, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
    expect(() => loadXdpProgram('test', wrong, 'test')).toThrow(/R2 !read_ok/);
  });
});

describe('redirectProgram', () => {
  it('refuses a port that is none', () => {
    for (const udpPort of [0, -1, 65536, 1.5]) {
      expect(() => redirectProgram({ map: 3, udpPort })).toThrow(SetupError);
    }
  });
});
