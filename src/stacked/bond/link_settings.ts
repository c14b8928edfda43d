/** What the monitor asks a slave's device: is there a link, how fast is it? */
import { type NetDevice, netifCarrierOk, netifRunning } from '../../device/net_device.ts';
import {
  BOND_MODE_8023AD,
  type Bonding,
  bondIsLb,
  DUPLEX_FULL,
  DUPLEX_HALF,
  DUPLEX_UNKNOWN,
  type Slave,
  SPEED_UNKNOWN,
} from './bond.ts';

/** The device runs and has a carrier, which a driver that nobody tells looks at now. (`bond_check_dev_link`, with use_carrier) */
export function bondCheckDevLink(dev: NetDevice): boolean {
  if (!netifRunning(dev)) return false;
  dev.ops.link?.(dev);
  return netifCarrierOk(dev);
}

/** Reads speed and duplex into the slave; false if the device does not say both. (`bond_update_speed_duplex`) */
export function bondUpdateSpeedDuplex(slave: Slave): boolean {
  slave.speed = SPEED_UNKNOWN;
  slave.duplex = DUPLEX_UNKNOWN;
  const settings = slave.dev.ethtoolOps?.getLinkKsettings?.(slave.dev);
  if (settings === undefined || settings.speed <= 0) return false;
  if (settings.duplex === 'unknown') return false;
  slave.speed = settings.speed;
  slave.duplex = settings.duplex === 'full' ? DUPLEX_FULL : DUPLEX_HALF;
  return true;
}

/** The mode chooses by speed: a slave that does not say how fast it is stays down. (`bond_needs_speed_duplex`) */
export function bondNeedsSpeedDuplex(bond: Bonding): boolean {
  return bond.params.mode === BOND_MODE_8023AD || bondIsLb(bond);
}
