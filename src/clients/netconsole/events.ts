/**
 * What happens to a target when something happens to its device.
 *
 *     renamed              it follows the name
 *     down, carrier lost   nothing: messages are left out (or deferred) until the device is up again
 *     joins a master       stopped for good: the master's traffic rules hold from here on
 *     its bond loses one   stopped for good (the event of released slaves is on the bond)
 *     unregistered         stopped, and resumed when a device of that name (or that hardware address) is there again
 *
 * Resuming may have to wait for a carrier, which a notifier must not: it is work for process context, one attempt a target.
 * Answers to netconsole_netdev_event and process_resume_target.
 */
import type { NetDevice } from '../../device/net_device.ts';
import { NetdevEvent, type Notifier } from '../../device/netdev_event.ts';
import { Work } from '../../machine/timer.ts';
import { netpollCleanup } from '../../netpoll/setup.ts';
import { isValidMac, macEquals } from '../../wire/eth.ts';
import type { Netconsole } from './netconsole.ts';
import { type NetconsoleTarget, STATE_DEACTIVATED, STATE_DISABLED } from './target.ts';

/** The notifier of one netconsole; it resumes targets with `resume`. */
export function createNetdevNotifier(netconsole: Netconsole): Notifier {
  const { targets, net } = netconsole;
  const waiting = new Set<NetconsoleTarget>();
  const work = new Work(net.machine, () => {
    for (const target of waiting) if (targets.includes(target)) netconsole.resume(target);
    waiting.clear();
  });
  return (event, dev) => {
    const words = STOPPED[event];
    if (words !== undefined) stop(netconsole, dev, event, words);
    if (event === NetdevEvent.CHANGENAME) for (const { np } of targets) if (np.dev === dev) np.devName = dev.name;
    if (event === NetdevEvent.REGISTER || event === NetdevEvent.CHANGENAME) {
      for (const target of targets)
        if (target.state === STATE_DEACTIVATED && isDeviceOf(target, dev)) waiting.add(target);
      if (waiting.size > 0) work.schedule();
    }
    return 0;
  };
}

const STOPPED: { readonly [event: number]: string } = {
  [NetdevEvent.UNREGISTER]: 'unregistered',
  [NetdevEvent.RELEASE]: 'released slaves',
  [NetdevEvent.JOIN]: 'is joining a master device',
};

function stop(netconsole: Netconsole, dev: NetDevice, event: NetdevEvent, words: string): void {
  let stopped = false;
  for (const target of netconsole.targets) {
    const { np } = target;
    if (np.dev !== dev) continue;
    // A device that is named by its address may come back under another name.
    if (event === NetdevEvent.UNREGISTER && isNamedByMac(target)) np.devName = '';
    target.state = event === NetdevEvent.UNREGISTER ? STATE_DEACTIVATED : STATE_DISABLED;
    netpollCleanup(np);
    stopped = true;
  }
  if (stopped) {
    netconsole.net.machine.printk.info(`netconsole: network logging stopped on interface ${dev.name} as it ${words}`);
  }
}

function isNamedByMac({ np }: NetconsoleTarget): boolean {
  return np.devMac !== null && isValidMac(np.devMac);
}

function isDeviceOf(target: NetconsoleTarget, dev: NetDevice): boolean {
  const { np } = target;
  if (isNamedByMac(target)) return macEquals(dev.devAddr, 0, np.devMac!);
  return np.devName === dev.name;
}
