import { describe, expect, it } from 'vitest';
import { ETH_P_IP, ethType, isBroadcastMac, isMulticastMac, isValidMac, macEquals, writeEth } from './eth.ts';
import { fromHex, hex } from './headers.fixture.ts';

describe('Ethernet header', () => {
  const a = fromHex('020000000001');
  const broadcast = fromHex('ffffffffffff');

  it('is destination, source, type, written at any offset and nowhere else', () => {
    const bytes = new Uint8Array(20).fill(0xee);
    writeEth(new DataView(bytes.buffer), 3, broadcast, a, ETH_P_IP);
    expect(hex(bytes)).toBe('eeeeeeffffffffffff0200000000010800eeeeee');
    expect(ethType(new DataView(bytes.buffer), 3)).toBe(ETH_P_IP);
    expect(macEquals(bytes, 9, a)).toBe(true);
    expect(macEquals(bytes, 3, a)).toBe(false);
  });

  it('knows group addresses by the lowest bit of the first byte', () => {
    expect([broadcast, fromHex('01005e000001'), a].map((mac) => isMulticastMac(mac, 0))).toEqual([true, true, false]);
    expect([broadcast, fromHex('01005e000001'), a].map((mac) => isBroadcastMac(mac, 0))).toEqual([true, false, false]);
  });

  it('takes as an interface address what is neither zero nor a group nor of another length', () => {
    expect(isValidMac(a)).toBe(true);
    expect([new Uint8Array(6), broadcast, fromHex('01005e000001'), a.slice(1)].map(isValidMac)).not.toContain(true);
  });
});
