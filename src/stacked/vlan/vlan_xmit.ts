// hot
/**
 * Frames of VLAN devices, both ways. The tag stands beside the frame (`vlanTci`); the stack puts it in where the real device cannot.
 *
 *     down   vlan0.startXmit --> tag beside the frame, skb.dev = the real device --> its queue, or its netpoll
 *     up     frame with a tag on the real device --> vlanDoReceive --> the VLAN device, without the tag: another round
 *
 * Answers to vlan_dev_hard_start_xmit, vlan_do_receive.
 */
import { NET_XMIT_CN, NET_XMIT_DROP, NET_XMIT_SUCCESS } from '../../base/status.ts';
import {
  devOf,
  IFF_UP,
  type NetDevice,
  STAT_MULTICAST,
  STAT_RX_BYTES,
  STAT_RX_DROPPED,
  STAT_RX_PACKETS,
  STAT_TX_BYTES,
  STAT_TX_DROPPED,
  STAT_TX_PACKETS,
} from '../../device/net_device.ts';
import { netpollSendSkb, netpollTxRunning } from '../../netpoll/send.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, type SkBuff } from '../../skb/sk_buff.ts';
import { VLAN_TCI_8021AD } from '../../skb/vlan_tag.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { macEquals } from '../../wire/eth.ts';
import { VLAN_VID_MASK } from '../../wire/vlan.ts';
import { type VlanDev, vlanFindDev } from './vlan_dev.ts';

const PRIORITY_SHIFT = 13;

/** The VLAN device's startXmit; consumes the frame. */
export function vlanDevHardStartXmit(skb: SkBuff, dev: NetDevice): number {
  const vlan = dev.priv as VlanDev;
  const { len } = skb;
  skb.vlanTci = vlan.tci;
  skb.dev = vlan.realDev;
  let status: number;
  if (!netpollTxRunning(dev)) {
    status = devQueueXmit(skb);
  } else if (vlan.np !== null) {
    status = netpollSendSkb(vlan.np, skb);
  } else {
    skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
    status = NET_XMIT_DROP;
  }
  if (status === NET_XMIT_SUCCESS || status === NET_XMIT_CN) {
    dev.stats.add(STAT_TX_PACKETS);
    dev.stats.add(STAT_TX_BYTES, len);
  } else {
    dev.stats.add(STAT_TX_DROPPED);
  }
  return status;
}

/** `net.vlanReceive`: the frame has a tag, `data` is behind the Ethernet header. */
export function vlanDoReceive(skb: SkBuff): 'another' | 'consumed' | 'none' {
  const dev = vlanFindDev(devOf(skb), skb.vlanTci & (VLAN_VID_MASK | VLAN_TCI_8021AD));
  if (dev === null) return 'none';
  if ((dev.flags & IFF_UP) === 0) {
    dev.stats.add(STAT_RX_DROPPED);
    skb.pool.kfree(skb, DropReason.DEV_READY);
    return 'consumed';
  }
  // To another address than the real device's: it may be this one's own.
  if (skb.pktType === PACKET_OTHERHOST && macEquals(skb.arena.bytes, skb.macHeader, dev.devAddr)) {
    skb.pktType = PACKET_HOST;
  }
  skb.dev = dev;
  skb.priority = (skb.vlanTci & 0xffff) >>> PRIORITY_SHIFT;
  skb.vlanTci = -1;
  dev.stats.add(STAT_RX_PACKETS);
  dev.stats.add(STAT_RX_BYTES, skb.len);
  if (skb.pktType === PACKET_MULTICAST) dev.stats.add(STAT_MULTICAST);
  return 'another';
}
