import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { ETH_HLEN, ETH_P_IP, writeEth } from '../../wire/eth.ts';
import { hex } from '../../wire/headers.fixture.ts';
import {
  ETH_P_SLOW,
  LACPDU_LEN,
  Lacpdu,
  MARKER_INFORMATION,
  MARKER_RESPONSE,
  readMarker,
  slowMulticast,
  writeLacpdu,
  writeMarker,
} from '../../wire/lacp.ts';
import { AdRig } from './ad_rig.fixture.ts';

const PEER = [2, 0, 0, 0, 0xbb, 0];

/** A slow frame whose 110 bytes `fill` writes. */
function frame(fill: (view: DataView, o: number) => void, dest = slowMulticast(), type = ETH_P_SLOW): Uint8Array {
  const bytes = new Uint8Array(ETH_HLEN + LACPDU_LEN);
  const view = new DataView(bytes.buffer);
  writeEth(view, 0, dest, Uint8Array.from(PEER), type);
  fill(view, ETH_HLEN);
  return bytes;
}

const lacpdu = (view: DataView, o: number): void => {
  const pdu = new Lacpdu();
  pdu.actor.system.set(PEER);
  writeLacpdu(view, o, pdu);
};
const marker =
  (type: number) =>
  (view: DataView, o: number): void =>
    writeMarker(view, o, { type, port: 3, system: Uint8Array.from(PEER), transaction: 0xdeadbeef });

const newRig = (): AdRig => new AdRig(new World({ seed: 1 }));

describe('a slow frame', () => {
  it('with a LACPDU is consumed, and changes what is believed of the partner', () => {
    const rig = newRig();
    rig.tick(2);
    expect(rig.hear(1, frame(lacpdu))).toBe(true);
    expect(hex(rig.port(1).partner.system)).toBe('02000000bb00');
    expect(rig.port(1).stats.get('lacpdu_rx')).toBe(1);
    expect(rig.port(0).stats.get('lacpdu_rx')).toBe(0);
    expect(rig.bond.ad!.stats.get('lacpdu_rx')).toBe(1);
  });

  it('with a marker comes back at once, on the same link, as its response', () => {
    const rig = newRig();
    expect(rig.hear(1, frame(marker(MARKER_INFORMATION)))).toBe(true);
    const [answer] = rig.sent;
    expect(answer!.slave).toBe(1);
    expect(hex(answer!.bytes, 0, ETH_HLEN)).toBe('0180c200000202000000aa018809');
    const back = readMarker(new DataView(answer!.bytes.buffer), ETH_HLEN);
    expect({ ...back, system: hex(back.system) }).toEqual({
      ...{ type: MARKER_RESPONSE, port: 3, system: '02000000bb00', transaction: 0xdeadbeef },
    });
    expect(rig.port(1).stats.toJSON()).toMatchObject({ marker_rx: 1, marker_resp_tx: 1 });
  });

  it('with a response, or a marker of an unknown kind, is consumed and counted', () => {
    const rig = newRig();
    expect(rig.hear(0, frame(marker(MARKER_RESPONSE)))).toBe(true);
    expect(rig.hear(0, frame(marker(9)))).toBe(true);
    expect(rig.bond.ad!.stats.toJSON()).toMatchObject({ marker_resp_rx: 1, marker_unknown_rx: 1 });
    expect(rig.sent).toEqual([]);
  });

  it('of another protocol, or too short, is left alone and counted', () => {
    const rig = newRig();
    expect(
      rig.hear(
        0,
        frame((view, o) => view.setUint8(o, 3)),
      ),
    ).toBe(false);
    expect(rig.hear(0, frame(lacpdu).slice(0, -1))).toBe(false);
    expect(rig.port(0).stats.toJSON()).toMatchObject({ lacpdu_unknown_rx: 1, lacpdu_illegal_rx: 1, lacpdu_rx: 0 });
  });

  it('to another address, or of another type, is none of ours', () => {
    const rig = newRig();
    expect(rig.hear(0, frame(lacpdu, Uint8Array.of(1, 0x80, 0xc2, 0, 0, 0)))).toBe(false);
    expect(rig.hear(0, frame(lacpdu, slowMulticast(), ETH_P_IP))).toBe(false);
    expect(rig.port(0).stats.toJSON()).toMatchObject({ lacpdu_rx: 0, lacpdu_unknown_rx: 0 });
  });

  it('of any contents does no harm, and no frame is lost', () => {
    const rig = newRig();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 140 }), fc.nat(2), (bytes, subtype) => {
        const whole = new Uint8Array(ETH_HLEN + bytes.length);
        writeEth(new DataView(whole.buffer), 0, slowMulticast(), Uint8Array.from(PEER), ETH_P_SLOW);
        whole.set(bytes, ETH_HLEN);
        if (bytes.length > 0) whole[ETH_HLEN] = subtype;
        rig.hear(0, whole);
        rig.tick();
        expect(rig.sim.machine.skbs.inUse).toBe(0);
      }),
    );
  });
});
