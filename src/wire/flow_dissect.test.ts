import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { FLOW_STOP_AT_LABEL, FLOW_TAG_IN_TURN, FlowKeys } from './flow_dissect.ts';

const keys = new FlowKeys();
const UDP = '4500002000000000401100000a0000010a0000021a091a0a000c0000';
const GRE = '4500003800000000402f00000a0000030a000004';

function dissect(hex: string, type: number, vlanTci = -1, flags = 0): boolean {
  const bytes = Buffer.from(hex, 'hex');
  return keys.dissect(
    new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    0,
    bytes.length,
    type,
    vlanTci,
    flags,
  );
}

describe('flow dissection', () => {
  it('goes through GRE to the innermost addresses and ports', () => {
    expect(dissect(`${GRE}00000800${UDP}`, ETH_P_IP)).toBe(true);
    expect([keys.networkOffset, keys.addressesOffset, keys.addressesLen, keys.portsOffset]).toEqual([24, 36, 8, 44]);
  });

  it('keeps what it has found where a tunnel is cut off, and says so', () => {
    expect(dissect(`${GRE}00000800${UDP.slice(0, 30)}`, ETH_P_IP)).toBe(false);
    expect([keys.networkOffset, keys.addressesOffset, keys.portsOffset]).toEqual([0, 12, -1]);
  });

  it('skips the sequence number of an authentication header to the SPI', () => {
    expect(dissect(`${UDP.slice(0, 18)}33${UDP.slice(20, 40)}1104000000001234`, ETH_P_IP)).toBe(true);
    expect(keys.portsOffset).toBe(24);
  });

  it('tells the tag of the outer of two, wherever it is', () => {
    dissect(`0005810000070800${UDP}`, ETH_P_8021Q);
    expect([keys.vlanId, keys.portsOffset]).toEqual([5, 28]);
    dissect(`00070800${UDP}`, ETH_P_8021Q, 5);
    expect([keys.vlanId, keys.portsOffset]).toEqual([5, 24]);
  });

  it('with FLOW_TAG_IN_TURN takes the first tag in the bytes for the one beside the frame', () => {
    // The type comes twice then: of the two tags that are seen, the bytes hold one.
    expect(dissect(`00070800${UDP}`, ETH_P_8021Q, 5, FLOW_TAG_IN_TURN)).toBe(true);
    expect([keys.vlanId, keys.portsOffset]).toEqual([5, 24]);
  });

  it('with FLOW_STOP_AT_LABEL reads nothing behind a labelled header, without it everything', () => {
    const labelled = `6001234500081140${'00'.repeat(32)}1a091a0a00080000`;
    dissect(labelled, ETH_P_IPV6, -1, FLOW_STOP_AT_LABEL);
    expect([keys.flowLabel, keys.portsOffset]).toEqual([0x12345, -1]);
    dissect(labelled, ETH_P_IPV6);
    expect([keys.flowLabel, keys.portsOffset]).toEqual([0x12345, 40]);
  });

  it('never points outside the frame, whatever the bytes and however few', () => {
    const types = fc.constantFrom(0x0800, 0x86dd, 0x8100, 0x88a8, 0x8864, 0x88ca, 0x4305, 0x892f);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), types, fc.integer({ min: -1, max: 3 }), (bytes, type, tci) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        keys.dissect(view, 0, bytes.length, type, tci, FLOW_TAG_IN_TURN);
        expect(keys.addressesOffset + keys.addressesLen).toBeLessThanOrEqual(bytes.length);
        expect(keys.portsOffset + 4).toBeLessThanOrEqual(Math.max(bytes.length, 3));
      }),
    );
  });
});
