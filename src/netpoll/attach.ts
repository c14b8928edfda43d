/**
 * Joining a client to a device, without looking at addresses: the part of the set-up that stacked devices need as well.
 *
 *     netpollSetup (setup.ts) --> netpollAttach(np, bond0) --first client--> bond0's ops.netpollSetup
 *                                                                              |  for each slave
 *                                                             netpollSetupLower(bond0, eth0) --> netpollAttach(its np, eth0)
 *
 *     sending      bond0's startXmit, where netpollTxRunning: skb.dev = eth0; netpollSendSkb(np of eth0, skb)
 *     polling      bond0's pollController: netpollPollDev(eth0) for each slave that is in use
 *     late slave   if (bond0.npinfo !== null) netpollSetupLower(bond0, eth1)
 *     released     netpollCleanup(np of eth1), also from bond0's ops.netpollCleanup
 *     a device that cannot do netpoll has netpollDisabled set; netpollSetupLower then says -ENOTSUPP
 *
 * What becomes of a client when something happens to its device: renamed: it follows. Unregistered: it is taken down, after
 * everybody has been told (a client of its own accord does so at UNREGISTER), what waits is dropped with a reason. Down, or
 * enslaved: nothing, until it is set up again; enslaved devices are refused then.
 */
import { assert } from '../base/assert.ts';
import { Errno } from '../base/status.ts';
import { devLeaveIpGroups } from '../device/ip_groups.ts';
import { NetdevEvent, type Notifier } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { Work } from '../machine/timer.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import { Netpoll, type PassUp } from './netpoll.ts';
import { NetpollInfo, npinfoOf } from './npinfo.ts';
import { BROADCAST_MAC } from './options.ts';
import { refillReserve } from './reserve.ts';
import { installTrap } from './rx.ts';
import { NETPOLL_TXQ_LIMIT, netpollProcessQueue } from './txq.ts';

/**
 * Makes `np` a client of `dev`, whatever stands on it and whether it is up or not; the first client has the driver's netpollSetup
 * called. 0; -ENOTSUPP for a device that refuses netpoll, with the reason in the log; or what netpollSetup gave. Process context.
 * (`__netpoll_setup`)
 */
export function netpollAttach(np: Netpoll, dev: NetDevice): number {
  assert(np.dev === null, 'a client is set up once');
  if (dev.netpollDisabled) {
    dev.net.machine.printk.err(`netpoll: ${np.name}: ${dev.name} doesn't support polling, aborting`);
    return -Errno.ENOTSUPP;
  }
  let info = npinfoOf(dev);
  if (info === null) {
    const error = dev.ops.netpollSetup?.(dev) ?? 0;
    if (error < 0) return error;
    info = makeInfo(dev);
  }
  info.clients.push(np);
  np.dev = dev;
  np.devName = dev.name;
  if (np.rxHook !== null) info.receivers = [...info.receivers, np];
  if (np.upper !== null) info.lowers = [...info.lowers, np];
  refillReserve(dev.net);
  installTrap(info);
  return 0;
}

/**
 * A client on `lower` through which the stacked device `upper` sends what was given to it: `netpollSendSkb(np, skb)` with
 * skb.dev = lower. `passUp` says of a frame that `lower` received with interrupts off whether it is `upper`'s too (absent: each
 * is); clients of `upper` then get it without the stack, and with `takesTag` without its VLAN tag. The client is the caller's, who takes it down with netpollCleanup.
 * A negative errno as of netpollAttach. (what bond, bridge and vlan do in their ndo_netpoll_setup)
 */
export function netpollSetupLower(
  upper: NetDevice,
  lower: NetDevice,
  passUp: PassUp | null = null,
  takesTag = false,
): Netpoll | number {
  const np = new Netpoll(upper.name, {
    devName: lower.name,
    devMac: null,
    localIp: null,
    localPort: 0,
    remoteIp: { family: 4, v4: 0 },
    remotePort: 0,
    remoteMac: BROADCAST_MAC,
  });
  np.upper = upper;
  np.passUp = passUp;
  np.takesTag = takesTag;
  const error = netpollAttach(np, lower);
  return error < 0 ? error : np;
}

/**
 * The client sends and receives no more; the last one of a device takes what netpoll keeps for it along: what waits is dropped, the
 * trap is lifted, the driver's netpollCleanup is called. Nothing happens to one that is not set up. (`netpoll_cleanup`)
 */
export function netpollCleanup(np: Netpoll): void {
  const { dev } = np;
  np.dev = null;
  const info = dev === null ? null : npinfoOf(dev);
  if (dev === null || info === null) return;
  const at = info.clients.indexOf(np);
  if (at < 0) return;
  info.clients.splice(at, 1);
  if (np.localIp !== null) devLeaveIpGroups(dev, np.localIp);
  info.receivers = info.receivers.filter((each) => each !== np);
  info.lowers = info.lowers.filter((each) => each !== np);
  if (info.clients.length > 0) {
    installTrap(info);
    return;
  }
  info.forget();
  info.txWork.cancel();
  info.txq.purge(DropReason.QUEUE_PURGE);
  dev.ops.netpollCleanup?.(dev);
  dev.rxTrap = null;
  dev.npinfo = null;
}

/** What is kept for a device, published; it hears what happens to the device for as long as it lives. */
function makeInfo(dev: NetDevice): NetpollInfo {
  const { net } = dev;
  const work = (made: NetpollInfo) => new Work(net.machine, () => netpollProcessQueue(made));
  const info = new NetpollInfo(dev, new SkbQueue(NETPOLL_TXQ_LIMIT), work);
  dev.npinfo = info;
  let heard = true;
  const notifier: Notifier = (event, about) => {
    if (heard && about === dev) deviceEvent(info, event);
    return 0;
  };
  net.registerNotifier(notifier);
  info.forget = () => {
    // Unregistering tells a notifier that everything has gone, which it has not.
    heard = false;
    net.unregisterNotifier(notifier);
  };
  return info;
}

function deviceEvent(info: NetpollInfo, event: NetdevEvent): void {
  const { dev } = info;
  if (event === NetdevEvent.CHANGENAME) {
    for (const np of info.clients) np.devName = dev.name;
  } else if (event === NetdevEvent.PRE_UNINIT) {
    for (const np of [...info.clients]) {
      if (np.upper === null) {
        dev.net.machine.printk.warn(`netpoll: ${np.name}: released from ${dev.name}, which was unregistered`);
      }
      netpollCleanup(np);
    }
  }
}
