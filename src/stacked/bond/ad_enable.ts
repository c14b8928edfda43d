/**
 * May the slave of a port carry traffic? The machines' only effect on the rest of the bond: who may send and receive.
 *
 *     disabled                receives nothing for the bond, sends nothing
 *     collecting only         receives (independent control: the partner does not take our frames yet)
 *     enabled                 both
 *
 * Whatever changes here changes what transmit chooses from; `arrayStale` has it built again at the end of the
 * tick (ad_3ad.ts).
 */
import { type AdPort, adOf, hasPartner } from './ad_port.ts';
import { BOND_LINK_UP, bondIsActiveSlave, bondSlaveIsUp } from './bond.ts';
import { bondSetBackupSlave, bondSetSlaveActiveFlags, bondSetSlaveInactiveFlags } from './slave_state.ts';

/** (`__enable_port`) */
export function adEnablePort(port: AdPort): void {
  const { slave } = port;
  if (slave.link === BOND_LINK_UP && bondSlaveIsUp(slave)) bondSetSlaveActiveFlags(slave);
}

/** (`__disable_port`) */
export function adDisablePort(port: AdPort): void {
  bondSetSlaveInactiveFlags(port.slave);
}

/** (`__port_is_enabled`) */
export function adPortIsEnabled(port: AdPort): boolean {
  return bondIsActiveSlave(port.slave);
}

/** The port may send and receive from now on, if its aggregator is the active one. (`ad_enable_collecting_distributing`) */
export function adEnableCollectingDistributing(port: AdPort): void {
  if (port.aggregator === null || !port.aggregator.isActive) return;
  adEnablePort(port);
  adOf(port).arrayStale = true;
  condSetPeerNotif(port);
}

/** With broadcast_neighbor the partners may be several switches, which learn of us by what we send. (`ad_cond_set_peer_notif`) */
function condSetPeerNotif({ slave: { bond } }: AdPort): void {
  const { broadcastNeigh, numPeerNotif, peerNotifDelay } = bond.params;
  if (broadcastNeigh) bond.sendPeerNotif = numPeerNotif * Math.max(1, peerNotifDelay);
}

/** The port may receive from now on, not send, if its aggregator is the active one. (`ad_enable_collecting`) */
export function adEnableCollecting(port: AdPort): void {
  if (port.aggregator === null || !port.aggregator.isActive) return;
  if (port.slave.link === BOND_LINK_UP && bondSlaveIsUp(port.slave)) port.slave.inactive = false;
}

/** The port may not send any more; it goes on receiving. (`ad_disable_distributing`) */
export function adDisableDistributing(port: AdPort): void {
  if (port.aggregator === null || !hasPartner(port.aggregator)) return;
  bondSetBackupSlave(port.slave);
  adOf(port).arrayStale = true;
}

/** Neither; a port that nobody answers stays as it is, so that the bond works without LACP. (`ad_disable_collecting_distributing`) */
export function adDisableCollectingDistributing(port: AdPort): void {
  if (port.aggregator === null || !hasPartner(port.aggregator)) return;
  adDisablePort(port);
  adOf(port).arrayStale = true;
}
