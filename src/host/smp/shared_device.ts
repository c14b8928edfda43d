/**
 * One device of several CPUs. Each CPU opens it under the same name, and has a net_device of its own over a queue of its own:
 *
 *     packet:eth0    members of one fanout group: the kernel deals the frames out by flow
 *     udp:...        sockets that share the address (SO_REUSEPORT), by flow
 *     xdp:eth0       the card's queues, one each
 *     tap:NAME       queues of one TAP device
 *
 * A CPU without a queue sees the device all the same: frames that others steer to it (RPS) come up on it, and what is sent there goes to
 * a CPU that has one. (In the kernel a device is one object; here it is one name and one number.)
 *
 * Whoever comes first decides what the others need: the group, the port that the kernel chose. The table's lock is held meanwhile.
 */
import { NETDEV_TX_BUSY, NETDEV_TX_OK, SetupError } from '../../base/status.ts';
import { ethMacAddr } from '../../device/dev_addr.ts';
import { allocEtherdev } from '../../device/eth.ts';
import type { Net } from '../../device/net.ts';
import {
  type DeviceOps,
  type NetDevice,
  netifCarrierOn,
  STAT_TX_BYTES,
  STAT_TX_DROPPED,
  STAT_TX_PACKETS,
} from '../../device/net_device.ts';
import { netifStartQueue, netifStopQueue } from '../../device/netdev_queue.ts';
import { devOpen } from '../../device/open.ts';
import { registerNetdevice } from '../../device/register.ts';
import { nicPort } from '../../drivers/nic/nic.ts';
import { netpollTxRunning } from '../../netpoll/send.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { HostExecutive } from '../executive.ts';
import type { HostMachine, OpenDeviceOptions } from '../host_machine.ts';
import { openPort, portAddresses } from '../open_port.ts';
import { PacketPort } from '../packet/packet_port.ts';
import { UdpPort } from '../udp/udp_port.ts';
import type { CpuTable } from './cpu_table.ts';
import { handoverReady } from './handover.ts';
import type { RemoteCpu } from './remote_cpu.ts';

export interface SharedDeviceOptions extends OpenDeviceOptions {
  /** The CPUs that have a queue of it; all that open it if absent. The others see it. */
  readonly on?: readonly number[];
}

/** Opens this CPU's queue of `spec`, or makes it visible here. Throws SetupError, as HostMachine.openDevice. */
export function openShared(
  host: HostMachine,
  table: CpuTable,
  cpu: number,
  remotes: readonly RemoteCpu[],
  spec: string,
  options: SharedDeviceOptions,
): NetDevice {
  const { on, ...rest } = options;
  if (on !== undefined && !on.includes(cpu)) return openSeen(host, table, remotes, spec, options, on);
  const alone = on?.length === 1 || table.cpus === 1;
  if (alone) return host.openDevice(spec, rest);
  const scheme = /^([a-z]+):/.exec(spec)?.[1] ?? 'packet';
  let dev: NetDevice | undefined;
  table.device(`~${spec}`, (kept) => {
    dev = openMember(host, scheme, spec, rest, kept, on === undefined ? Math.max(0, cpu - 1) : on.indexOf(cpu));
    const port = nicPort(dev);
    if (port instanceof PacketPort) return port.fanoutGroup;
    return port instanceof UdpPort ? port.address.port : 0;
  });
  if (dev === undefined) throw new SetupError('ERR_NETPOLL_QUEUES', `too many devices are shared: no room for ${spec}`);
  return dev;
}

function openMember(
  host: HostMachine,
  scheme: string,
  spec: string,
  options: OpenDeviceOptions,
  kept: number,
  place: number,
): NetDevice {
  switch (scheme) {
    case 'packet': {
      const fanout = { ...options.fanout, ...(kept >= 0 && { group: kept }) };
      return host.openDevice(spec, { ...options, fanout });
    }
    case 'udp': {
      const address = kept > 0 ? spec.replace(/^(udp:(?:.*:)?)0(?=,|$)/, `$1${kept}`) : spec;
      return host.openDevice(address, { ...options, reusePort: true });
    }
    case 'tap':
      return host.openDevice(spec, { ...options, multiQueue: true });
    case 'xdp':
      return host.openDevice(spec.replace(/^[^,]*/, `$&/${place}`), options);
    default: {
      const message = `${scheme}: has one queue: give the one CPU that has it, on: [1]`;
      throw new SetupError('ERR_NETPOLL_QUEUES', message);
    }
  }
}

/** What a device that is seen and not had sends through. */
interface Seen {
  readonly table: CpuTable;
  readonly remotes: readonly RemoteCpu[];
  readonly owners: readonly number[];
  /** The device's number on every CPU. */
  number: number;
}

function openSeen(
  host: HostMachine,
  table: CpuTable,
  remotes: readonly RemoteCpu[],
  spec: string,
  options: SharedDeviceOptions,
  owners: readonly number[],
): NetDevice {
  const facts = openPort(spec, host.executive as HostExecutive, options);
  const name = options.name ?? /^(?:packet|tap|xdp):([^,/]*)/.exec(spec)?.[1] ?? spec;
  const seen: Seen = { table, remotes, owners, number: -1 };
  const dev = createSeen(host.net, /^[^/:\s]{1,15}$/.test(name) ? name : 'eth%d', facts.caps, seen);
  dev.addresses.push(...portAddresses(spec, facts));
  if (options.up !== false) devOpen(dev);
  return dev;
}

function createSeen(
  net: Net,
  name: string,
  caps: { readonly mtu: number; readonly mac: Uint8Array },
  seen: Seen,
): NetDevice {
  const dev = allocEtherdev(net, { name, ops: SEEN_OPS, priv: seen });
  dev.devAddr.set(caps.mac);
  dev.mtu = caps.mtu;
  dev.maxMtu = Math.max(dev.maxMtu, caps.mtu);
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  return dev;
}

const SEEN_OPS: DeviceOps = {
  open(dev) {
    const seen = dev.priv as Seen;
    seen.number = seen.table.device(dev.name, (kept) => kept).index;
    netifCarrierOn(dev);
    netifStartQueue(dev.txQueues[0]!);
    return 0;
  },

  stop(dev) {
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
  },

  /**
   * To the first CPU that has a queue and runs. None, or no room there: dropped, and counted; but netpoll waits for room, because nobody
   * sends again what it has to say.
   */
  startXmit(skb, dev) {
    const { number } = dev.priv as Seen;
    const { len } = skb;
    const owner = ownerOf(dev);
    if (owner !== undefined && netpollTxRunning(dev) && !owner.hasRoom(skb)) return NETDEV_TX_BUSY;
    const own = handoverReady(skb, false);
    if (own !== null && owner?.xmit(own, number) === true) {
      dev.stats.add(STAT_TX_PACKETS);
      dev.stats.add(STAT_TX_BYTES, len);
      return NETDEV_TX_OK;
    }
    if (own !== null) own.pool.kfree(own, DropReason.CPU_BACKLOG);
    dev.stats.add(STAT_TX_DROPPED);
    return NETDEV_TX_OK;
  },

  setMacAddress: ethMacAddr,

  /** Memory of what has been sent comes back also while the event loop, and so the doorbell, is dead. */
  pollController(dev) {
    ownerOf(dev)?.sender.reap();
  },
};

function ownerOf(dev: NetDevice): RemoteCpu | undefined {
  const { owners, remotes } = dev.priv as Seen;
  for (const remote of remotes) if (remote.online && owners.includes(remote.cpu)) return remote;
  return undefined;
}
