import { describe, expect, test } from 'vitest';
import { NETDEV_TX_OK } from '../base/status.ts';
import { testDevice, testNet } from '../device/device.fixture.ts';
import {
  NETIF_F_FRAGLIST,
  NETIF_F_GSO_PARTIAL,
  NETIF_F_GSO_ROBUST,
  NETIF_F_HW_CSUM,
  NETIF_F_IP_CSUM,
  NETIF_F_SG,
  NETIF_F_TSO,
  NETIF_F_TSO_ECN,
  NETIF_F_TSO_MANGLEID,
} from '../device/features.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import { skbAddFragList } from '../skb/frags.ts';
import {
  SKB_GSO_DODGY,
  SKB_GSO_FRAGLIST,
  SKB_GSO_GRE_CSUM,
  SKB_GSO_IPXIP4,
  SKB_GSO_TCP_ECN,
  SKB_GSO_TCP_FIXEDID,
  SKB_GSO_TCPV4,
  SKB_GSO_UDP_L4,
} from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { checksum, fold, sum32 } from '../wire/checksum.ts';
import { ETH_P_IP } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { skbChecksumHelp } from './checksum_help.ts';
import { devQueueXmit } from './dev_queue_xmit.ts';
import { freeSegments } from './gso_segment.ts';
import { netInit } from './net_init.ts';
import { bytesOf, frameOf, type Layout } from './super_frame.fixture.ts';
import { validateXmitSkb } from './validate_xmit.ts';

const IP = 14;
const TCP = 34;
const PAYLOAD = 54;

function rig(features = 0) {
  const made = testNet({ skbs: 256 });
  netInit(made.net);
  const sent: SkBuff[] = [];
  const startXmit = (skb: SkBuff) => {
    sent.push(skb);
    return NETDEV_TX_OK;
  };
  const dev = testDevice(made.net, { startXmit });
  dev.features = features;
  const pool = made.machine.skbs;
  /** `len` bytes of TCP payload in segments of `mss`. */
  const tcp = (len: number, mss: number, kind = SKB_GSO_TCPV4, flags = 0x10, layout: Layout = 'frags') => {
    const bytes = new Uint8Array(PAYLOAD + len).map((_, i) => i);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, ETH_P_IP);
    writeIpv4(view, IP, 0xfffe, IPPROTO_TCP, 0x0a000001, 0x0a000002, 20 + len);
    view.setUint16(IP + 6, 0x4000);
    view.setUint32(TCP + 4, 0xffffff00);
    view.setUint8(TCP + 12, 0x50);
    view.setUint8(TCP + 13, flags);
    view.setUint16(TCP + 16, ~fold(sum32(view, IP + 12, 8) + IPPROTO_TCP + 20 + len) & 0xffff);
    const skb = frameOf(pool, bytes, layout, PAYLOAD, 1000);
    skb.dev = dev;
    skb.protocol = ETH_P_IP;
    skb.networkHeader = skb.data + IP;
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = skb.data + TCP;
    skb.csumOffset = 16;
    pool.info.gsoSize[skb.shinfo] = mss;
    pool.info.gsoSegs[skb.shinfo] = Math.ceil(len / mss);
    pool.info.gsoType[skb.shinfo] = kind;
    return skb;
  };
  const freed = () => expect([pool.inUse, made.machine.arena.available]).toEqual([0, 128]);
  return { ...made, dev, pool, tcp, sent, freed };
}

function row(first: SkBuff | null): SkBuff[] {
  const all: SkBuff[] = [];
  for (let each = first; each !== null; each = each.next) all.push(each);
  return all;
}

describe('validate_xmit_skb', () => {
  test('gives a device that cuts the super-frame as it is', () => {
    const r = rig(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO);
    const skb = r.tcp(3000, 1000);
    expect(validateXmitSkb(skb)).toBe(skb);
    r.pool.consume(skb);
    r.freed();
  });

  test('cuts for a device that lacks one of the kinds: ECN, or a fixed identification', () => {
    const capable = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO;
    for (const [kind, feature] of [
      [SKB_GSO_TCP_ECN, NETIF_F_TSO_ECN],
      [SKB_GSO_TCP_FIXEDID, NETIF_F_TSO_MANGLEID],
    ] as const) {
      for (const features of [capable, capable | feature]) {
        const r = rig(features);
        const first = validateXmitSkb(r.tcp(3000, 1000, SKB_GSO_TCPV4 | kind));
        expect(row(first).length).toBe(features === capable ? 3 : 1);
        freeSegments(first);
        r.freed();
      }
    }
  });

  test('counts segments of an untrusted super-frame before a device gets it that cuts but does not check', () => {
    const r = rig(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO);
    const skb = r.tcp(2500, 1000, SKB_GSO_TCPV4 | SKB_GSO_DODGY);
    r.pool.info.gsoSegs[skb.shinfo] = 0;
    expect(validateXmitSkb(skb)).toBe(skb);
    expect(r.pool.info.gsoSegs[skb.shinfo]).toBe(3);
    expect(skb.data).toBe(skb.csumStart - TCP);
    r.dev.features |= NETIF_F_GSO_ROBUST;
    r.pool.info.gsoSegs[skb.shinfo] = 0;
    expect(validateXmitSkb(skb)).toBe(skb);
    expect(r.pool.info.gsoSegs[skb.shinfo]).toBe(0);
    r.pool.consume(skb);
    r.freed();
  });

  test('counts identifications up, over the end of 16 bits; leaves them alike where that was asked for', () => {
    for (const [kind, ids] of [
      [SKB_GSO_TCPV4, [0xfffe, 0xffff, 0]],
      [SKB_GSO_TCPV4 | SKB_GSO_TCP_FIXEDID, [0xfffe, 0xfffe, 0xfffe]],
    ] as const) {
      const r = rig();
      const all = row(validateXmitSkb(r.tcp(3000, 1000, kind)));
      expect(all.map((each) => each.arena.view.getUint16(each.data + IP + 4))).toEqual(ids);
      expect(all.map((each) => checksum(each.arena.view, each.data + IP, 20))).toEqual([0, 0, 0]);
      freeSegments(all[0]!);
      r.freed();
    }
  });

  test('puts CWR on the first segment, FIN and PSH on the last; sequence numbers wrap', () => {
    const r = rig();
    const all = row(validateXmitSkb(r.tcp(3000, 1000, SKB_GSO_TCPV4 | SKB_GSO_TCP_ECN, 0xd9)));
    expect(all.map((each) => each.arena.view.getUint8(each.data + TCP + 13))).toEqual([0xd0, 0x50, 0x59]);
    expect(all.map((each) => each.arena.view.getUint32(each.data + TCP + 4))).toEqual([0xffffff00, 744, 1744]);
    freeSegments(all[0]!);
    r.freed();
  });

  test('leaves a multiple of the segment size to a device that cuts partially', () => {
    const r = rig(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_GSO_PARTIAL);
    const all = row(validateXmitSkb(r.tcp(3500, 1000, SKB_GSO_TCPV4 | SKB_GSO_TCP_FIXEDID)));
    expect(all.map((each) => each.len - PAYLOAD)).toEqual([3000, 500]);
    const { info } = r.pool;
    expect(all.map((each) => [info.gsoSize[each.shinfo], info.gsoSegs[each.shinfo]])).toEqual([
      [1000, 3],
      [0, 0],
    ]);
    expect(all.map((each) => each.arena.view.getUint16(each.data + IP + 2))).toEqual([1040, 540]);
    freeSegments(all[0]!);
    r.freed();
  });

  test('refers to fragments with SG, copies without', () => {
    for (const features of [0, NETIF_F_SG | NETIF_F_HW_CSUM]) {
      const r = rig(features);
      const all = row(validateXmitSkb(r.tcp(3000, 1000)));
      expect(all.map((each) => each.dataLen)).toEqual(features === 0 ? [0, 0, 0] : [1000, 1000, 1000]);
      freeSegments(all[0]!);
      r.freed();
    }
  });

  test('drops and counts what cannot be cut', () => {
    const r = rig();
    expect(validateXmitSkb(r.tcp(500, 1000))).toBeNull();
    expect([r.dev.stats.get('tx_dropped'), r.pool.drops.get('TX_ERROR')]).toEqual([1, 1]);
    r.freed();
  });

  test('drops everything when memory ends in the middle, and leaves nothing over', () => {
    const r = rig();
    const skb = r.tcp(3000, 1000);
    const held = Array.from({ length: r.machine.arena.available - 2 }, () => r.machine.arena.alloc());
    expect(validateXmitSkb(skb)).toBeNull();
    for (const buf of held) r.machine.arena.release(buf);
    r.freed();
  });

  test('makes one piece of a frame for a device that does not gather', () => {
    for (const layout of ['frags', 'chain'] as const) {
      const r = rig();
      const skb = r.tcp(1200, 0, 0, 0x10, layout);
      skb.ipSummed = CHECKSUM_NONE;
      expect(validateXmitSkb(skb)).toBe(skb);
      expect([skb.dataLen, skb.len]).toEqual([0, PAYLOAD + 1200]);
      r.pool.consume(skb);
      r.freed();
    }
  });
});

describe('a tunnel', () => {
  /** The TCP frame of the rig inside of IPv4 (protocol 4), or of GRE with a checksum. */
  function tunnelled(r: ReturnType<typeof rig>, gre: boolean) {
    const plain = r.tcp(2500, 1000);
    const inner = bytesOf(plain).subarray(IP);
    r.pool.consume(plain);
    const extra = gre ? 28 : 20;
    const bytes = new Uint8Array(IP + extra + inner.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, ETH_P_IP);
    writeIpv4(view, IP, 100, gre ? 47 : 4, 0x0b000001, 0x0b000002, extra - 20 + inner.length);
    if (gre) view.setUint32(IP + 20, 0x80000800);
    bytes.set(inner, IP + extra);
    const skb = frameOf(r.pool, bytes, 'frags', 60, 1000);
    skb.dev = r.dev;
    skb.protocol = ETH_P_IP;
    skb.ipSummed = CHECKSUM_PARTIAL;
    skb.csumStart = skb.data + TCP + extra;
    skb.csumOffset = 16;
    r.pool.info.gsoSize[skb.shinfo] = 1000;
    r.pool.info.gsoSegs[skb.shinfo] = 3;
    r.pool.info.gsoType[skb.shinfo] = SKB_GSO_TCPV4 | (gre ? SKB_GSO_GRE_CSUM : SKB_GSO_IPXIP4);
    return skb;
  }

  test.each([false, true])('is cut in both headers, even for a device that cuts TCP; GRE: %s', (gre) => {
    const r = rig(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_TSO);
    const all = row(validateXmitSkb(tunnelled(r, gre)));
    const off = gre ? 28 : 20;
    expect(all.map((each) => each.len - PAYLOAD - off)).toEqual([1000, 1000, 500]);
    for (const [i, each] of all.entries()) {
      const { view } = each.arena;
      const [outer, ip, th] = [each.data + IP, each.data + IP + off, each.data + TCP + off];
      expect([view.getUint16(outer + 2), view.getUint16(ip + 2)]).toEqual([each.len - IP, each.len - IP - off]);
      expect([view.getUint16(outer + 4), view.getUint16(ip + 4)]).toEqual([100 + i, (0xfffe + i) & 0xffff]);
      expect([checksum(view, outer, 20), checksum(view, ip, 20)]).toEqual([0, 0]);
      const len = each.len - TCP - off;
      expect(fold(sum32(view, ip + 12, 8) + IPPROTO_TCP + len + sum32(view, th, len))).toBe(0);
      if (gre) expect(checksum(view, outer + 20, each.len - IP - 20)).toBe(0);
    }
    freeSegments(all[0]!);
    r.freed();
  });
});

describe('a chain of whole frames', () => {
  /** A head frame with its headers, and frames whose headers are in front of their data, as GRO chains them. */
  function chained(r: ReturnType<typeof rig>, source = 0x0a000001) {
    const one = (len: number, id: number, from: number) => {
      const bytes = new Uint8Array(42 + len).fill(id);
      const view = new DataView(bytes.buffer);
      view.setUint16(12, ETH_P_IP);
      writeIpv4(view, IP, id, IPPROTO_UDP, from, 0x0a000002, 8 + len);
      view.setUint16(TCP, 7);
      view.setUint16(TCP + 2, 9);
      view.setUint16(TCP + 4, 8 + len);
      view.setUint16(TCP + 6, 0);
      const sum = sum32(view, IP + 12, 8) + IPPROTO_UDP + 8 + len + sum32(view, TCP, 8 + len);
      view.setUint16(TCP + 6, fold(sum));
      const skb = frameOf(r.pool, bytes);
      skb.macHeader = skb.data;
      skb.networkHeader = skb.data + IP;
      return skb;
    };
    const head = one(100, 1, source);
    for (const [len, id] of [
      [100, 2],
      [60, 3],
    ] as const) {
      const each = one(len, id, 0x0a000001);
      each.data += 42;
      each.len -= 42;
      skbAddFragList(head, each);
    }
    head.dev = r.dev;
    head.protocol = ETH_P_IP;
    head.ipSummed = CHECKSUM_UNNECESSARY;
    r.pool.info.gsoSize[head.shinfo] = 100;
    r.pool.info.gsoSegs[head.shinfo] = 3;
    r.pool.info.gsoType[head.shinfo] = SKB_GSO_UDP_L4 | SKB_GSO_FRAGLIST;
    return head;
  }

  const udpOk = (each: SkBuff) =>
    fold(
      sum32(each.arena.view, each.data + IP + 12, 8) +
        IPPROTO_UDP +
        each.len -
        TCP +
        sum32(each.arena.view, each.data + TCP, each.len - TCP),
    );

  test('comes apart into the frames that it was made of', () => {
    const r = rig(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_FRAGLIST);
    const all = row(validateXmitSkb(chained(r)));
    expect(all.map((each) => [each.len, each.dataLen, udpOk(each)])).toEqual([
      [142, 0, 0],
      [142, 0, 0],
      [102, 0, 0],
    ]);
    expect(all.map((each) => bytesOf(each)[43]).slice(1)).toEqual([2, 3]);
    expect(all.map((each) => checksum(each.arena.view, each.data + IP, 20))).toEqual([0, 0, 0]);
    freeSegments(all[0]!);
    r.freed();
  });

  test('takes over an address that was changed in the head', () => {
    const r = rig();
    const all = row(validateXmitSkb(chained(r, 0x0a630001)));
    expect(all.map((each) => each.arena.view.getUint32(each.data + IP + 12))).toEqual([
      0x0a630001, 0x0a630001, 0x0a630001,
    ]);
    expect(all.map(udpOk)).toEqual([0, 0, 0]);
    freeSegments(all[0]!);
    r.freed();
  });
});

describe('skb_checksum_help', () => {
  test('fills in nothing that the device fills in, and what it does not', () => {
    for (const [features, offset, state] of [
      [NETIF_F_HW_CSUM, 3, CHECKSUM_PARTIAL],
      [NETIF_F_IP_CSUM, 16, CHECKSUM_PARTIAL],
      [NETIF_F_IP_CSUM, 6, CHECKSUM_PARTIAL],
      [NETIF_F_IP_CSUM, 4, CHECKSUM_NONE],
      [0, 16, CHECKSUM_NONE],
    ] as const) {
      const r = rig(features);
      const skb = r.tcp(100, 0, 0, 0x10, 'linear');
      skb.csumOffset = offset;
      expect(validateXmitSkb(skb)?.ipSummed).toBe(state);
      r.pool.consume(skb);
      r.freed();
    }
  });

  test('makes nothing of COMPLETE, refuses super-frames and fields that are not in the frame', () => {
    const r = rig();
    const skb = r.tcp(100, 1000, SKB_GSO_TCPV4, 0x10, 'linear');
    expect(skbChecksumHelp(skb)).toBe(-22);
    r.pool.info.gsoSize[skb.shinfo] = 0;
    skb.csumOffset = skb.len;
    expect(skbChecksumHelp(skb)).toBe(-22);
    skb.ipSummed = CHECKSUM_COMPLETE;
    expect([skbChecksumHelp(skb), skb.ipSummed]).toEqual([0, CHECKSUM_NONE]);
    r.pool.consume(skb);
    r.freed();
  });

  test('does not write into bytes that somebody else reads', () => {
    const r = rig();
    const skb = r.tcp(100, 0, 0, 0x10, 'linear');
    const other = r.pool.clone(skb)!;
    const before = bytesOf(other);
    expect(skbChecksumHelp(skb)).toBe(0);
    expect(bytesOf(other)).toEqual(before);
    expect(bytesOf(skb)).not.toEqual(before);
    r.pool.consume(skb);
    r.pool.consume(other);
    r.freed();
  });
});

describe('dev_queue_xmit', () => {
  test('gives the driver segments, in order, whole and freed once', () => {
    const r = rig();
    expect(devQueueXmit(r.tcp(4500, 1000))).toBe(0);
    r.machine.turn();
    expect(r.sent.map((each) => each.len - PAYLOAD)).toEqual([1000, 1000, 1000, 1000, 500]);
    for (const each of r.sent) r.pool.consume(each);
    r.freed();
  });
});
