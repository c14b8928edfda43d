/** The bond's own carrier: there is one while any slave's link is up; 802.3ad asks its aggregator instead. */
import { netifCarrierOff, netifCarrierOk, netifCarrierOn } from '../../device/net_device.ts';
import { ad3SetCarrier } from './ad_carrier.ts';
import { BOND_LINK_UP, BOND_MODE_8023AD, type Bonding } from './bond.ts';

/** True: it has changed. (`bond_set_carrier`) */
export function bondSetCarrier(bond: Bonding): boolean {
  if (bond.slaves.length > 0 && bond.params.mode === BOND_MODE_8023AD) return ad3SetCarrier(bond);
  const on = bond.slaves.some((slave) => slave.link === BOND_LINK_UP);
  if (on === netifCarrierOk(bond.dev)) return false;
  if (on) netifCarrierOn(bond.dev);
  else netifCarrierOff(bond.dev);
  return true;
}
