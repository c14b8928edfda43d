/**
 * Bringing a device up and down (`ip link set dev up`).
 *
 *     devOpen:  PRE_UP (may be vetoed) -> START -> driver's open -> IFF_UP -> UP
 *     devClose: GOING_DOWN -> START off -> driver's stop -> IFF_UP off -> DOWN
 */
import { Errno } from '../base/status.ts';
import { isValidMac } from '../wire/eth.ts';
import { NetdevEvent } from './net.ts';
import { ARPHRD_ETHER, IFF_UP, LINK_STATE_START, type NetDevice, netifDevicePresent } from './net_device.ts';

/** 0 (also if it is up), or the negative errno of who refused. (`dev_open`) */
export function devOpen(dev: NetDevice): number {
  if ((dev.flags & IFF_UP) !== 0) return 0;
  if (!netifDevicePresent(dev)) return -Errno.ENODEV;
  const verdict = dev.net.notify(NetdevEvent.PRE_UP, dev);
  if (verdict < 0) return verdict;
  dev.state |= LINK_STATE_START;
  let error = dev.type === ARPHRD_ETHER && !isValidMac(dev.devAddr) ? -Errno.EADDRNOTAVAIL : 0;
  if (error === 0) error = dev.ops.open(dev);
  if (error < 0) {
    dev.state &= ~LINK_STATE_START;
    return error;
  }
  dev.flags |= IFF_UP;
  dev.net.notify(NetdevEvent.UP, dev);
  return 0;
}

/** Nothing to do if it is down. (`dev_close`) */
export function devClose(dev: NetDevice): void {
  if ((dev.flags & IFF_UP) === 0) return;
  dev.net.notify(NetdevEvent.GOING_DOWN, dev);
  dev.state &= ~LINK_STATE_START;
  dev.ops.stop?.(dev);
  dev.flags &= ~IFF_UP;
  dev.net.notify(NetdevEvent.DOWN, dev);
}
