import { describe, expect, it } from 'vitest';
import { SetupError } from '../base/status.ts';
import { Hand, station, type UdpFrame, udpFrame } from '../sim/rig.fixture.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { checksum } from '../wire/checksum.ts';
import { Inet, type InetOptions } from './inet.ts';
import { udpBind, udpUnbind } from './udp.ts';

function rig(options: InetOptions = {}) {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const me = station(world, wire, 2, { promiscuous: true });
  const inet = new Inet(me.stack, options);
  const got: string[] = [];
  udpBind(inet, 6666, (skb) => {
    got.push(new TextDecoder().decode(skb.arena.bytes.slice(skb.data, skb.data + skb.len)));
  });
  const hand = new Hand(world, wire);
  const send = (frame: Uint8Array) => {
    hand.send(frame);
    world.runIdle();
    expect(me.machine.skbs.inUse).toBe(0);
  };
  return { me, inet, got, send };
}

/** A good frame with bytes changed; the IPv4 header checksum is made right again unless `raw`. */
function bent(changes: Record<number, number>, options: UdpFrame = {}, raw = false): Uint8Array {
  const frame = udpFrame(options);
  for (const [at, value] of Object.entries(changes)) frame[Number(at)] = value;
  if (raw || frame[12] !== 0x08) return frame;
  const view = new DataView(frame.buffer);
  view.setUint16(24, 0);
  view.setUint16(24, checksum(view, 14, 20));
  return frame;
}

const SIX = { from: 'fc00::1', to: 'fc00::2' };

describe('inet', () => {
  it('brings the payload to the socket of its port, without padding, over IPv4 and IPv6', () => {
    const { got, send, inet } = rig();
    const padded = new Uint8Array(60);
    padded.set(udpFrame());
    send(padded);
    send(udpFrame({ ...SIX, payload: 'six' }));
    expect(got).toEqual(['hello\n', 'six']);
    expect(inet.snmp.toJSON()).toMatchObject({ IpInDelivers: 1, Ip6InDelivers: 1, UdpInDatagrams: 2, UdpInErrors: 0 });
  });

  it.each([
    ['for another station', udpFrame({ destMac: '02:00:00:00:00:77' }), 'OTHERHOST', null],
    ['with a wrong header checksum', bent({ 24: 0 }, {}, true), 'IP_CSUM', 'IpInHdrErrors'],
    ['of another version', bent({ 14: 0x65 }), 'IP_INHDR', 'IpInHdrErrors'],
    ['with a header below 20 bytes', bent({ 14: 0x44 }), 'IP_INHDR', 'IpInHdrErrors'],
    ['with a header longer than the frame', udpFrame().slice(0, 30), 'HDR_TRUNC', 'IpInHdrErrors'],
    ['shorter than it says', bent({ 17: 0xff }), 'PKT_TOO_SMALL', 'IpInTruncatedPkts'],
    ['that is a fragment and stays alone', bent({ 20: 0x20 }), 'FRAG_REASM_TIMEOUT', 'IpReasmTimeout'],
    ['of another protocol', bent({ 23: 6 }), 'IP_NOPROTO', 'IpInUnknownProtos'],
    ['with a wrong UDP checksum', bent({ 42: 0 }), 'UDP_CSUM', 'UdpInCsumErrors'],
    ['with a UDP length below 8', bent({ 39: 7 }), 'PKT_TOO_SMALL', 'UdpInErrors'],
    ['with a UDP length beyond the packet', bent({ 39: 0xff }), 'PKT_TOO_SMALL', 'UdpInErrors'],
    ['to a port that nobody has', udpFrame({ destPort: 9 }), 'NO_SOCKET', 'UdpNoPorts'],
    ['IPv6 of another version', bent({ 14: 0x40 }, SIX), 'IP_INHDR', 'Ip6InHdrErrors'],
    ['IPv6 shorter than it says', bent({ 19: 0xff }, SIX), 'PKT_TOO_SMALL', 'Ip6InTruncatedPkts'],
    ['IPv6 with another next header', bent({ 20: 58 }, SIX), 'IP_NOPROTO', 'Ip6InUnknownProtos'],
    ['IPv6 without a UDP checksum', bent({ 60: 0, 61: 0 }, SIX), 'UDP_CSUM', 'UdpInCsumErrors'],
  ] as const)('drops a packet %s, with the kernel’s reason and counter', (_name, frame, reason, counter) => {
    const { got, send, me, inet } = rig();
    send(frame);
    expect([got, me.machine.skbs.drops.get(reason)]).toEqual([[], 1]);
    if (counter !== null) expect(inet.snmp.get(counter)).toBe(1);
  });

  it('promiscuous takes what was for others; port 0 takes what no other socket wants', () => {
    const { got, send, inet } = rig({ promiscuous: true });
    let rest = 0;
    udpBind(inet, 0, () => rest++);
    send(udpFrame({ destMac: '02:00:00:00:00:77' }));
    send(udpFrame({ destPort: 9 }));
    expect([got.length, rest]).toEqual([1, 1]);
  });

  it('gives a port to one socket at a time', () => {
    const { inet } = rig();
    expect(() => udpBind(inet, 6666, () => {})).toThrow(SetupError);
    udpUnbind(inet, 6666);
    expect(() => udpBind(inet, 6666, () => {})).not.toThrow();
  });
});
