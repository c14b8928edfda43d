// hot
/**
 * UDP datagrams of equal length become one (udp_gro_receive). A receiver could no longer tell where one ended, so this is
 * done only if the device was told to: to forward them (GRO_UDP_FWD), or as a list that keeps them whole (GRO_FRAGLIST).
 *
 * A shorter datagram is the last one that is merged; a longer one begins anew; 64 are enough.
 */
import { NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { devOf } from '../device/net_device.ts';
import { pskbPull } from '../skb/frags.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { IPPROTO_UDP } from '../wire/ipv4.ts';
import { UDP_HLEN, udpChecksum, udpLen } from '../wire/udp.ts';
import type { GroBucket, GroCb } from './gro_cb.ts';
import { groCsumPull, groCsumValidate, pseudoSum } from './gro_checksum.ts';
import { skbGroReceive, skbGroReceiveList } from './gro_merge.ts';
import { groNetworkFlush } from './gro_same.ts';

/** Datagrams in one. (`UDP_GRO_CNT_MAX`) */
const UDP_GRO_CNT_MAX = 64;

/** `skb` is read up to its UDP header. Returns the held frame that is to be completed, or null. */
export function udpGroReceive(cb: GroCb, bucket: GroBucket, skb: SkBuff): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const off = cb.offset[id]!;
  if (!pskbPull(skb, off + UDP_HLEN)) return refuse(cb, id);
  const uh = skb.data + off;
  if (cb.flush[id] === 0) {
    const pseudo = pseudoSum(view, skb.data + cb.innermost(id), IPPROTO_UDP, skb.len - off);
    // A wrong checksum. None at all counts as right here; who receives over IPv6 refuses it.
    if (!groCsumValidate(cb, skb, pseudo, udpChecksum(view, uh) === 0)) return refuse(cb, id);
  }
  const { features, rxTrap } = devOf(skb);
  // Netpoll hands its clients datagrams as they were sent. (`netpoll_rx_on`)
  if (rxTrap !== null) return refuse(cb, id);
  if ((features & NETIF_F_GRO_FRAGLIST) !== 0) cb.isFlist[id] = 1;
  // Nobody asked for it.
  else if ((features & NETIF_F_GRO_UDP_FWD) === 0) return refuse(cb, id);
  // Without a checksum it could not be cut again as it was.
  if (udpChecksum(view, uh) === 0) return refuse(cb, id);
  const len = udpLen(view, uh);
  // Empty, padded, or lying about its length.
  if (len <= UDP_HLEN || len !== skb.len - off) return refuse(cb, id);
  cb.offset[id] = off + UDP_HLEN;
  return receive(cb, bucket, skb, uh, len);
}

function refuse(cb: GroCb, id: number): null {
  cb.flush[id] = 1;
  return null;
}

function receive(cb: GroCb, bucket: GroBucket, skb: SkBuff, uh: number, len: number): SkBuff | null {
  const { id } = skb;
  const { view } = skb.arena;
  const ports = view.getUint32(uh);
  for (let i = bucket.count - 1; i >= 0; i--) {
    const p = bucket.held[i]!;
    if (cb.sameFlow[p.id] === 0) continue;
    const held = p.transportHeader;
    if (view.getUint32(held) !== ports) {
      cb.sameFlow[p.id] = 0;
      continue;
    }
    // The device's features changed in between.
    if (cb.isFlist[id] !== cb.isFlist[p.id]) {
      cb.flush[id] = 1;
      return p;
    }
    const heldLen = udpLen(view, held);
    // Other network headers, or longer than the first: the held one ends, this one begins.
    if (groNetworkFlush(cb, p, skb) || len > heldLen) return p;
    let merged: boolean;
    if (cb.isFlist[id] !== 0) {
      // Checked by different means: they could not say so as one.
      if (skb.ipSummed !== p.ipSummed || skb.csumLevel !== p.csumLevel) return refuse(cb, id);
      merged = skbGroReceiveList(cb, p, skb);
    } else {
      groCsumPull(cb, skb, uh, UDP_HLEN);
      merged = skbGroReceive(cb, p, skb);
    }
    return !merged || len !== heldLen || cb.count[p.id]! >= UDP_GRO_CNT_MAX ? p : null;
  }
  return null;
}
