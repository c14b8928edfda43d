import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIpv6 } from './address.ts';
import { ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { Flow } from './flow.ts';
import { FLOW_STOP_AT_LABEL } from './flow_dissect.ts';
import { IPPROTO_TCP, IPPROTO_UDP, writeIpv4 } from './ipv4.ts';
import { writeIpv6 } from './ipv6.ts';

const A = 0x0a000001;
const B = 0x0a000002;
const flow = new Flow();

function ipv4(source: number, dest: number, protocol: number, sport: number, dport: number, fragment = 0): DataView {
  const view = new DataView(new ArrayBuffer(40));
  writeIpv4(view, 0, 1, protocol, source, dest, 20);
  view.setUint16(6, fragment);
  view.setUint16(20, sport);
  view.setUint16(22, dport);
  return view;
}

function hash(view: DataView, type = ETH_P_IP, vlanTci = -1, end = view.byteLength): number {
  flow.dissect(view, 0, end, type, vlanTci, FLOW_STOP_AT_LABEL);
  return flow.hash(view);
}

describe('flow', () => {
  test('finds the five-tuple of a TCP segment behind a VLAN tag', () => {
    const inner = ipv4(A, B, IPPROTO_TCP, 1000, 80);
    const view = new DataView(new ArrayBuffer(44));
    view.setUint16(0, 0x2005);
    view.setUint16(2, ETH_P_IP);
    for (let i = 0; i < 40; i++) view.setUint8(4 + i, inner.getUint8(i));
    expect(flow.dissect(view, 0, 44, ETH_P_8021Q)).toBe(true);
    const { protocol, networkOffset, addressesOffset, addressesLen, ipProtocol, portsOffset, vlanId } = flow;
    expect({ protocol, networkOffset, addressesOffset, addressesLen, ipProtocol, portsOffset, vlanId }).toEqual({
      protocol: ETH_P_IP,
      networkOffset: 4,
      addressesOffset: 16,
      addressesLen: 8,
      ipProtocol: IPPROTO_TCP,
      portsOffset: 24,
      vlanId: 5,
    });
    const tagged = flow.hash(view);
    expect(hash(inner, ETH_P_IP, 0x2005)).toBe(tagged);
    expect(hash(inner)).not.toBe(tagged);
  });

  test('hashes both directions alike, and other flows differently', () => {
    const there = hash(ipv4(A, B, IPPROTO_UDP, 1000, 53));
    expect(hash(ipv4(B, A, IPPROTO_UDP, 53, 1000))).toBe(there);
    expect(hash(ipv4(A, B, IPPROTO_UDP, 1001, 53))).not.toBe(there);
    expect(hash(ipv4(A, B, IPPROTO_TCP, 1000, 53))).not.toBe(there);
    expect(hash(ipv4(A, B + 1, IPPROTO_UDP, 1000, 53))).not.toBe(there);
  });

  test('does not read the ports of fragments, so that all of them meet', () => {
    const first = hash(ipv4(A, B, IPPROTO_UDP, 1000, 53, 0x2000));
    expect(flow.isFragment).toBe(true);
    expect(hash(ipv4(A, B, IPPROTO_UDP, 7, 8, 185))).toBe(first);
    expect(flow.portsOffset).toBe(-1);
  });

  test('walks the extension headers of IPv6 and stops at a flow label', () => {
    const view = new DataView(new ArrayBuffer(56));
    writeIpv6(view, 0, 60, 64, parseIpv6('fe80::1')!, parseIpv6('fe80::2')!, 16);
    view.setUint8(40, IPPROTO_UDP);
    view.setUint16(48, 9);
    view.setUint16(50, 10);
    flow.dissect(view, 0, 56, ETH_P_IPV6, -1, FLOW_STOP_AT_LABEL);
    expect([flow.ipProtocol, flow.portsOffset]).toEqual([IPPROTO_UDP, 48]);
    view.setUint32(0, 0x60012345);
    flow.dissect(view, 0, 56, ETH_P_IPV6, -1, FLOW_STOP_AT_LABEL);
    expect([flow.flowLabel, flow.portsOffset]).toEqual([0x12345, -1]);
    flow.dissect(view, 0, 56, ETH_P_IPV6);
    expect([flow.flowLabel, flow.portsOffset]).toEqual([0x12345, 48]);
  });

  test('looks into IP inside IP', () => {
    const inner = ipv4(A, B, IPPROTO_TCP, 1, 2);
    const view = new DataView(new ArrayBuffer(60));
    writeIpv4(view, 0, 1, 4, 1, 2, 40);
    for (let i = 0; i < 40; i++) view.setUint8(20 + i, inner.getUint8(i));
    expect(hash(view)).toBe(hash(inner));
  });

  test('tells echoes apart by their identifier', () => {
    const echo = (id: number) => {
      const view = ipv4(A, B, 1, 0x0800, 0);
      view.setUint16(24, id);
      return hash(view);
    };
    expect(echo(1)).not.toBe(echo(2));
  });

  test('gives every frame that is not IP of one protocol the same hash', () => {
    const bytes = new DataView(new ArrayBuffer(28));
    flow.dissect(bytes, 0, 28, ETH_P_ARP);
    expect([flow.networkOffset, flow.addressesLen]).toEqual([-1, 0]);
    expect(hash(bytes, ETH_P_ARP)).toBe(hash(ipv4(A, B, 6, 1, 2), ETH_P_ARP));
  });

  test('depends on the key', () => {
    const view = ipv4(A, B, IPPROTO_UDP, 1000, 53);
    const other = new Flow(1, 2, 3, 4);
    other.dissect(view, 0, 40, ETH_P_IP);
    expect(other.hash(view)).not.toBe(hash(view));
  });

  test('never fails and never gives 0, whatever the bytes and however few', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q),
        (bytes, type) => {
          const value = hash(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), type);
          expect(value).toBeGreaterThan(0);
          expect(value).toBeLessThanOrEqual(0xffffffff);
        },
      ),
    );
  });
});
