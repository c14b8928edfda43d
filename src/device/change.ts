/**
 * What users change on a device: its flags, MTU, queue length, name. All in process context; 0, or a negative errno.
 *
 *     devChangeFlags: settable flags -> receive mode -> up or down -> PROMISC -> ALLMULTI -> CHANGE
 *
 * PROMISC and ALLMULTI are counted: a sniffer and a user may both want them. What a user sees of them (devGetFlags) is what
 * users asked for (`gflags`), not what a sniffer did.
 */
import { Errno } from '../base/status.ts';
import {
  IFF_ALLMULTI,
  IFF_AUTOMEDIA,
  IFF_BROADCAST,
  IFF_DEBUG,
  IFF_DORMANT,
  IFF_DYNAMIC,
  IFF_ECHO,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MASTER,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_NOTRAILERS,
  IFF_POINTOPOINT,
  IFF_PORTSEL,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_SLAVE,
  IFF_UP,
  LINK_STATE_DORMANT,
  type NetDevice,
  netifCarrierOk,
  netifDevicePresent,
  netifOperUp,
  netifRunning,
} from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';
import { devClose, devOpen } from './open.ts';
import { devValidName, resolveName } from './register.ts';
import { devSetAllmulti, devSetPromiscuity, devSetRxMode } from './rx_mode.ts';

export { devSetAllmulti, devSetPromiscuity } from './rx_mode.ts';

const SETTABLE = IFF_DEBUG | IFF_NOTRAILERS | IFF_NOARP | IFF_DYNAMIC | IFF_MULTICAST | IFF_PORTSEL | IFF_AUTOMEDIA;
const VOLATILE =
  IFF_LOOPBACK |
  IFF_POINTOPOINT |
  IFF_BROADCAST |
  IFF_ECHO |
  IFF_MASTER |
  IFF_SLAVE |
  IFF_RUNNING |
  IFF_LOWER_UP |
  IFF_DORMANT;
const DERIVED = IFF_PROMISC | IFF_ALLMULTI | IFF_RUNNING | IFF_LOWER_UP | IFF_DORMANT;

/** The flags as users see them. (`dev_get_flags`) */
export function devGetFlags(dev: NetDevice): number {
  let flags = (dev.flags & ~DERIVED) | (dev.gflags & (IFF_PROMISC | IFF_ALLMULTI));
  if (!netifRunning(dev)) return flags;
  if (netifOperUp(dev)) flags |= IFF_RUNNING;
  if (netifCarrierOk(dev)) flags |= IFF_LOWER_UP;
  if ((dev.state & LINK_STATE_DORMANT) !== 0) flags |= IFF_DORMANT;
  return flags;
}

/** Makes the flags `flags`, as far as users may; brings the device up or down. (`dev_change_flags`) */
export function devChangeFlags(dev: NetDevice, flags: number): number {
  const old = dev.flags;
  dev.flags = (flags & SETTABLE) | (dev.flags & (IFF_UP | VOLATILE | IFF_PROMISC | IFF_ALLMULTI));
  if (((old ^ flags) & IFF_MULTICAST) !== 0) devSetRxMode(dev);
  let error = 0;
  if (((old ^ flags) & IFF_UP) !== 0) {
    if ((old & IFF_UP) !== 0) devClose(dev);
    else error = devOpen(dev);
  }
  if (((flags ^ dev.gflags) & IFF_PROMISC) !== 0) {
    const up = (flags & IFF_PROMISC) !== 0;
    dev.gflags ^= IFF_PROMISC;
    devSetPromiscuity(dev, up ? 1 : -1);
  }
  if (((flags ^ dev.gflags) & IFF_ALLMULTI) !== 0) {
    const up = (flags & IFF_ALLMULTI) !== 0;
    dev.gflags ^= IFF_ALLMULTI;
    devSetAllmulti(dev, up ? 1 : -1);
  }
  const changed = (old ^ dev.flags) & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI | VOLATILE);
  if (error === 0 && (dev.flags & IFF_UP) !== 0 && changed !== 0) dev.net.notify(NetdevEvent.CHANGE, dev);
  return error;
}

/** Longest payload of a frame from here on. Bounds: minMtu, and maxMtu unless that is 0. (`dev_set_mtu`) */
export function devSetMtu(dev: NetDevice, mtu: number): number {
  if (mtu === dev.mtu) return 0;
  if (!Number.isInteger(mtu) || mtu < 0 || mtu < dev.minMtu || (dev.maxMtu > 0 && mtu > dev.maxMtu))
    return -Errno.EINVAL;
  if (!netifDevicePresent(dev)) return -Errno.ENODEV;
  const verdict = dev.net.notify(NetdevEvent.PRECHANGEMTU, dev);
  if (verdict < 0) return verdict;
  const old = dev.mtu;
  const error = storeMtu(dev, mtu);
  if (error < 0) return error;
  const veto = dev.net.notify(NetdevEvent.CHANGEMTU, dev);
  if (veto >= 0) return 0;
  storeMtu(dev, old);
  dev.net.notify(NetdevEvent.CHANGEMTU, dev);
  return veto;
}

function storeMtu(dev: NetDevice, mtu: number): number {
  if (dev.ops.changeMtu !== undefined) return dev.ops.changeMtu(dev, mtu);
  dev.mtu = mtu;
  return 0;
}

/** Frames that a queue of the device's qdisc holds. (`dev_change_tx_queue_len`) */
export function devChangeTxQueueLen(dev: NetDevice, len: number): number {
  if (!Number.isInteger(len) || len < 0 || len > 0xffffffff) return -Errno.ERANGE;
  if (len === dev.txQueueLen) return 0;
  const old = dev.txQueueLen;
  dev.txQueueLen = len;
  const veto = dev.net.notify(NetdevEvent.CHANGE_TX_QUEUE_LEN, dev);
  if (veto < 0) {
    dev.txQueueLen = old;
    return veto;
  }
  dev.net.resizeQdiscs(dev);
  return 0;
}

/** Another name; `%d` in it becomes the lowest free number. A veto gives the old one back. (`dev_change_name`) */
export function devChangeName(dev: NetDevice, template: string): number {
  if (!devValidName(template)) return -Errno.EINVAL;
  if (template === dev.name) return 0;
  const name = resolveName(dev.net, template);
  if (typeof name === 'number') return name;
  const old = dev.name;
  dev.name = name;
  const veto = dev.net.notify(NetdevEvent.CHANGENAME, dev);
  if (veto < 0) {
    dev.name = old;
    dev.net.notify(NetdevEvent.CHANGENAME, dev);
    return veto;
  }
  dev.net.machine.printk.info(`${name}: renamed from ${old}`);
  return 0;
}
