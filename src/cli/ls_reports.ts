/**
 * What netpoll ls shows of a machine, whoever runs it: simulated, or this process. Each report as text and as an object.
 */
import { SetupError } from '../base/status.ts';
import {
  nstatText,
  procInterrupts,
  procNetDev,
  procNetPtype,
  procSoftirqs,
  procSoftnetStat,
  SOFTIRQ_NAMES,
  softnetRows,
} from '../clients/procfs.ts';
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Inet } from '../inet/inet.ts';
import type { Machine } from '../machine/machine.ts';
import type { Stack } from '../stack/net_init.ts';
import { type EthtoolQuery, ethtoolJson, ethtoolText } from './ls_ethtool.ts';
import { linkJson, linkText } from './ls_link.ts';

/** A machine that runs; `inet` null: nobody there receives IP. */
export interface MachineView {
  readonly machine: Machine;
  readonly net: Net;
  readonly stack: Stack;
  readonly inet: Inet | null;
}

export interface ReportOptions {
  readonly stats?: boolean;
  readonly zeros?: boolean;
  readonly statistics?: boolean;
  readonly rings?: boolean;
  readonly coalesce?: boolean;
  readonly features?: boolean;
  readonly channels?: boolean;
  readonly driver?: boolean;
}

export interface Report {
  readonly text: () => string;
  readonly json: () => unknown;
}

/** Every report by its name. Throws SetupError for a device that is not there. */
export function reports(
  view: MachineView,
  device: string | undefined,
  options: ReportOptions,
): Readonly<Record<string, Report>> {
  const { machine, net, stack, inet } = view;
  const devices = () => (device === undefined ? net.devices : [find(net, device)]);
  const query = queryOf(options);
  const one = () => find(net, device ?? 'eth0');
  const snmp = (): Record<string, number> => inet?.snmp.toJSON() ?? {};
  const drops = () => Object.entries(machine.skbs.drops.toJSON()).filter(([, n]) => n > 0);
  return {
    link: {
      text: () =>
        devices()
          .map((dev) => linkText(dev, options.stats === true))
          .join(''),
      json: () => devices().map((dev) => linkJson(dev, options.stats === true)),
    },
    ethtool: {
      text: () => ethtoolText(one(), query),
      json: () => [{ ifname: one().name, ...ethtoolJson(one(), query) }],
    },
    nstat: { text: () => nstatText(snmp(), options.zeros === true), json: () => ({ kernel: snmp() }) },
    dev: { text: () => procNetDev(net), json: () => devices().map((dev) => linkJson(dev, true)) },
    softnet_stat: { text: () => procSoftnetStat(stack), json: () => softnetRows(stack) },
    interrupts: {
      text: () => procInterrupts(machine),
      json: () => machine.irqLines.map(({ number, name, cpu, count }) => ({ irq: number, name, cpu: cpu.id, count })),
    },
    softirqs: {
      text: () => procSoftirqs(machine),
      json: () =>
        Object.fromEntries(SOFTIRQ_NAMES.map((name, v) => [name, machine.cpus.map((cpu) => cpu.softirqCount[v])])),
    },
    ptype: {
      text: () => procNetPtype(stack),
      json: () => stack.types.list().map((type) => type.toString(16).padStart(4, '0')),
    },
    drops: {
      text: () =>
        drops()
          .map(([name, n]) => `${String(n).padStart(10)} drops by reason ${name}\n`)
          .join(''),
      json: () => Object.fromEntries(drops()),
    },
  };
}

function queryOf(options: ReportOptions): EthtoolQuery {
  const asked = (['statistics', 'rings', 'coalesce', 'features', 'channels', 'driver'] as const).filter(
    (each) => options[each] === true,
  );
  if (asked.length > 1) throw new SetupError('ERR_NETPOLL_OPTIONS', `--${asked[0]} and --${asked[1]}: one at a time`);
  return asked[0] ?? 'statistics';
}

function find(net: Net, name: string): NetDevice {
  const dev = net.byName(name);
  if (dev === undefined) throw new SetupError('ERR_NETPOLL_OPTIONS', `Device "${name}" does not exist.`);
  return dev;
}
