import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFilter, type SockFilter, udpPortFilter } from './bpf_filter.ts';

/** The instructions that the generator uses, run as the kernel would: a load beyond the frame refuses it. */
function run(program: readonly SockFilter[], frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  let a = 0;
  let x = 0;
  for (let pc = 0; ; pc++) {
    const [code, jt, jf, k] = program[pc]!;
    const load = (at: number, size: number): boolean => {
      if (at + size > frame.length) return false;
      a = size === 1 ? view.getUint8(at) : view.getUint16(at);
      return true;
    };
    if (code === 0x06) return k;
    if (code === 0x28 && !load(k, 2)) return 0;
    if (code === 0x30 && !load(k, 1)) return 0;
    if (code === 0x48 && !load(x + k, 2)) return 0;
    if (code === 0xb1) x = 4 * (view.getUint8(k) & 15);
    if (code === 0x15) pc += a === k ? jt : jf;
    if (code === 0x45) pc += (a & k) !== 0 ? jt : jf;
  }
}

function ipv4(port: number, { ihl = 5, proto = 17, fragment = 0 } = {}): Uint8Array {
  const frame = new Uint8Array(14 + ihl * 4 + 8 + 10);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  frame[14] = 0x40 | ihl;
  frame[23] = proto;
  view.setUint16(20, fragment);
  view.setUint16(14 + ihl * 4 + 2, port);
  return frame;
}

function ipv6(port: number, next = 17): Uint8Array {
  const frame = new Uint8Array(14 + 40 + 8 + 10);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x86dd);
  frame[20] = next;
  view.setUint16(56, port);
  return frame;
}

describe('udpPortFilter', () => {
  const filter = udpPortFilter(6666);

  it('passes UDP to the port over IPv4, with IP options too, and over IPv6', () => {
    expect(run(filter, ipv4(6666))).toBeGreaterThan(65535);
    expect(run(filter, ipv4(6666, { ihl: 15 }))).toBeGreaterThan(65535);
    expect(run(filter, ipv4(6666, { fragment: 0x2000 }))).toBeGreaterThan(65535);
    expect(run(filter, ipv6(6666))).toBeGreaterThan(65535);
  });

  it('refuses another port, another protocol, a later fragment, ARP and a runt', () => {
    expect(run(filter, ipv4(6667))).toBe(0);
    expect(run(filter, ipv4(6666, { proto: 6 }))).toBe(0);
    expect(run(filter, ipv4(6666, { fragment: 5 }))).toBe(0);
    expect(run(filter, ipv6(6667))).toBe(0);
    expect(run(filter, ipv6(6666, 6))).toBe(0);
    expect(
      run(
        filter,
        Uint8Array.from({ length: 42 }, (_, i) => (i === 12 ? 8 : i === 13 ? 6 : 0)),
      ),
    ).toBe(0);
    expect(run(filter, new Uint8Array(10))).toBe(0);
  });

  it('passes exactly its own port, whatever the frame', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 0, max: 65535 }),
        fc.boolean(),
        (mine, other, six) => {
          const frame = six ? ipv6(other) : ipv4(other);
          expect(run(udpPortFilter(mine), frame) > 0).toBe(mine === other);
        },
      ),
    );
  });

  it('refuses to be made for what is no port, or to encode an empty program', () => {
    expect(() => udpPortFilter(0)).toThrow('0 is no UDP port');
    expect(() => udpPortFilter(65536)).toThrow('65536');
    expect(() => encodeFilter([])).toThrow('1 to 4096');
    expect(encodeFilter([[0x15, 2, 3, 0xffffffff]])).toEqual(Buffer.from([0x15, 0, 2, 3, 0xff, 0xff, 0xff, 0xff]));
  });
});
