/**
 * The multicast groups that an IP address needs its device to hear: who asks for it asks the group.
 *
 *     IPv4   all hosts                          01:00:5e:00:00:01
 *     IPv6   all nodes, and its solicited node  33:33:00:00:00:01, 33:33:ff and its last three bytes
 *
 * A device with a filter takes no others. (`ip_mc_up`, `ipv6_mc_up`, `addrconf_join_solict`)
 */
import type { IpAddress } from '../wire/address.ts';
import { ipv4MulticastMac, ipv6MulticastMac, solicitedNode } from '../wire/ndisc.ts';
import type { NetDevice } from './net_device.ts';
import { devMcAdd, devMcDel } from './rx_mode.ts';

const ALL_HOSTS = 0xe0000001;
const ALL_NODES = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

function groupsOf(ip: IpAddress): Uint8Array[] {
  if (ip.family === 4) return [ipv4MulticastMac(ALL_HOSTS, new Uint8Array(6))];
  const solicited = solicitedNode(ip.v6, 0, new Uint8Array(16));
  return [ALL_NODES, solicited].map((group) => ipv6MulticastMac(group, new Uint8Array(6)));
}

/** The device hears who asks for `ip`. Counted: once for each address. */
export function devJoinIpGroups(dev: NetDevice, ip: IpAddress): void {
  for (const mac of groupsOf(ip)) devMcAdd(dev, mac);
}

export function devLeaveIpGroups(dev: NetDevice, ip: IpAddress): void {
  for (const mac of groupsOf(ip)) devMcDel(dev, mac);
}
