/**
 * netpoll/host: the real world. A machine whose CPU is this thread's event loop, with devices on real interfaces.
 *
 *     const host = createHostMachine();
 *     const dev = host.openDevice('packet:eth0');
 */
export { createHostArena, HostArena, type HostArenaOptions } from './arena.ts';
export { HostExecutive, type Watch, type WatchOptions } from './executive.ts';
export {
  createHostMachine,
  type HostMachine,
  type HostMachineOptions,
  type OpenDeviceOptions,
} from './host_machine.ts';
export type { InterfaceAddress, RouteEntry, StaticNeighbour } from './netlink/address_change.ts';
export type { WhenDeleted } from './netlink/interface_follower.ts';
export type { LinkChange, LinkKind, NewLink } from './netlink/link_change.ts';
export { type LinkListener, LinkMonitor } from './netlink/link_monitor.ts';
export { type NetConfig, openNetConfig } from './netlink/net_config.ts';
export { type NetTables, netlinkTables, openNetTables } from './netlink/net_tables.ts';
export { lookUpNextHop, type NextHop, type NoRoute, resolveNextHop } from './netlink/next_hop.ts';
export { probe } from './netlink/probe.ts';
export { type OpenPortOptions, openPort, portAddresses } from './open_port.ts';
export { type SockFilter, udpPortFilter } from './packet/bpf_filter.ts';
export { FANOUT_MODES, type Fanout, type FanoutMode } from './packet/fanout.ts';
export { PacketPort, type PacketPortOptions } from './packet/packet_port.ts';
export { PcapPort } from './pcap/pcap_port.ts';
export { QemuPort } from './qemu/qemu_port.ts';
export { HostCpu } from './smp/cpu.ts';
export { CPU_COUNTERS, type CpuCounter, CpuTable } from './smp/cpu_table.ts';
export { ProgramCpu, runOnCpu } from './smp/program.ts';
export type { SharedDeviceOptions } from './smp/shared_device.ts';
export { type CpuDeath, createSmp, type Smp, type SmpOptions } from './smp/smp.ts';
export { hmacSha256, randomFill } from './sysrq_mac.ts';
export { TapPort, type TapPortOptions } from './tap/tap_port.ts';
export { type InheritedSocket, inheritedSockets } from './udp/inherited_sockets.ts';
export { UdpPort, type UdpPortOptions } from './udp/udp_port.ts';
export { printXdpReport, type XdpMode, type XdpPortOptions, type XdpReport } from './xdp/xdp_options.ts';
export { XdpPort } from './xdp/xdp_port.ts';
