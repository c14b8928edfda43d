import { describe, expect, it } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { ethTypeTrans } from '../device/eth.ts';
import { NETIF_F_GRO, NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { napiCompleteDone, napiEnable, napiSchedule, netifNapiAdd } from '../device/napi_struct.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { netInit } from '../stack/net_init.ts';
import { ETH_P_IP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { writeIpv6 } from '../wire/ipv6.ts';
import { writeUdp } from '../wire/udp.ts';
import { Inet } from './inet.ts';
import { udpBind } from './udp.ts';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const SOURCE_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

function datagram(version: 4 | 6, mark: number, len: number): Uint8Array {
  const ip = version === 4 ? 20 : 40;
  const frame = new Uint8Array(14 + ip + 8 + len).fill(mark);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, MAC, SOURCE_MAC, version === 4 ? ETH_P_IP : ETH_P_IPV6);
  if (version === 4) {
    writeIpv4(view, 14, mark, IPPROTO_UDP, 0x0a000002, 0x0a000001, 8 + len);
  } else {
    const address = Uint8Array.of(0xfd, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
    writeIpv6(view, 14, IPPROTO_UDP, 64, address, address, 8 + len);
  }
  writeUdp(view, 14, version === 4 ? 4 : 16, 14 + ip, 5000, 6666, len);
  return frame;
}

/** What a socket gets of `frames` that arrive in one poll. */
function received(features: number, frames: readonly Uint8Array[]) {
  const made = testNet();
  const inet = new Inet(netInit(made.net), { promiscuous: true });
  const dev = testDevice(made.net);
  dev.features = features;
  const payloads: string[] = [];
  udpBind(inet, 6666, (skb) => {
    payloads.push(Buffer.from(skb.arena.bytes.slice(skb.data, skb.data + skb.len)).toString('hex'));
  });
  const napi = netifNapiAdd(dev, (self) => {
    for (const bytes of frames) {
      const skb = made.machine.skbs.allocForDevice(dev, bytes.length)!;
      skb.arena.bytes.set(bytes, skbPut(skb, bytes.length));
      skb.protocol = ethTypeTrans(skb, dev);
      self.receive(skb);
    }
    napiCompleteDone(self, frames.length);
    return frames.length;
  });
  napiEnable(napi);
  napiSchedule(napi);
  made.machine.turn();
  expect(made.machine.skbs.inUse).toBe(0);
  return { payloads, processed: made.net.softnet[0]!.processed, snmp: inet.snmp };
}

describe('datagrams that receive offload has made one', () => {
  for (const version of [4, 6] as const) {
    for (const [name, bit] of [
      ['for forwarding', NETIF_F_GRO_UDP_FWD],
      ['as a list', NETIF_F_GRO_FRAGLIST],
    ] as const) {
      it(`IPv${version}, ${name}: reach a socket one by one`, () => {
        const frames = [1, 2, 3, 4, 5].map((mark) => datagram(version, mark, mark === 5 ? 30 : 100));
        const { payloads, processed, snmp } = received(NETIF_F_GRO | bit, frames);
        expect(payloads).toEqual([1, 2, 3, 4, 5].map((mark) => `0${mark}`.repeat(mark === 5 ? 30 : 100)));
        expect(processed).toBe(1);
        expect(snmp.get('UdpInDatagrams')).toBe(5);
      });
    }
  }

  it('are not made one for who did not ask for it', () => {
    const frames = [1, 2].map((mark) => datagram(4, mark, 100));
    expect(received(NETIF_F_GRO, frames).processed).toBe(2);
  });

  it('without a checksum are refused over IPv6, though receive offload lets them pass', () => {
    const frame = datagram(6, 1, 100);
    new DataView(frame.buffer).setUint16(60, 0);
    const { payloads, snmp } = received(NETIF_F_GRO, [frame]);
    expect(payloads).toEqual([]);
    expect(snmp.get('UdpInCsumErrors')).toBe(1);
  });
});
