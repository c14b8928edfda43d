import { describe, expect, it } from 'vitest';
import { ARPOP_REPLY, arpIsEthernetIpv4, arpOp, arpSenderIp, arpTargetIp, writeArp } from './arp.ts';
import { fromHex, hex } from './headers.fixture.ts';

/** Body of the golden ARP reply of 2.6.20: 10.0.0.1 at ..:01 answers 10.0.0.9 at ..:09. */
const REPLY = '0001080006040002 020000000001 0a000001 020000000009 0a000009';

describe('ARP', () => {
  it('is written as the kernel writes it, and read back', () => {
    const bytes = new Uint8Array(28);
    const view = new DataView(bytes.buffer);
    writeArp(view, 0, ARPOP_REPLY, fromHex('020000000001'), 0x0a000001, fromHex('020000000009'), 0x0a000009);
    expect(hex(bytes)).toBe(REPLY.replace(/ /g, ''));
    expect(arpIsEthernetIpv4(view, 0)).toBe(true);
    expect([arpOp(view, 0), arpSenderIp(view, 0), arpTargetIp(view, 0)]).toEqual([2, 0x0a000001, 0x0a000009]);
  });

  it.each([0, 2, 4, 5])('is not for us when byte %i and on says another hardware or protocol', (at) => {
    const bytes = fromHex(REPLY);
    bytes[at]! ^= 0x40;
    expect(arpIsEthernetIpv4(new DataView(bytes.buffer), 0)).toBe(false);
  });
});
