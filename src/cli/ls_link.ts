/** Devices in the words of iproute2: `ip link`, `ip -s link`, and its JSON. */
import { devGetFlags } from '../device/change.ts';
import { devGetStats } from '../device/dev_stats.ts';
import { ARPHRD_ETHER, IF_OPER_DOWN, IFF_UP, type NetDevice, netifRunning, OPERSTATES } from '../device/net_device.ts';
import { printMac } from '../wire/address.ts';
import { flagNames } from './link_flags.ts';
import { type LinkLook, lookJson, lookText } from './link_look.ts';

/** The device that this one stands on, or is paired with; undefined: none, or in another machine. */
function lowerOf(dev: NetDevice): NetDevice | undefined {
  if (dev.iflink === 0) return undefined;
  return dev.net.devices.find(({ ifindex }) => ifindex === dev.iflink && ifindex !== dev.ifindex);
}

function operstate(dev: NetDevice): string {
  return OPERSTATES[netifRunning(dev) ? dev.operstate : IF_OPER_DOWN]!;
}

/** A device as iproute2 would see it. */
export function lookOf(dev: NetDevice): LinkLook {
  const lower = lowerOf(dev);
  const stats = devGetStats(dev);
  return {
    ifindex: dev.ifindex,
    name: dev.name,
    lower: lower !== undefined ? { name: lower.name } : dev.iflink !== 0 ? { ifindex: dev.iflink } : null,
    flags: flagNames(devGetFlags(dev), lower !== undefined && (lower.flags & IFF_UP) === 0),
    mtu: dev.mtu,
    xdp: null,
    // Once it was up a device keeps its discipline, also while it is down.
    qdisc: dev.qdisc?.ops.id ?? 'noop',
    master: dev.master?.name ?? null,
    operstate: operstate(dev),
    mode: 'DEFAULT',
    group: 'default',
    txQueueLen: dev.txQueueLen,
    type: dev.type === ARPHRD_ETHER ? 'ether' : 'loopback',
    address: printMac(dev.devAddr),
    broadcast: printMac(dev.broadcast),
    permanent: null,
    netns: null,
    alias: null,
    details: {
      promiscuity: dev.promiscuity,
      allmulti: dev.allmulti,
      minMtu: dev.minMtu,
      maxMtu: dev.maxMtu,
      kind: null,
      slave: null,
      addrGenMode: null,
      sizes: [
        ['numtxqueues', 'num_tx_queues', dev.txQueues.length],
        ['numrxqueues', 'num_rx_queues', Math.max(1, dev.napiList.length)],
      ],
    },
    stats: { get: (name) => stats.get(name), carrierChanges: dev.carrierUpCount + dev.carrierDownCount },
  };
}

/** One device as an object of `ip -j -s link`. */
export function linkJson(dev: NetDevice, statistics: boolean): object {
  return lookJson(lookOf(dev), { details: false, stats: statistics ? 1 : 0 });
}

/** One device as `ip link` prints it, with `-s` its counters. */
export function linkText(dev: NetDevice, statistics: boolean): string {
  return lookText(lookOf(dev), { details: false, stats: statistics ? 1 : 0 });
}
