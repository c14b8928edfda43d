// Headers to columns and back, and what a header must not be able to say.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import { SKB_GSO_DODGY, SKB_GSO_TCP_ECN, SKB_GSO_TCPV4, SKB_GSO_TCPV6, SKB_GSO_UDP_L4 } from '../../skb/shared_info.ts';
import {
  VNET_HLEN,
  vnetCsumOffset,
  vnetCsumStart,
  vnetFlags,
  vnetGsoSize,
  vnetGsoType,
  vnetHdrLen,
} from '../../wire/virtio_net.ts';
import { putVnet, takeVnet } from './vnet_offload.ts';

/** flags, gso_type, hdr_len, gso_size, csum_start, csum_offset */
type Words = readonly [number, number, number, number, number, number];

function header(words: Words): DataView {
  const view = new DataView(new ArrayBuffer(VNET_HLEN));
  view.setUint8(0, words[0]);
  view.setUint8(1, words[1]);
  for (let i = 2; i < 6; i++) view.setUint16(2 * i - 2, words[i]!, true);
  return view;
}

function words(view: DataView): Words {
  return [
    vnetFlags(view, 0),
    vnetGsoType(view, 0),
    vnetHdrLen(view, 0),
    vnetGsoSize(view, 0),
    vnetCsumStart(view, 0),
    vnetCsumOffset(view, 0),
  ];
}

function taken(from: Words, len: number): FrameBatch | null {
  const out = new FrameBatch(1);
  out.len[0] = len;
  return takeVnet(header(from), 0, out, 0) ? out : null;
}

describe('takeVnet', () => {
  it('takes an ordinary frame, one with its checksum verified, and one with it to do', () => {
    expect(taken([0, 0, 0, 0, 0, 0], 60)!.csum[0]).toBe(CHECKSUM_NONE);
    expect(taken([2, 0, 0, 0, 0, 0], 60)!.csum[0]).toBe(CHECKSUM_UNNECESSARY);
    const partial = taken([1, 0, 0, 0, 34, 16], 60)!;
    expect([partial.csum[0], partial.csumStart[0], partial.csumOffset[0]]).toEqual([CHECKSUM_PARTIAL, 34, 16]);
  });

  it.each([
    ['TCP over IPv4', [1, 1, 66, 1448, 34, 16], SKB_GSO_TCPV4],
    ['TCP over IPv4 with CWR', [1, 0x81, 66, 1448, 34, 16], SKB_GSO_TCPV4 | SKB_GSO_TCP_ECN],
    ['TCP over IPv6', [1, 4, 86, 1428, 54, 16], SKB_GSO_TCPV6],
    ['UDP', [1, 5, 42, 1472, 34, 6], SKB_GSO_UDP_L4],
  ] as const)('takes a super-frame of %s, and does not trust its headers', (_, from, type) => {
    const out = taken(from, 65_000)!;
    expect([out.gsoSize[0], out.gsoType[0]]).toEqual([from[3], type | SKB_GSO_DODGY]);
  });

  it('takes a super-frame no longer than a segment as an ordinary frame', () => {
    expect(taken([1, 1, 54, 1448, 34, 16], 1000)!.gsoSize[0]).toBe(0);
  });

  it.each([
    ['a checksum past the end', [1, 0, 0, 0, 34, 16], 51],
    ['a checksum in the Ethernet header', [1, 0, 0, 0, 6, 6], 60],
    ['a kind that there is not', [1, 3, 0, 1448, 34, 16], 4000],
    ['nothing but the CWR bit', [1, 0x80, 0, 1448, 34, 16], 4000],
    ['segments of no bytes', [1, 1, 54, 0, 34, 16], 4000],
    ['TCP with a checksum at UDP’s place', [1, 1, 54, 1448, 34, 6], 4000],
    ['IPv6 with a transport header inside its own', [1, 4, 74, 1428, 34, 16], 4000],
    ['headers longer than the frame', [0, 1, 54, 100, 0, 0], 40],
  ] as const)('refuses %s', (_, from, len) => {
    expect(taken(from, len)).toBeNull();
  });

  it('lets no header point outside its frame', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    const word = fc.integer({ min: 0, max: 65535 });
    fc.assert(
      fc.property(fc.tuple(byte, byte, word, word, word, word), fc.integer({ min: 14, max: 66_000 }), (from, len) => {
        const out = taken(from, len);
        if (out === null) return;
        if (out.csum[0] === CHECKSUM_PARTIAL)
          expect(out.csumStart[0]! + out.csumOffset[0]! + 2).toBeLessThanOrEqual(len);
        if (out.gsoSize[0] !== 0) expect(out.gsoSize[0]).toBeLessThan(len);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('putVnet', () => {
  /** A frame whose TCP header, at 34, is of 32 bytes. */
  const memory = new DataView(new ArrayBuffer(256));
  memory.setUint8(34 + 12, 0x80);

  it.each([
    ['an ordinary frame', [0, 0, 0, 0, 0, 0]],
    ['a verified one', [2, 0, 0, 0, 0, 0]],
    ['a checksum to do', [1, 0, 0, 0, 34, 6]],
    ['a super-frame of TCP', [1, 1, 66, 1448, 34, 16]],
    ['a super-frame of TCP with CWR', [1, 0x81, 66, 1448, 34, 16]],
    ['a super-frame of UDP', [1, 5, 42, 1472, 34, 6]],
  ] as const)('writes for %s what takeVnet has read', (_, from) => {
    const batch = taken(from, 65_000)!;
    const to = new DataView(new ArrayBuffer(VNET_HLEN));
    for (let i = 0; i < VNET_HLEN; i++) to.setUint8(i, 0xee);
    putVnet(to, 0, memory, batch, 0, 0);
    expect(words(to)).toEqual(from);
  });

  it('counts a VLAN tag that goes in front', () => {
    const to = new DataView(new ArrayBuffer(VNET_HLEN));
    putVnet(to, 0, memory, taken([1, 1, 66, 1448, 34, 16], 65_000)!, 0, 4);
    expect(words(to)).toEqual([1, 1, 70, 1448, 38, 16]);
  });
});
