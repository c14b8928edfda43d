/**
 * A target named by its address alone: the option string is made from this host's routes and neighbours.
 *
 *     10.0.0.2   10.0.0.2:514   fd00::2   [fd00::2]:514   fe80::2%eth0      each with + in front for the extended format
 *         --> 6665@10.0.0.1/eth0,6666@10.0.0.2/02:00:00:00:00:02
 */
import { SetupError } from '../base/status.ts';
import { openNetTables } from '../host/netlink/net_tables.ts';
import { resolveNextHop } from '../host/netlink/next_hop.ts';
import { probe } from '../host/netlink/probe.ts';
import { netpollPrintOptions, OPTION_DEFAULTS } from '../netpoll/options.ts';
import { type IpAddress, parseIp } from '../wire/address.ts';
import { macEquals } from '../wire/eth.ts';
import { optionsFor } from './doctor_lines.ts';
import { note } from './terminal.ts';

interface Target {
  readonly prefix: string;
  readonly ip: IpAddress;
  readonly zone: string | undefined;
  readonly port: number;
}

/**
 * `text` itself, unless it is an address: then the whole option string, which is told on stderr. Throws SetupError where there is no
 * way to the address.
 */
export async function fullOptions(text: string): Promise<string> {
  const target = parseTarget(text);
  if (target === null) return text;
  const { prefix, ip, zone, port } = target;
  const tables = openNetTables();
  try {
    const hop = await resolveNextHop(tables, ip, { probe, ...(zone !== undefined && { dev: zone }) });
    if ('reason' in hop) throw new SetupError('ERR_NETPOLL_ROUTE', `${text}: ${hop.reason}`);
    const lines = { port, sourcePort: OPTION_DEFAULTS.localPort, extended: false, release: false };
    const options = optionsFor(hop, lines);
    if (options === null) {
      throw new SetupError('ERR_NETPOLL_ROUTE', `${text}: nothing can be sent there; netpoll doctor ${text} says why`);
    }
    const whole = `${prefix}${netpollPrintOptions(options)}`;
    note(`options     ${whole}`);
    return whole;
  } finally {
    tables.close();
  }
}

/** Null for what is no address with or without a port. */
export function parseTarget(text: string): Target | null {
  const match = /^(\+r?|)(?:\[([^\]]+)\]|([^[\]]+?))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return null;
  const [, prefix = '', inBrackets, bare = '', portText] = match;
  // An IPv6 address without brackets has no port: what looks like one is its last group.
  const whole = inBrackets ?? (bare.includes(':') && portText !== undefined ? `${bare}:${portText}` : bare);
  const [address = '', zone] = whole.split('%');
  const ip = parseIp(address);
  const port = portText === undefined || (inBrackets === undefined && ip?.family === 6) ? 6666 : Number(portText);
  if (ip === null || port < 1 || port > 0xffff) return null;
  return { prefix, ip, zone, port };
}

/** The interface with this hardware address. Throws SetupError where there is none. */
export function interfaceByMac(mac: Uint8Array, text: string): string {
  const tables = openNetTables();
  try {
    const link = tables.links().find((each) => each.mac !== null && macEquals(each.mac, 0, mac));
    if (link !== undefined) return link.name;
    throw new SetupError('ERR_NETPOLL_NO_INTERFACE', `no interface has the hardware address ${text}`);
  } finally {
    tables.close();
  }
}
