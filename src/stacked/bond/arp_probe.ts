/**
 * Probes of the ARP monitor: who has this target? Sent by one slave, for each target.
 *
 *     route to the target    by the bond itself: from its address
 *                            by a VLAN device above it: from that one's address, with its tag
 *                            by another device: not sent
 *                            none: sent without an address of ours, just to make traffic
 *
 * A target behind a gateway counts as without a route: who answers ARP is on the link. A bond without a stack (`bond.inet`) asks from
 * its own first address. Answers to bond_send_validate,
 * bond_arp_send_all, bond_ns_send_all.
 */
import type { NetDevice } from '../../device/net_device.ts';
import { Loglevel } from '../../machine/printk.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { type IpAddress, printIp } from '../../wire/address.ts';
import { ARPOP_REQUEST } from '../../wire/arp.ts';
import type { VlanDev } from '../vlan/vlan_dev.ts';
import { arpCreate, ndiscNsCreate } from './arp_frame.ts';
import { BOND_ARP_VALIDATE_NONE, type Bonding, type Slave } from './bond.ts';
import { bondDevQueueXmit } from './dev_queue_xmit.ts';
import { bondHandleVlan, bondVerifyDevicePath } from './device_path.ts';

const UNSPECIFIED = new Uint8Array(16);

/** Asks for every target by the slave. */
export function bondSendValidate(bond: Bonding, slave: Slave): void {
  for (const v4 of bond.params.arpTargets) probe(bond, slave, { family: 4, v4 });
  for (const v6 of bond.params.nsTargets) probe(bond, slave, { family: 6, v6 });
}

function probe(bond: Bonding, slave: Slave, target: IpAddress): void {
  const { inet, params, dev, net } = bond;
  if (inet === null) {
    const own = dev.addresses.find((each) => each.family === target.family) ?? null;
    send(slave, create(slave.dev, target, own), []);
    return;
  }
  const route = inet.routes.lookup(target);
  if (route === null || route.gateway !== null) {
    if (params.arpValidate !== BOND_ARP_VALIDATE_NONE) {
      const option = target.family === 4 ? 'arp_ip_target' : 'ns_ip6_target';
      const text = `${dev.name}: no route to ${option} ${printIp(target)} and arp_validate is set`;
      net.sayOnce(Loglevel.WARNING, text, `${option} without a route`);
    }
    send(slave, create(slave.dev, target, null), []);
    return;
  }
  const tags = bondVerifyDevicePath(dev, route.dev);
  if (tags !== null) send(slave, create(slave.dev, target, route.source), tags);
}

function create(dev: NetDevice, target: IpAddress, source: IpAddress | null): SkBuff | null {
  if (target.family === 6) return ndiscNsCreate(dev, target.v6, source?.family === 6 ? source.v6 : UNSPECIFIED);
  return arpCreate(dev, {
    op: ARPOP_REQUEST,
    sourceIp: source?.family === 4 ? source.v4 : 0,
    sourceMac: dev.devAddr,
    destIp: target.v4,
    targetMac: null,
    destMac: null,
  });
}

/** (`bond_arp_send`, `bond_ns_send`) */
function send(slave: Slave, skb: SkBuff | null, tags: readonly VlanDev[]): void {
  if (skb === null) return;
  if (!bondHandleVlan(skb, tags)) {
    skb.pool.kfree(skb, DropReason.NOMEM);
    return;
  }
  slave.lastTxNs = slave.dev.net.machine.executive.now();
  bondDevQueueXmit(slave.bond, skb, slave.dev);
}
