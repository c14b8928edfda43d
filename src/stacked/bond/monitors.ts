/**
 * What runs by itself while a bond is open: each a work that arms itself again.
 *
 *     miiWork    every miimon ms         mii_monitor.ts        carriers, announcements
 *     arpWork    every arp_interval ms   arp_monitor.ts        probes
 *     adWork     every 100 ms            ad_3ad.ts             802.3ad's machines
 *     albWork    every 100 ms            alb.ts                learning packets, rebalancing
 *     mcastWork  200 ms apart            here                  RESEND_IGMP after a failover
 *
 * Answers to bond_work_init_all, bond_work_cancel_all and what bond_open queues.
 */
import { NetdevEvent } from '../../device/netdev_event.ts';
import { Work } from '../../machine/timer.ts';
import { ad3InitiateAggSelection, ad3StateMachineHandler } from './ad_3ad.ts';
import { AD_TICK_NS } from './ad_port.ts';
import { ad3LacpduRecv } from './ad_recv.ts';
import { bondAlbMonitor } from './alb.ts';
import { bondArpMonitor, bondArpRcv } from './arp_monitor.ts';
import { BOND_MODE_8023AD, BOND_MODE_ALB, type Bonding, bondIsLb } from './bond.ts';
import { bondMiiMonitor } from './mii_monitor.ts';

const ALB_TICK_NS = 100_000_000;
const IGMP_RESEND_NS = 200_000_000;
const MS = 1e6;

/** The works of a new bond; none is armed. */
export function bondWorkInitAll(bond: Bonding): void {
  const { machine } = bond.net;
  bond.miiWork = new Work(machine, () => {
    bond.miiTickNs = machine.executive.now();
    bondMiiMonitor(bond);
    bondArmMiiMonitor(bond, bond.params.miimon * MS);
  });
  bond.arpWork = new Work(machine, () => {
    bondForgiveDelay(bond, machine.executive.now() - bond.arpDueNs);
    bondArpMonitor(bond);
    bondArmArpMonitor(bond, bond.params.arpInterval * MS);
  });
  bond.adWork = new Work(machine, () => {
    ad3StateMachineHandler(bond);
    bond.adWork!.schedule(AD_TICK_NS);
  });
  bond.albWork = new Work(machine, () => {
    bondAlbMonitor(bond);
    bond.albWork!.schedule(ALB_TICK_NS);
  });
  bond.mcastWork = new Work(machine, () => {
    bond.net.notify(NetdevEvent.RESEND_IGMP, bond.dev);
    if (--bond.igmpRetrans > 0) bond.mcastWork!.schedule(IGMP_RESEND_NS);
  });
}

/** What the bond's mode and options ask for starts at once. The bond is open. */
export function bondStartMonitors(bond: Bonding): void {
  const { mode, tlbDynamicLb } = bond.params;
  if (bondIsLb(bond) && (tlbDynamicLb || mode === BOND_MODE_ALB)) bond.albWork?.schedule();
  bondArmMiiMonitor(bond, 0);
  if (bond.params.arpInterval > 0) {
    bondArmArpMonitor(bond, 0);
    bond.recvProbe = bondArpRcv;
  }
  if (mode !== BOND_MODE_8023AD) return;
  bond.adWork?.schedule();
  bond.recvProbe = ad3LacpduRecv;
  ad3InitiateAggSelection(bond, 1);
}

/**
 * The thread was held for so long: neither did we ask, nor hear what was answered, and no slave is to blame for it. Less than half
 * an interval is within the monitor's own grace.
 */
function bondForgiveDelay(bond: Bonding, heldNs: number): void {
  if (heldNs < (bond.params.arpInterval * MS) / 2) return;
  for (const slave of bond.slaves) {
    slave.lastTxNs += heldNs;
    slave.lastRxNs += heldNs;
    for (let i = 0; i < slave.targetLastArpRxNs.length; i++) slave.targetLastArpRxNs[i]! += heldNs;
  }
}

/** In `delayNs`, if there is a miimon. */
export function bondArmMiiMonitor(bond: Bonding, delayNs: number): void {
  if (bond.params.miimon > 0) bond.miiWork?.schedule(delayNs);
}

/** In `delayNs`, if there is an arp_interval. */
export function bondArmArpMonitor(bond: Bonding, delayNs: number): void {
  if (bond.params.arpInterval === 0) return;
  bond.arpDueNs = bond.net.machine.executive.now() + delayNs;
  bond.arpWork?.schedule(delayNs);
}

/** Nothing runs any more. */
export function bondWorkCancelAll(bond: Bonding): void {
  for (const work of [bond.miiWork, bond.arpWork, bond.adWork, bond.albWork, bond.mcastWork]) work?.cancel();
}
