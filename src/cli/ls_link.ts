/** Devices in the words of iproute2: `ip link`, `ip -s link`, and its JSON. */
import { devGetFlags } from '../device/change.ts';
import { devGetStats } from '../device/dev_stats.ts';
import {
  ARPHRD_ETHER,
  IF_OPER_DOWN,
  IFF_ALLMULTI,
  IFF_BROADCAST,
  IFF_DEBUG,
  IFF_DORMANT,
  IFF_DYNAMIC,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MASTER,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_PROMISC,
  IFF_RUNNING,
  IFF_SLAVE,
  IFF_UP,
  type NetDevice,
  netifRunning,
  OPERSTATES,
} from '../device/net_device.ts';
import { printMac } from '../wire/address.ts';

/** In the order in which `ip` prints them; RUNNING is left out where it is on, and NO-CARRIER takes its place where it is off. */
const FLAG_NAMES: readonly (readonly [number, string])[] = [
  [IFF_LOOPBACK, 'LOOPBACK'],
  [IFF_BROADCAST, 'BROADCAST'],
  [IFF_POINTOPOINT, 'POINTOPOINT'],
  [IFF_MULTICAST, 'MULTICAST'],
  [IFF_NOARP, 'NOARP'],
  [IFF_ALLMULTI, 'ALLMULTI'],
  [IFF_PROMISC, 'PROMISC'],
  [IFF_MASTER, 'MASTER'],
  [IFF_SLAVE, 'SLAVE'],
  [IFF_DEBUG, 'DEBUG'],
  [IFF_DYNAMIC, 'DYNAMIC'],
  [IFF_UP, 'UP'],
  [IFF_LOWER_UP, 'LOWER_UP'],
  [IFF_DORMANT, 'DORMANT'],
];

export function linkFlags(dev: NetDevice): string[] {
  const flags = devGetFlags(dev);
  const names = FLAG_NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
  if ((flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0) names.unshift('NO-CARRIER');
  const lower = lowerOf(dev);
  if (lower !== undefined && (lower.flags & IFF_UP) === 0) names.push('M-DOWN');
  return names;
}

/** The device that this one stands on, or is paired with; undefined: none, or in another machine. */
function lowerOf(dev: NetDevice): NetDevice | undefined {
  if (dev.iflink === 0) return undefined;
  return dev.net.devices.find(({ ifindex }) => ifindex === dev.iflink && ifindex !== dev.ifindex);
}

function operstate(dev: NetDevice): string {
  return OPERSTATES[netifRunning(dev) ? dev.operstate : IF_OPER_DOWN]!;
}

/** One device as an object of `ip -j -s link`. */
export function linkJson(dev: NetDevice, statistics: boolean): object {
  const stats = devGetStats(dev);
  const link = {
    ifindex: dev.ifindex,
    ...(lowerOf(dev) === undefined ? {} : { link: lowerOf(dev)!.name }),
    ifname: dev.name,
    flags: linkFlags(dev),
    mtu: dev.mtu,
    qdisc: qdiscName(dev),
    ...(dev.master === null ? {} : { master: dev.master.name }),
    operstate: operstate(dev),
    linkmode: 'DEFAULT',
    group: 'default',
    txqlen: dev.txQueueLen,
    link_type: dev.type === ARPHRD_ETHER ? 'ether' : 'loopback',
    address: printMac(dev.devAddr),
    broadcast: printMac(dev.broadcast),
  };
  if (!statistics) return link;
  return {
    ...link,
    stats64: {
      rx: {
        bytes: stats.get('rx_bytes'),
        packets: stats.get('rx_packets'),
        errors: stats.get('rx_errors'),
        dropped: stats.get('rx_dropped'),
        over_errors: stats.get('rx_missed_errors'),
        multicast: stats.get('multicast'),
      },
      tx: {
        bytes: stats.get('tx_bytes'),
        packets: stats.get('tx_packets'),
        errors: stats.get('tx_errors'),
        dropped: stats.get('tx_dropped'),
        carrier_errors: stats.get('tx_carrier_errors'),
        collisions: stats.get('collisions'),
      },
    },
  };
}

/** One device as `ip link` prints it, with `-s` its counters. */
export function linkText(dev: NetDevice, statistics: boolean): string {
  const lower = lowerOf(dev);
  const at = lower !== undefined ? `@${lower.name}` : dev.iflink !== 0 ? `@if${dev.iflink}` : '';
  const master = dev.master === null ? '' : ` master ${dev.master.name}`;
  const head = `${dev.ifindex}: ${dev.name}${at}: <${linkFlags(dev).join(',')}> mtu ${dev.mtu} qdisc ${qdiscName(dev)}`;
  const type = dev.type === ARPHRD_ETHER ? 'ether' : 'loopback';
  const lines = [
    `${head}${master} state ${operstate(dev)} mode DEFAULT group default qlen ${dev.txQueueLen}`,
    `    link/${type} ${printMac(dev.devAddr)} brd ${printMac(dev.broadcast)}`,
  ];
  if (statistics) {
    const stats = devGetStats(dev);
    const rx = ['rx_bytes', 'rx_packets', 'rx_errors', 'rx_dropped', 'rx_missed_errors', 'multicast'] as const;
    const tx = ['tx_bytes', 'tx_packets', 'tx_errors', 'tx_dropped', 'tx_carrier_errors', 'collisions'] as const;
    lines.push(
      ...columns(
        'RX:',
        ['bytes', 'packets', 'errors', 'dropped', 'missed', 'mcast'],
        rx.map((each) => stats.get(each)),
      ),
      ...columns(
        'TX:',
        ['bytes', 'packets', 'errors', 'dropped', 'carrier', 'collsns'],
        tx.map((each) => stats.get(each)),
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** As wide as the widest of a column's figures and iproute2's own widths. */
function columns(side: string, names: readonly string[], values: readonly number[]): string[] {
  const least = [10, 7, 6, 7, 7, 7];
  const widths = names.map((_name, i) => Math.max(least[i]!, String(values[i]).length));
  const title = names.map((name, i) => name.padStart(i === 0 ? widths[i]! - 3 + 0 : widths[i]!)).join(' ');
  return [
    `    ${side}${title} ${' '.repeat(10)}`,
    `    ${values.map((value, i) => String(value).padStart(widths[i]!)).join(' ')} `,
  ];
}

/** Once it was up a device keeps its discipline, also while it is down. */
function qdiscName(dev: NetDevice): string {
  return dev.qdisc?.ops.id ?? 'noop';
}
