/**
 * For tests: frames through receive offload, and what comes out as a packet socket with PACKET_VNET_HDR shows it.
 */
import { testNet } from '../device/device.fixture.ts';
import { allocEtherdev, ethTypeTrans } from '../device/eth.ts';
import { NAPI_POLL_WEIGHT } from '../device/napi_struct.ts';
import type { NetDevice } from '../device/net_device.ts';
import { createArena } from '../skb/arena.ts';
import { CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import { skbAddFrag, skbWalk } from '../skb/frags.ts';
import { SkbPool } from '../skb/pool.ts';
import { SKB_GSO_TCP_ECN, SKB_GSO_TCPV4, SKB_GSO_TCPV6, SKB_GSO_UDP_L4 } from '../skb/shared_info.ts';
import { type SkBuff, skbPut, skbReserve } from '../skb/sk_buff.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_TCP, writeIpv4 } from '../wire/ipv4.ts';
import { setTcpChecksum } from '../wire/tcp.ts';
import { ETH_P_8021AD } from '../wire/vlan.ts';
import { Gro, type GroResult, groFlush, groReceive } from './gro.ts';
import { GroCb } from './gro_cb.ts';

/** A frame with its virtio-net header: the fields that the recordings have. */
export interface SuperFrame {
  readonly flags: number;
  readonly gso_type: number;
  readonly gso_size: number;
  readonly hdr_len: number;
  readonly csum_start: number;
  readonly csum_off: number;
  readonly len: number;
  readonly hex: string;
}

const POOL = 512;
/** A TAP device keeps this much of a frame in its head buffer if the frame does not fit into a page. */
const TAP_LINEAR = 3712;
const PAGE = 4096;
const HEADROOM = 64;

export class GroRig {
  readonly dev: NetDevice;
  readonly pool: SkbPool;
  readonly gro: Gro;
  readonly delivered: SkBuff[] = [];

  constructor(features: number) {
    const { net, machine } = testNet();
    this.dev = allocEtherdev(net, { ops: { open: () => 0, startXmit: () => 0 } });
    this.dev.devAddr.set([0x52, 0, 0, 0, 0, 2]);
    this.dev.features = features;
    this.pool = new SkbPool(createArena(2 * POOL, 16384), POOL);
    this.gro = new Gro(machine, new GroCb(POOL), (skb) => this.delivered.push(skb));
  }

  /** A received frame, after eth_type_trans. Long ones have fragments, as from a TAP device. */
  frame(bytes: Uint8Array): SkBuff {
    const skb = this.pool.alloc(16384);
    if (skb === null) throw new Error('no memory for a test frame');
    skbReserve(skb, HEADROOM);
    const linear = bytes.length + HEADROOM < PAGE ? bytes.length : TAP_LINEAR;
    this.pool.arena.bytes.set(bytes.slice(0, linear), skbPut(skb, linear));
    if (linear < bytes.length) {
      const buf = this.pool.arena.alloc();
      const at = this.pool.arena.start(buf);
      this.pool.arena.bytes.set(bytes.slice(linear), at);
      skbAddFrag(skb, buf, at, bytes.length - linear);
    }
    skb.protocol = ethTypeTrans(skb, this.dev);
    return skb;
  }

  receive(bytes: Uint8Array): GroResult {
    return groReceive(this.gro, this.frame(bytes));
  }

  /** Polls of 64 frames, until there are none: what went up, freed. */
  poll(frames: readonly Uint8Array[]): SuperFrame[] {
    const seen: SuperFrame[] = [];
    for (let at = 0; at < frames.length; at += NAPI_POLL_WEIGHT) {
      for (const each of frames.slice(at, at + NAPI_POLL_WEIGHT)) this.receive(each);
      seen.push(...this.flush());
    }
    return seen;
  }

  flush(): SuperFrame[] {
    groFlush(this.gro, false);
    const delivered = this.delivered.splice(0);
    const seen = packetSocketOrder(delivered).map(superFrame);
    for (const skb of delivered) this.pool.consume(skb);
    return seen;
  }
}

/**
 * The kernel sends frames up in lists, as soon as 8 segments are together. Within a list a packet socket sees a frame that
 * a protocol wants, or that has a tag, at once; but frames that only it wants when the list turns to a frame for a protocol.
 * Receive offload has no part in that.
 */
function packetSocketOrder(delivered: readonly SkBuff[]): SkBuff[] {
  const seen: SkBuff[] = [];
  let only: SkBuff[] = [];
  let segments = 0;
  for (const skb of delivered) {
    const tagged = isTagged(skb);
    const type = tagged ? skb.arena.view.getUint16(skb.data + 2) : skb.protocol;
    const wanted = type === ETH_P_IP || type === ETH_P_IPV6 || type === ETH_P_ARP;
    if (tagged || wanted) seen.push(skb);
    else only.push(skb);
    segments += skb.pool.info.gsoSegs[skb.shinfo] || 1;
    if (!wanted && segments < 8) continue;
    seen.push(...only);
    only = [];
    if (segments >= 8) segments = 0;
  }
  return seen.concat(only);
}

function isTagged(skb: SkBuff): boolean {
  return (skb.protocol === ETH_P_8021Q || skb.protocol === ETH_P_8021AD) && skb.len >= 4;
}

/** As a packet socket sees it: behind __netif_receive_skb, which takes a VLAN tag out of the frame. */
export function superFrame(skb: SkBuff): SuperFrame {
  const { info } = skb.pool;
  const gsoType = info.gsoType[skb.shinfo]!;
  const gso = info.gsoSize[skb.shinfo] !== 0;
  const start = isTagged(skb) ? 4 : 0;
  const bytes = new Uint8Array(skb.len - start);
  skbWalk(skb, start, skb.len - start, (offset, n, at) => {
    bytes.set(skb.arena.bytes.slice(offset, offset + n), at - start);
  });
  const mac = Buffer.from(skb.arena.bytes.slice(skb.macHeader, skb.macHeader + 14));
  if (start > 0) mac.writeUInt16BE(skb.arena.view.getUint16(skb.data + 2), 12);
  const partial = skb.ipSummed === CHECKSUM_PARTIAL;
  let type = 0;
  if (gso && (gsoType & SKB_GSO_TCPV4) !== 0) type = 1;
  else if (gso && (gsoType & SKB_GSO_TCPV6) !== 0) type = 4;
  else if (gso && (gsoType & SKB_GSO_UDP_L4) !== 0) type = 5;
  if ((gsoType & SKB_GSO_TCP_ECN) !== 0) type |= 0x80;
  return {
    flags: partial ? 1 : skb.ipSummed === CHECKSUM_UNNECESSARY ? 2 : 0,
    gso_type: type,
    gso_size: info.gsoSize[skb.shinfo]!,
    hdr_len: gso ? 14 + skb.len - skb.dataLen - start : 0,
    csum_start: partial ? 14 + skb.csumStart - skb.data - start : 0,
    csum_off: partial ? skb.csumOffset : 0,
    len: 14 + bytes.length,
    hex: mac.toString('hex') + Buffer.from(bytes).toString('hex'),
  };
}

/** A segment of one TCP stream over IPv4: `len` bytes of payload from `seq` on. */
export function tcpFrame(seq: number, len: number, sourcePort = 1500, ipId = 0): Uint8Array {
  const bytes = new Uint8Array(54 + len).fill(0x61);
  const view = new DataView(bytes.buffer);
  bytes.set([0x52, 0, 0, 0, 0, 2, 0x52, 0, 0, 0, 0, 1, 8, 0]);
  writeIpv4(view, 14, ipId, IPPROTO_TCP, 0x0a000101, 0x0a000102, 20 + len);
  view.setUint32(34, (sourcePort << 16) | 8000);
  view.setUint32(38, seq);
  view.setUint32(42, 100);
  view.setUint32(46, 0x5010ffff);
  view.setUint32(50, 0);
  setTcpChecksum(view, 34, fold(sum32(view, 26, 8) + IPPROTO_TCP + 20 + len + sum32(view, 34, 20 + len)));
  return bytes;
}

/** `count` segments of `len` bytes in order, their identifications counting up. */
export function tcpTrain(count: number, len: number, sourcePort = 1500): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => tcpFrame(1000 + i * len, len, sourcePort, i));
}
