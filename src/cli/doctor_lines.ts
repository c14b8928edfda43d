/**
 * The lines that a real kernel wants for a netconsole target: module, boot parameter, configfs, and our own sender's.
 */
import type { KernelFacts } from '../host/kernel_facts.ts';
import type { NextHop } from '../host/netlink/next_hop.ts';
import { BROADCAST_MAC, type NetpollOptions, netpollPrintOptions } from '../netpoll/options.ts';
import { printIp, printMac } from '../wire/address.ts';

export interface LineOptions {
  readonly port: number;
  readonly sourcePort: number;
  readonly extended: boolean;
  readonly release: boolean;
}

export interface Lines {
  /** The value of `netconsole=`, prefixes and all. */
  readonly option: string;
  /** The same for `netpoll send`. */
  readonly send: string;
  /** To be typed now. */
  readonly module: readonly string[];
  /** Files that do it at every boot. */
  readonly files: readonly (readonly [path: string, line: string])[];
  /** For the kernel's command line. */
  readonly boot: string;
  /** To be typed now, for a target beside others. */
  readonly configfs: readonly string[];
}

/** The module's and the boot loader's buffer, with its NUL. */
const OPTION_MAX = 256;
/** What the target is called in configfs. */
const TARGET_NAME = 'netpoll';

/** The netpoll options for a next hop; null where it lacks a source address, or the gateway's hardware address. */
export function optionsFor(hop: NextHop, lines: LineOptions): NetpollOptions | null {
  const { source, mac, route, target, link } = hop;
  if (source === null || route.type === 'local' || (mac === null && route.gateway !== null)) return null;
  return {
    localPort: lines.sourcePort,
    localIp: source,
    devName: link.name,
    devMac: null,
    remotePort: lines.port,
    remoteIp: target,
    remoteMac: mac ?? BROADCAST_MAC,
  };
}

/** Null where there is no string that could work. */
export function linesFor(hop: NextHop, kernel: KernelFacts, lines: LineOptions): Lines | null {
  const options = optionsFor(hop, lines);
  if (options === null) return null;
  const send = netpollPrintOptions(options);
  const option = `${lines.extended ? '+' : ''}${lines.extended && lines.release ? 'r' : ''}${send}`;
  if (option.length >= OPTION_MAX) return null;
  const builtIn = kernel.netconsole === 'built-in';
  const folder = `/sys/kernel/config/netconsole/${TARGET_NAME}`;
  const attributes: [string, string | number][] = [
    ['dev_name', options.devName],
    ['local_port', options.localPort],
    ['local_ip', printIp(options.localIp!)],
    ['remote_port', options.remotePort],
    ['remote_ip', printIp(options.remoteIp)],
    ['remote_mac', printMac(options.remoteMac)],
    ['extended', lines.extended ? 1 : 0],
  ];
  if (lines.extended && lines.release) attributes.push(['release', 1]);
  attributes.push(['enabled', 1]);
  return {
    option,
    send,
    module: [`modprobe netconsole netconsole=${option}`],
    files: [
      ['/etc/modprobe.d/netconsole.conf', `options netconsole netconsole=${option}`],
      ['/etc/modules-load.d/netconsole.conf', 'netconsole'],
    ],
    // A module takes its parameters from the command line under its own name.
    boot: `${builtIn ? '' : 'netconsole.'}netconsole=${option}`,
    configfs: [
      ...(builtIn ? [] : ['modprobe netconsole']),
      'mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config',
      `mkdir ${folder}`,
      ...attributes.map(([name, value]) => `echo ${value} > ${folder}/${name}`),
    ],
  };
}
