/**
 * An option string on this machine: the device that it names is opened, and is called `netpoll0` inside. Used by `send` and
 * by `pong`.
 */
import { SetupError } from '../base/status.ts';
import { createHostMachine, type HostMachine } from '../host/host_machine.ts';
import { explainOptionError, type NetpollOptions, netpollParseOptions } from '../netpoll/options.ts';
import { printMac } from '../wire/address.ts';
import { interfaceByMac } from './target_options.ts';

export interface NetpollClientHost {
  readonly host: HostMachine;
  /** The options with the device's name inside this machine. */
  readonly options: NetpollOptions;
}

/** Throws SetupError: a string that is wrong (with the place), a device that cannot be opened. */
export function openForOptions(text: string): NetpollClientHost {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new SetupError('ERR_NETPOLL_OPTIONS', explainOptionError(text, parsed.error));
  const { devMac, devName } = parsed.options;
  const spec = devMac === null ? devName : interfaceByMac(devMac, printMac(devMac));
  const host = createHostMachine();
  const dev = host.openDevice(spec, { name: 'netpoll0' });
  return { host, options: { ...parsed.options, devName: dev.name, devMac: null } };
}

/** The last complaint of the machine's log: why a set-up was refused. */
export function lastComplaint(host: HostMachine): string {
  const { printk } = host.machine;
  for (let seq = printk.nextSeq - 1; seq >= 0; seq--) {
    const record = printk.record(seq);
    if (record !== undefined && record.level <= 4) return new TextDecoder().decode(record.text);
  }
  return 'the device refused netpoll';
}
