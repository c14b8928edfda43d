/**
 * netconsole on this host's machine: its targets' devices are real interfaces and sockets, opened when a target is set up.
 * Used by `netpoll netconsole run` and by `netpoll send` for the extended format.
 */
import { SetupError } from '../base/status.ts';
import {
  createNetconsole,
  type Netconsole,
  type NetconsoleOptions,
  parseNetconsoleParam,
} from '../clients/netconsole/netconsole.ts';
import type { NetDevice } from '../device/net_device.ts';
import { createHostMachine, type HostMachine } from '../host/host_machine.ts';
import type { Netpoll } from '../netpoll/netpoll.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { printMac } from '../wire/address.ts';
import { interfaceWithMac, LinkWatch } from './netconsole_links.ts';

export interface HostNetconsole {
  readonly host: HostMachine;
  readonly netconsole: Netconsole;
  /** Follows the interfaces; not started yet. */
  readonly links: LinkWatch;
  /** Opens the device of a target, if it is not open. Throws SetupError. */
  readonly openDevice: (np: Netpoll) => void;
}

/**
 * Starts the targets of `param` (`netconsole=`; null: none yet); with `quiet`, what is logged meanwhile is not sent. Throws
 * SetupError for a value that is wrong.
 */
export function startNetconsole(
  param: string | null,
  options: Omit<NetconsoleOptions, 'openDevice'> & { readonly quiet?: boolean } = {},
): HostNetconsole {
  const parsed = param === null ? { ok: true as const, specs: [] } : parseNetconsoleParam(param);
  if (!parsed.ok) throw new SetupError('ERR_NETPOLL_OPTIONS', parsed.reason);
  const host = createHostMachine();
  host.machine.printk.taskname = 'netpoll';
  const links = new LinkWatch();
  const opened = new Map<string, NetDevice>();
  const openDevice = (np: Netpoll): void => {
    const spec = np.devName !== '' ? np.devName : np.devMac === null ? null : interfaceWithMac(printMac(np.devMac));
    if (spec === null || host.net.byName(spec) !== undefined) return;
    let dev = opened.get(spec);
    if (dev === undefined || !host.net.devices.includes(dev)) {
      // netconsole reads nothing: of a real interface it takes only what might be for its own port.
      dev = host.openDevice(spec, { udpPort: np.localPort });
      opened.set(spec, dev);
      const name = /^(?:packet:|xdp:)?([^:/]+)(?:[/]\d+)?$/.exec(spec)?.[1];
      if (name !== undefined) links.add(dev, name);
    }
    np.devName = dev.name;
  };
  const { printk } = host.machine;
  const { consoleLoglevel } = printk;
  if (options.quiet === true) printk.consoleLoglevel = 0;
  const netconsole = createNetconsole(host.net, parsed.specs, { ...options, openDevice });
  printk.consoleLoglevel = consoleLoglevel;
  return { host, netconsole, links, openDevice };
}

/** Until nothing waits on any device's deferred queue, or `limitMs` are over; gives how many frames still wait. */
export async function drained(host: HostMachine, limitMs: number): Promise<number> {
  const waiting = (): number => host.net.devices.reduce((sum, dev) => sum + (npinfoOf(dev)?.txq.length ?? 0), 0);
  const endNs = host.executive.now() + limitMs * 1e6;
  while (waiting() > 0 && host.executive.now() < endNs) await new Promise((resolve) => setTimeout(resolve, 10));
  return waiting();
}
