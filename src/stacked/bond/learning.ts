/**
 * Learning packets: what a slave sends so that the switch knows on which port an address is.
 *
 *     dest = source = the address | 0x9000 | zeros to 60 bytes         untagged, and one for each VLAN device directly on the bond
 *
 * Answers to alb_send_learning_packets.
 */
import { NET_ADDR_STOLEN } from '../../device/net_device.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { vlanInsertTag } from '../../skb/vlan_tag.ts';
import { ETH_HLEN, ETH_ZLEN, writeEth } from '../../wire/eth.ts';
import { type VlanDev, vlanDevPriv } from '../vlan/vlan_dev.ts';
import type { Slave } from './bond.ts';
import { bondDevQueueXmit } from './dev_queue_xmit.ts';

/** The configuration test protocol of Ethernet II: ignored by everybody. */
export const ETH_P_LOOPBACK = 0x9000;
const TC_PRIO_CONTROL = 7;

/** Sends from `mac` (6 bytes) by the slave, and from the address of each VLAN device that has one of its own. */
export function albSendLearningPackets(slave: Slave, mac: Uint8Array): void {
  send(slave, mac, null);
  for (const upper of slave.bond.dev.upper) {
    const vlan = vlanDevPriv(upper);
    if (vlan !== null) send(slave, upper.addrAssignType === NET_ADDR_STOLEN ? mac : upper.devAddr, vlan);
  }
}

/** (`alb_send_lp_vid`) */
function send(slave: Slave, mac: Uint8Array, vlan: VlanDev | null): void {
  const { dev } = slave;
  const skb = dev.net.machine.skbs.allocForDevice(dev, ETH_ZLEN);
  if (skb === null) return;
  const at = skbPut(skb, ETH_ZLEN);
  skb.arena.bytes.fill(0, at, at + ETH_ZLEN);
  writeEth(skb.arena.view, at, mac, mac, ETH_P_LOOPBACK);
  skb.macHeader = at;
  skb.networkHeader = at + ETH_HLEN;
  skb.protocol = ETH_P_LOOPBACK;
  skb.priority = TC_PRIO_CONTROL;
  if (vlan !== null && !vlanInsertTag(skb, vlan.protocol, vlan.vlanId)) {
    skb.pool.kfree(skb, DropReason.NOMEM);
    return;
  }
  bondDevQueueXmit(slave.bond, skb, dev);
}
