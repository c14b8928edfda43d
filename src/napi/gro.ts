// hot
/**
 * Generic receive offload: segments of one flow that arrive within one poll go up as one frame.
 *
 *     driver --napiGroReceive--> bucket of its hash: 8 frames held at most
 *                                  | same flow, next bytes: MERGED into the held frame
 *                                  | first of its flow: HELD (the bucket is full: its oldest is completed)
 *                                  ` anything else: NORMAL, up at once
 *            flush (the poll is over), or an end of the flow --> completed --> deliver
 *
 *  1. Which held frames may be of the same flow: same hash, device, VLAN tag and Ethernet header.
 *  2. The protocols compare their headers, network first (gro_network.ts), then gro_tcp.ts, gro_udp.ts.
 *  3. They name a held frame that has to go: it is completed (gro_complete.ts) and delivered.
 *
 * A frame that cannot be merged is delivered before those that are held: it overtakes them, as in the kernel.
 * Hash 0 is a hash too: without a device that computes one, all flows share the first bucket. Answers to dev_gro_receive.
 */
import { NETIF_F_GRO, NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import type { NapiStruct } from '../device/napi_struct.ts';
import { devOf } from '../device/net_device.ts';
import type { Machine } from '../machine/machine.ts';
import { SKB_GSO_DODGY, SKB_GSO_TCPV4, SKB_GSO_TCPV6 } from '../skb/shared_info.ts';
import { type SkBuff, skbCloned } from '../skb/sk_buff.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { GRO_HASH_BUCKETS, GroBucket, type GroCb, MAX_GRO_SKBS } from './gro_cb.ts';
import { groCsumStart } from './gro_checksum.ts';
import { groComplete } from './gro_complete.ts';
import { groPassDatagram } from './gro_datagram.ts';
import { groKnowsType, typeGroReceive } from './gro_network.ts';

/** What became of a frame (`gro_result_t`). */
export const GRO_MERGED = 0;
/** Merged, and its object is free again. */
export const GRO_MERGED_FREE = 1;
/** The first of a flow: it waits for others. */
export const GRO_HELD = 2;
/** Delivered as it is. */
export const GRO_NORMAL = 3;
export type GroResult = typeof GRO_MERGED | typeof GRO_MERGED_FREE | typeof GRO_HELD | typeof GRO_NORMAL;

/** Receive offload of one instance. */
export class Gro {
  readonly machine: Machine;
  readonly cb: GroCb;
  readonly buckets: readonly GroBucket[];
  /** Takes frames, in the order in which they go up. */
  readonly deliver: (skb: SkBuff) => void;
  /** Frames held now, in all buckets. */
  held = 0;

  constructor(machine: Machine, cb: GroCb, deliver: (skb: SkBuff) => void) {
    this.machine = machine;
    this.cb = cb;
    this.buckets = Array.from({ length: GRO_HASH_BUCKETS }, () => new GroBucket());
    this.deliver = deliver;
  }
}

/** Takes a frame from a driver's poll; it is consumed, held, or delivered. (`napi_gro_receive`) */
export function napiGroReceive(napi: NapiStruct, skb: SkBuff): GroResult {
  return groReceive(napi.gro as Gro, skb);
}

/** As napiGroReceive. */
export function groReceive(gro: Gro, skb: SkBuff): GroResult {
  const { cb } = gro;
  const { id } = skb;
  const { info } = skb.pool;
  // Offload is off, nobody knows the protocol, or the headers are not ours to write.
  const { features } = devOf(skb);
  if ((features & NETIF_F_GRO) === 0 || !groKnowsType(skb.protocol) || skbCloned(skb)) {
    gro.deliver(skb);
    return GRO_NORMAL;
  }
  // Nobody asked for datagrams to be merged: none is held that this one could end.
  if ((features & (NETIF_F_GRO_UDP_FWD | NETIF_F_GRO_FRAGLIST)) === 0 && groPassDatagram(skb)) {
    gro.deliver(skb);
    return GRO_NORMAL;
  }
  const bucket = gro.buckets[skb.hash & (GRO_HASH_BUCKETS - 1)]!;
  prepare(cb, bucket, skb);
  cb.start(id);
  // What is a chain already cannot be appended.
  if (info.fragList(skb.shinfo) !== null) cb.flush[id] = 1;
  const gso = info.gsoSize[skb.shinfo] !== 0;
  if (gso) {
    const type = info.gsoType[skb.shinfo]!;
    cb.count[id] = info.gsoSegs[skb.shinfo]!;
    // Made of several already: only TCP, and only from who is trusted.
    if ((type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)) === 0 || (type & SKB_GSO_DODGY) !== 0) cb.flush[id] = 1;
  }
  groCsumStart(cb, skb);
  const done = typeGroReceive(cb, bucket, skb, skb.protocol);
  if (done !== null) {
    bucket.remove(done);
    complete(gro, done);
  }
  if (cb.sameFlow[id] !== 0) {
    if (cb.free[id] === 0) return GRO_MERGED;
    skb.pool.consume(skb);
    return GRO_MERGED_FREE;
  }
  if (cb.flush[id] !== 0) {
    gro.deliver(skb);
    return GRO_NORMAL;
  }
  if (bucket.count === MAX_GRO_SKBS) complete(gro, bucket.take(0));
  cb.age[id] = gro.machine.jiffies;
  cb.last[id] = skb;
  if (!gso) info.gsoSize[skb.shinfo] = skb.len - cb.offset[id]!;
  bucket.add(skb);
  gro.held++;
  return GRO_HELD;
}

/**
 * Delivers what is held, a bucket after the other, in each the oldest first; with `flushOld` only what has been held since
 * before this jiffy. (`napi_gro_flush`)
 */
export function groFlush(gro: Gro, flushOld: boolean): void {
  if (gro.held === 0) return;
  const now = flushOld ? gro.machine.jiffies : 0;
  for (let b = 0; b < GRO_HASH_BUCKETS; b++) {
    const bucket = gro.buckets[b]!;
    while (bucket.count > 0) {
      if (flushOld && gro.cb.age[bucket.held[0]!.id] === now) break;
      complete(gro, bucket.take(0));
    }
  }
}

/** `skb` is in no bucket any more. */
function complete(gro: Gro, skb: SkBuff): void {
  gro.held--;
  groComplete(gro.cb, skb);
  gro.deliver(skb);
}

/** Marks the held frames that may be of the same flow. (`gro_list_prepare`) */
function prepare(cb: GroCb, bucket: GroBucket, skb: SkBuff): void {
  const { bytes } = skb.arena;
  for (let i = 0; i < bucket.count; i++) {
    const p = bucket.held[i]!;
    let same = p.hash === skb.hash && p.dev === skb.dev && p.vlanTci === skb.vlanTci ? 1 : 0;
    for (let at = 0; same === 1 && at < ETH_HLEN; at++) {
      if (bytes[p.macHeader + at] !== bytes[skb.macHeader + at]) same = 0;
    }
    cb.sameFlow[p.id] = same;
  }
}
