/**
 * Bringing a device up and down (`ip link set dev up`).
 *
 *     devOpen:  PRE_UP (may be vetoed) -> START -> driver's open -> IFF_UP -> receive mode -> qdisc -> UP
 *     devClose: GOING_DOWN -> START off -> qdisc off, what waits is dropped -> driver's stop -> IFF_UP off -> DOWN
 */
import { Errno } from '../base/status.ts';
import { isValidMac } from '../wire/eth.ts';
import { ARPHRD_ETHER, IFF_UP, LINK_STATE_START, type NetDevice, netifDevicePresent } from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';
import { devSetRxMode } from './rx_mode.ts';

export { devSetRxMode } from './rx_mode.ts';

/**
 * 0 (also if it is up), or the negative errno of who refused. What the driver's open throws (a Port's SetupError) passes
 * through; the device is down then. (`dev_open`)
 */
export function devOpen(dev: NetDevice): number {
  if ((dev.flags & IFF_UP) !== 0) return 0;
  if (!netifDevicePresent(dev)) return -Errno.ENODEV;
  const verdict = dev.net.notify(NetdevEvent.PRE_UP, dev);
  if (verdict < 0) return verdict;
  dev.state |= LINK_STATE_START;
  let error: number = -Errno.EADDRNOTAVAIL;
  try {
    const valid = validateAddr(dev);
    error = valid < 0 ? valid : dev.ops.open(dev);
  } finally {
    if (error < 0) dev.state &= ~LINK_STATE_START;
  }
  if (error < 0) return error;
  dev.flags |= IFF_UP;
  devSetRxMode(dev);
  dev.net.activate(dev);
  dev.net.notify(NetdevEvent.UP, dev);
  // A link that came meanwhile (the other end of a cable) counts from now on, not from the next turn.
  dev.net.linkwatch.run(true);
  return 0;
}

/** Nothing to do if it is down. (`dev_close`) */
export function devClose(dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0) return;
  dev.net.notify(NetdevEvent.GOING_DOWN, dev);
  dev.state &= ~LINK_STATE_START;
  dev.net.deactivate(dev);
  dev.ops.stop?.(dev);
  dev.flags &= ~IFF_UP;
  dev.net.notify(NetdevEvent.DOWN, dev);
}

function validateAddr(dev: NetDevice): number {
  if (dev.ops.validateAddr !== undefined) return dev.ops.validateAddr(dev);
  return dev.type !== ARPHRD_ETHER || isValidMac(dev.devAddr) ? 0 : -Errno.EADDRNOTAVAIL;
}
