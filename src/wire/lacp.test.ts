import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenJson } from '../../test/golden/vectors.ts';
import { ETH_HLEN, ethType } from './eth.ts';
import { fromHex, hex } from './headers.fixture.ts';
import {
  ETH_P_SLOW,
  LACPDU_LEN,
  Lacpdu,
  LacpParty,
  MARKER_INFORMATION,
  MARKER_RESPONSE,
  markerType,
  readLacpdu,
  readMarker,
  SLOW_SUBTYPE_LACP,
  SLOW_SUBTYPE_MARKER,
  slowMulticast,
  slowSubtype,
  writeLacpdu,
  writeMarker,
  writeMarkerResponse,
} from './lacp.ts';

/** The first LACPDU of a bond of Linux 6.1, from the recording 802.3ad-layer34: the port has heard nobody. */
const FIRST = `0101 0114ffff525400 77b00000 0900ff0001c7000000 0214ffff000000 00000000 0100ff000102000000 0310 ${'00'.repeat(66)}`;

const party = fc
  .record({
    systemPriority: fc.nat(0xffff),
    system: fc.uint8Array({ minLength: 6, maxLength: 6 }),
    key: fc.nat(0xffff),
    portPriority: fc.nat(0xffff),
    port: fc.nat(0xffff),
    state: fc.nat(0xff),
  })
  .map(({ system, ...rest }) => {
    const made = Object.assign(new LacpParty(), rest);
    made.system.set(system);
    return made;
  });

function pduOf(actor: LacpParty, partner: LacpParty, delay: number): Lacpdu {
  const pdu = new Lacpdu();
  pdu.actor.copyFrom(actor);
  pdu.partner.copyFrom(partner);
  pdu.collectorMaxDelay = delay;
  return pdu;
}

describe('LACPDU', () => {
  it('of a real bond is read', () => {
    const bytes = fromHex(FIRST);
    const pdu = readLacpdu(new DataView(bytes.buffer), 0, new Lacpdu());
    expect(bytes).toHaveLength(LACPDU_LEN);
    expect(pdu.actor).toMatchObject({ systemPriority: 0xffff, key: 9, portPriority: 255, port: 1, state: 0xc7 });
    expect(hex(pdu.actor.system)).toBe('52540077b000');
    expect(pdu.partner).toMatchObject({ systemPriority: 0xffff, key: 1, portPriority: 255, port: 1, state: 2 });
    expect(hex(pdu.partner.system)).toBe('000000000000');
  });

  it('is written at any offset over whatever was there, and read back', () => {
    fc.assert(
      fc.property(party, party, fc.nat(0xffff), fc.nat(20), fc.nat(255), (actor, partner, delay, o, junk) => {
        const bytes = new Uint8Array(LACPDU_LEN + 40).fill(junk);
        const view = new DataView(bytes.buffer);
        const pdu = pduOf(actor, partner, delay);
        writeLacpdu(view, o, pdu);
        expect(readLacpdu(view, o, new Lacpdu())).toEqual(pdu);
        expect(slowSubtype(view, o)).toBe(SLOW_SUBTYPE_LACP);
        const around = [...bytes.slice(0, o), ...bytes.slice(o + LACPDU_LEN)];
        expect(around.every((byte) => byte === junk)).toBe(true);
      }),
    );
  });

  it('that a real bond sent is written byte for byte from what was read of it', () => {
    type Recorded = Record<string, { readonly lacpdus: readonly { readonly hex: string }[] }>;
    const sent = Object.values(goldenJson<Recorded>('bonding/lacp-k61.json.gz')).flatMap(({ lacpdus }) => lacpdus);
    for (const { hex: text } of sent) {
      const frame = fromHex(text);
      const again = new Uint8Array(LACPDU_LEN);
      writeLacpdu(new DataView(again.buffer), 0, readLacpdu(new DataView(frame.buffer), ETH_HLEN, new Lacpdu()));
      expect(hex(again)).toBe(hex(frame, ETH_HLEN));
      expect([hex(frame, 0, 6), ethType(new DataView(frame.buffer), 0)]).toEqual([hex(slowMulticast()), ETH_P_SLOW]);
    }
    expect(sent).toHaveLength(188);
  });
});

describe('marker', () => {
  it('is written and read back, and answered with its own contents', () => {
    const bytes = fc.uint8Array({ minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(fc.nat(0xffff), bytes, fc.nat(0xffffffff), (port, system, transaction) => {
        const view = new DataView(new ArrayBuffer(LACPDU_LEN));
        const marker = { type: MARKER_INFORMATION, port, system, transaction };
        writeMarker(view, 0, marker);
        expect(readMarker(view, 0)).toEqual(marker);
        const response = new DataView(new ArrayBuffer(LACPDU_LEN + 3));
        writeMarkerResponse(response, 3, view, 0);
        expect(readMarker(response, 3)).toEqual({ ...marker, type: MARKER_RESPONSE });
        expect([slowSubtype(response, 3), markerType(response, 3)]).toEqual([SLOW_SUBTYPE_MARKER, MARKER_RESPONSE]);
      }),
    );
  });

  it('has the lengths of the standard', () => {
    const bytes = new Uint8Array(LACPDU_LEN).fill(7);
    writeMarker(new DataView(bytes.buffer), 0, {
      type: MARKER_INFORMATION,
      port: 2,
      system: fromHex('020000000009'),
      transaction: 0x01020304,
    });
    expect(hex(bytes)).toBe(`02010116 0002 020000000009 01020304 ${'00'.repeat(94)}`.replace(/ /g, ''));
  });
});

it('readers read any 110 bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: LACPDU_LEN, maxLength: LACPDU_LEN }), (bytes) => {
      const view = new DataView(bytes.buffer);
      readLacpdu(view, 0, new Lacpdu());
      readMarker(view, 0);
    }),
  );
});
