/** A VLAN tag beside a frame on its way down: into the frame where the device does not put it in, into every segment too. */
import { describe, expect, it } from 'vitest';
import { testDevice, testFrame, testNet } from '../device/device.fixture.ts';
import { NETIF_F_HW_VLAN_CTAG_TX } from '../device/features.ts';
import { CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { SKB_GSO_TCPV4 } from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { skbVlanUntag, VLAN_TCI_8021AD, vlanPushInside } from '../skb/vlan_tag.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { ETH_P_IP } from '../wire/eth.ts';
import { IPPROTO_TCP, writeIpv4 } from '../wire/ipv4.ts';
import { netInit } from './net_init.ts';
import { bytesOf, frameOf } from './super_frame.fixture.ts';
import { validateXmitSkb } from './validate_xmit.ts';

function rig(features = 0) {
  const made = testNet({ skbs: 256 });
  netInit(made.net);
  const dev = testDevice(made.net);
  dev.features = features;
  const frame = (tci: number): SkBuff => {
    const skb = testFrame(dev, 7, 60);
    skb.arena.bytes.set([1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 0x08, 0x00, 0x45], skb.data);
    skb.protocol = ETH_P_IP;
    skb.networkHeader = skb.data + 14;
    skb.vlanTci = tci;
    return skb;
  };
  return { ...made, dev, frame };
}

describe('validateXmitSkb with a VLAN tag', () => {
  it('puts it in, behind the addresses, for a device that does not', () => {
    const { frame } = rig();
    const skb = validateXmitSkb(frame(0x2005))!;
    expect([...bytesOf(skb).slice(0, 19)]).toEqual([
      ...[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 0x81, 0x00, 0x20, 0x05, 0x08, 0x00, 0x45],
    ]);
    expect([skb.len, skb.vlanTci, skb.protocol, skb.networkHeader - skb.data]).toEqual([64, -1, 0x8100, 18]);
  });

  it('leaves it to a device that does, unless it is a provider’s tag', () => {
    const { frame } = rig(NETIF_F_HW_VLAN_CTAG_TX);
    const skb = validateXmitSkb(frame(0x2005))!;
    expect([skb.len, skb.vlanTci]).toEqual([60, 0x2005]);
    const provider = validateXmitSkb(frame(0x2005 | VLAN_TCI_8021AD))!;
    expect([provider.len, provider.vlanTci, provider.protocol]).toEqual([64, -1, 0x88a8]);
  });

  it('has it in every segment of a super-frame', () => {
    const { dev, machine } = rig();
    const bytes = new Uint8Array(54 + 2500).map((_, i) => i);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, ETH_P_IP);
    writeIpv4(view, 14, 1, IPPROTO_TCP, 0x0a000001, 0x0a000002, 20 + 2500);
    view.setUint8(34 + 12, 0x50);
    view.setUint8(34 + 13, 0x10);
    view.setUint16(34 + 16, ~fold(sum32(view, 26, 8) + IPPROTO_TCP + 20 + 2500) & 0xffff);
    const skb = frameOf(machine.skbs, bytes, 'frags', 54, 1000);
    skb.dev = dev;
    skb.protocol = ETH_P_IP;
    skb.networkHeader = skb.data + 14;
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = skb.data + 34;
    skb.csumOffset = 16;
    skb.vlanTci = 9;
    const { info } = machine.skbs;
    info.gsoSize[skb.shinfo] = 1000;
    info.gsoSegs[skb.shinfo] = 3;
    info.gsoType[skb.shinfo] = SKB_GSO_TCPV4;
    const lens: number[] = [];
    for (let each = validateXmitSkb(skb); each !== null; each = each.next) {
      const segment = new DataView(Uint8Array.from(bytesOf(each)).buffer);
      expect([segment.getUint16(12), segment.getUint16(14), segment.getUint16(16)]).toEqual([0x8100, 9, 0x800]);
      expect(fold(sum32(segment, 18, 20))).toBe(0);
      const len = each.len - 38;
      expect(fold(sum32(segment, 30, 8) + IPPROTO_TCP + len + sum32(segment, 38, len))).toBe(0);
      lens.push(each.len);
    }
    expect(lens).toEqual([1058, 1058, 558]);
  });

  it('is taken out again as it was', () => {
    const { frame } = rig();
    for (const tci of [0x2005, 0x2005 | VLAN_TCI_8021AD]) {
      const skb = frame(tci);
      expect(vlanPushInside(skb)).toBe(true);
      skb.macHeader = skb.data;
      skb.data += 14;
      skb.len -= 14;
      expect(skbVlanUntag(skb)).toBe(true);
      expect([skb.vlanTci, skb.protocol, skb.len, skb.data - skb.macHeader]).toEqual([tci, ETH_P_IP, 46, 14]);
      expect([...skb.arena.bytes.subarray(skb.macHeader, skb.macHeader + 12)]).toEqual([
        1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16,
      ]);
    }
  });
});
