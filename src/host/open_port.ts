/**
 * Ports by name.
 *
 *     packet:eth0   eth0                              a real interface (CAP_NET_RAW)
 *     packet:eth0,queues=2,fanout=hash                several queues among which the kernel deals the frames out
 *     xdp:eth0   xdp:eth0/1                           the same past the kernel, all queues or one (CAP_NET_ADMIN, CAP_BPF)
 *     xdp:eth0,busy-poll                              and drives the card itself, whose interrupts stay away
 *     udp:0.0.0.0:6666   udp:[::]:6666   udp:6666     an ordinary socket; port 0: the kernel chooses
 *     udp:[fe80::1%eth0]:6666                         a link-local address needs its interface
 *     udp:6666,queues=2                               two sockets that share the address, a queue each
 *     udp:fd=3                                        a socket that this process was started with (systemd)
 *     tap:NAME   tap:NAME,queues=2,mtu=9000           the far end of a TAP device (CAP_NET_ADMIN); made if it is not there
 *     qemu:/run/vm.sock   qemu:127.0.0.1:1234         a guest's NIC, through a socket of QEMU (-netdev stream); QEMU calls us
 *     qemu:connect:ADDRESS   qemu:dgram:OURS,QEMUS    we call QEMU; datagrams (-netdev dgram)
 *     pcap:FILE   pcap:FILE,pace=1   pcap:,out=FILE   a capture file that is received, at its own pace too; one that is written
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { SetupError } from '../base/status.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Port } from '../drivers/nic/port.ts';
import { type IpAddress, parseIp } from '../wire/address.ts';
import type { HostExecutive } from './executive.ts';
import type { InterfaceFollower, WhenDeleted } from './netlink/interface_follower.ts';
import { type SockFilter, udpPortFilter } from './packet/bpf_filter.ts';
import { PacketPort, type PacketPortOptions } from './packet/packet_port.ts';
import { parsePacketSpec } from './packet/packet_spec.ts';
import { PcapPort } from './pcap/pcap_port.ts';
import { QemuPort } from './qemu/qemu_port.ts';
import { parseQemuSpec } from './qemu/qemu_spec.ts';
import { libc } from './sys/libc.ts';
import { TapPort, type TapPortOptions } from './tap/tap_port.ts';
import { parseTapSpec } from './tap/tap_spec.ts';
import { UdpPort, type UdpPortOptions } from './udp/udp_port.ts';
import { type BoundAddress, inheritedAddress } from './udp/udp_socket.ts';
import type { XdpPortOptions } from './xdp/xdp_options.ts';
import { XdpPort } from './xdp/xdp_port.ts';
import { parseXdpSpec } from './xdp/xdp_spec.ts';

export interface OpenPortOptions
  extends Omit<PacketPortOptions, 'filter'>,
    TapPortOptions,
    XdpPortOptions,
    UdpPortOptions {
  /**
   * packet: receive nothing but UDP datagrams to this port; the kernel drops the rest before it is copied. xdp: the kernel's stack
   * gets the rest; without it, nothing.
   */
  readonly udpPort?: number;
  /** packet: a classic BPF program instead. */
  readonly filter?: readonly SockFilter[];
}

const FORMS =
  'packet:eth0, xdp:eth0, xdp:eth0/0, udp:0.0.0.0:6666, udp:[::]:6666, tap:NAME, qemu:/run/vm.sock or pcap:FILE';

/**
 * Makes the Port for `spec`; nothing is opened yet, but a packet or xdp port's interface must exist. Throws SetupError:
 * ERR_NETPOLL_SPEC for a spec that is none of the forms, and what the port's constructor throws.
 */
export function openPort(spec: string, executive: HostExecutive, options: OpenPortOptions = {}): Port {
  const colon = spec.indexOf(':');
  const scheme = colon < 0 ? 'packet' : spec.slice(0, colon);
  const rest = spec.slice(colon + 1);
  if (rest === '') throw refusal(spec, 'nothing behind the scheme');
  switch (scheme) {
    case 'packet': {
      const filter = options.filter ?? (options.udpPort === undefined ? undefined : udpPortFilter(options.udpPort));
      const { name, options: given } = parsePacketSpec(spec, rest);
      const all = { ...options, ...given, ...(filter !== undefined && { filter }) };
      return new PacketPort(name, executive, all, interfaceNames);
    }
    case 'xdp': {
      const { name, queue, options: given } = parseXdpSpec(spec, rest);
      return new XdpPort(name, queue, executive, { ...options, ...given }, interfaceNames);
    }
    case 'udp': {
      const { address, ...given } = parseUdp(spec, rest);
      return new UdpPort(address, executive, { ...options, ...given });
    }
    case 'tap': {
      const { name, options: given } = parseTapSpec(spec, rest);
      return new TapPort(name, executive, { ...options, ...given });
    }
    case 'qemu':
      return new QemuPort(parseQemuSpec(spec, rest), executive);
    case 'pcap':
      return new PcapPort(rest, executive.wall);
    default:
      throw refusal(spec, `unknown scheme "${scheme}:"`);
  }
}

/**
 * The IP addresses under which the port's frames find this machine: of a packet or xdp port those of its interface, of a udp port
 * the one it is bound to or, if that is "any", all that this host has, loopback last.
 */
export function portAddresses(_spec: string, port: Port): IpAddress[] {
  if (port instanceof PacketPort || port instanceof XdpPort)
    return hostAddresses((name) => name === port.interfaceName);
  if (!(port instanceof UdpPort)) return [];
  const { ip } = port.address;
  if (!isAny(ip)) return [ip];
  const all = hostAddresses(() => true);
  return ip.family === 6 ? all : all.filter((each) => each.family === 4);
}

/** What of the kernel's side changes is followed: interfaces by packet:, xdp: and tap:, this host's addresses by a udp: port bound to "any". */
export function followPort(follower: InterfaceFollower, dev: NetDevice, port: Port, whenDeleted?: WhenDeleted): void {
  if (port instanceof TapPort) follower.follow(dev, port, whenDeleted ?? 'unregister');
  else if (port instanceof PacketPort || port instanceof XdpPort) follower.follow(dev, port, whenDeleted ?? 'wait');
  else if (port instanceof UdpPort && isAny(port.address.ip)) follower.followAddresses(dev);
}

function parseUdp(spec: string, rest: string): { address: BoundAddress; udpQueues?: number; udpFd?: number } {
  const passed = /^fd=(\d{1,7})$/.exec(rest);
  if (passed !== null) return { address: inheritedAddress(Number(passed[1])), udpFd: Number(passed[1]) };
  const match = /^(?:(?:\[([^\]%]+)(?:%([^\]]+))?\]|([^:,]+)):)?(\d{1,5})(?:,queues=(\d{1,3}))?$/.exec(rest);
  if (match === null) throw refusal(spec, 'not an address and a port (an IPv6 address goes in brackets)');
  const [, six, zone, four, portText, queues] = match;
  const port = Number(portText);
  if (port > 0xffff) throw refusal(spec, `${port} is not a port`);
  const text = six ?? four ?? '0.0.0.0';
  const ip = parseIp(text);
  if (ip === null || ip.family !== (six === undefined ? 4 : 6)) throw refusal(spec, `"${text}" is not an IP address`);
  const scope = zone === undefined ? 0 : libc().ifNametoindex(zone);
  if (zone !== undefined && scope === 0) throw refusal(spec, `there is no interface "${zone}"`);
  const address = { ip, port, scope };
  return queues === undefined ? { address } : { address, udpQueues: Number(queues) };
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORMS}`);
}

/** Also those that are down or have no address, which networkInterfaces() leaves out. */
function interfaceNames(): string[] {
  const lines = readFileSync('/proc/net/dev', 'utf8').split('\n').slice(2, -1);
  return lines.map((line) => line.split(':')[0]!.trim());
}

function hostAddresses(takes: (name: string) => boolean): IpAddress[] {
  const found: { internal: boolean; ip: IpAddress }[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (!takes(name)) continue;
    for (const { address, internal } of addresses ?? []) {
      const ip = parseIp(address);
      if (ip !== null) found.push({ internal, ip });
    }
  }
  return found.sort((a, b) => Number(a.internal) - Number(b.internal)).map(({ ip }) => ip);
}

function isAny(ip: IpAddress): boolean {
  return ip.family === 4 ? ip.v4 === 0 : ip.v6.every((byte) => byte === 0);
}
