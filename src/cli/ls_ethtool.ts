/** Devices in the words of ethtool: `-S` statistics, `-g` rings, `-c` coalescing, `-k` features, `-l` channels, `-i` driver. */
import { SetupError } from '../base/status.ts';
import type { CoalesceParams } from '../device/coalesce.ts';
import { ethtoolGetStats } from '../device/ethtool.ts';
import * as F from '../device/features.ts';
import type { NetDevice } from '../device/net_device.ts';

export type EthtoolQuery = 'statistics' | 'rings' | 'coalesce' | 'features' | 'channels' | 'driver';

/** ethtool's names; indented ones belong to the line above, which is on if one of them is. */
const FEATURES: readonly (readonly [name: string, bit: number, members?: readonly (readonly [string, number])[]])[] = [
  ['rx-checksumming', F.NETIF_F_RXCSUM],
  [
    'tx-checksumming',
    F.NETIF_F_CSUM_MASK,
    [
      ['tx-checksum-ipv4', F.NETIF_F_IP_CSUM],
      ['tx-checksum-ip-generic', F.NETIF_F_HW_CSUM],
      ['tx-checksum-ipv6', F.NETIF_F_IPV6_CSUM],
    ],
  ],
  [
    'scatter-gather',
    F.NETIF_F_SG | F.NETIF_F_FRAGLIST,
    [
      ['tx-scatter-gather', F.NETIF_F_SG],
      ['tx-scatter-gather-fraglist', F.NETIF_F_FRAGLIST],
    ],
  ],
  [
    'tcp-segmentation-offload',
    F.NETIF_F_ALL_TSO,
    [
      ['tx-tcp-segmentation', F.NETIF_F_TSO],
      ['tx-tcp-ecn-segmentation', F.NETIF_F_TSO_ECN],
      ['tx-tcp-mangleid-segmentation', F.NETIF_F_TSO_MANGLEID],
      ['tx-tcp6-segmentation', F.NETIF_F_TSO6],
    ],
  ],
  ['generic-segmentation-offload', F.NETIF_F_GSO],
  ['generic-receive-offload', F.NETIF_F_GRO],
  ['large-receive-offload', F.NETIF_F_LRO],
  ['rx-vlan-offload', F.NETIF_F_HW_VLAN_CTAG_RX],
  ['tx-vlan-offload', F.NETIF_F_HW_VLAN_CTAG_TX],
  ['ntuple-filters', F.NETIF_F_NTUPLE],
  ['receive-hashing', F.NETIF_F_RXHASH],
  ['highdma', F.NETIF_F_HIGHDMA],
  ['rx-vlan-filter', F.NETIF_F_HW_VLAN_CTAG_FILTER],
  ['tx-gso-robust', F.NETIF_F_GSO_ROBUST],
  ['tx-gso-partial', F.NETIF_F_GSO_PARTIAL],
  ['tx-udp-segmentation', F.NETIF_F_GSO_UDP_L4],
  ['tx-gso-list', F.NETIF_F_GSO_FRAGLIST],
  ['loopback', F.NETIF_F_LOOPBACK],
  ['rx-fcs', F.NETIF_F_RXFCS],
  ['rx-gro-hw', F.NETIF_F_GRO_HW],
  ['rx-gro-list', F.NETIF_F_GRO_FRAGLIST],
  ['rx-udp-gro-forwarding', F.NETIF_F_GRO_UDP_FWD],
];

/** What ethtool would say, as an object for `--json`. Throws SetupError where the driver has no answer. */
export function ethtoolJson(dev: NetDevice, query: EthtoolQuery): object {
  const ops = dev.ethtoolOps;
  const answer = (what: object | null | undefined): object => {
    if (what !== null && what !== undefined) return what;
    throw new SetupError('ERR_NETPOLL_ETHTOOL', `${dev.name}: Operation not supported`);
  };
  if (query === 'features') {
    const rows = FEATURES.flatMap(([name, bit, members]) => [[name, bit] as const, ...(members ?? [])]);
    return Object.fromEntries(
      rows.map(([name, bit]) => [
        name,
        {
          active: (dev.features & bit) !== 0,
          fixed: (dev.hwFeatures & bit) === 0,
          requested: (dev.wantedFeatures & bit) !== 0,
        },
      ]),
    );
  }
  if (query === 'statistics') {
    const stats = ethtoolGetStats(dev);
    if (stats === null) throw new SetupError('ERR_NETPOLL_ETHTOOL', 'no stats available');
    return Object.fromEntries(stats);
  }
  if (query === 'rings') return answer(ops?.getRingparam?.(dev));
  if (query === 'coalesce') return answer(ops?.getCoalesce?.(dev));
  if (query === 'channels') return answer(ops?.getChannels?.(dev));
  return answer(ops?.getDrvinfo?.(dev));
}

/** The same as text. */
export function ethtoolText(dev: NetDevice, query: EthtoolQuery): string {
  const answer = ethtoolJson(dev, query);
  if (query === 'features') return featuresText(dev);
  if (query === 'coalesce') return coalesceText(dev, answer as CoalesceParams);
  if (query === 'statistics') {
    const rows = Object.entries(answer).map(([name, value]) => `     ${name}: ${value}`);
    return `NIC statistics:\n${rows.join('\n')}\n`;
  }
  const now = answer as Readonly<Record<string, string | number>>;
  if (query === 'driver') return `driver: ${now.driver}\nversion: ${now.version}\nbus-info: ${now.busInfo}\n`;
  const what = query === 'rings' ? 'Ring' : 'Channel';
  const rows: readonly [string, string][] =
    query === 'rings'
      ? [
          ['RX', 'rx'],
          ['TX', 'tx'],
        ]
      : [
          ['RX', 'rx'],
          ['TX', 'tx'],
          ['Combined', 'combined'],
        ];
  const table = (suffix: string) =>
    rows.map(([name, key]) => `${`${name}:`.padEnd(16)}${now[key + suffix] || 'n/a'}`).join('\n');
  return `${what} parameters for ${dev.name}:\nPre-set maximums:\n${table('Max')}\nCurrent hardware settings:\n${table('')}\n`;
}

function featuresText(dev: NetDevice): string {
  const state = (bit: number) =>
    `${(dev.features & bit) !== 0 ? 'on' : 'off'}${(dev.hwFeatures & bit) === 0 ? ' [fixed]' : ''}`;
  const lines = [`Features for ${dev.name}:`];
  for (const [name, bit, members] of FEATURES) {
    lines.push(`${name}: ${members === undefined ? state(bit) : (dev.features & bit) !== 0 ? 'on' : 'off'}`);
    for (const [member, memberBit] of members ?? []) lines.push(`\t${member}: ${state(memberBit)}`);
  }
  return `${lines.join('\n')}\n`;
}

function coalesceText(dev: NetDevice, c: CoalesceParams): string {
  const on = (value: boolean) => (value ? 'on' : 'off');
  const rows: (readonly [string, number] | null)[] = [
    ['stats-block-usecs', c.statsBlockUsecs],
    ['sample-interval', c.sampleInterval],
    ['pkt-rate-low', c.pktRateLow],
    ['pkt-rate-high', c.pktRateHigh],
    null,
    ['rx-usecs', c.rxUsecs],
    ['rx-frames', c.rxFrames],
    ['rx-usecs-irq', c.rxUsecsIrq],
    ['rx-frames-irq', c.rxFramesIrq],
    null,
    ['tx-usecs', c.txUsecs],
    ['tx-frames', c.txFrames],
    ['tx-usecs-irq', c.txUsecsIrq],
    ['tx-frames-irq', c.txFramesIrq],
    null,
    ['rx-usecs-low', c.rxUsecsLow],
    ['rx-frame-low', c.rxFramesLow],
    ['tx-usecs-low', c.txUsecsLow],
    ['tx-frame-low', c.txFramesLow],
    null,
    ['rx-usecs-high', c.rxUsecsHigh],
    ['rx-frame-high', c.rxFramesHigh],
    ['tx-usecs-high', c.txUsecsHigh],
    ['tx-frame-high', c.txFramesHigh],
    null,
  ];
  const text = rows.map((row) => (row === null ? '' : `${row[0]}:\t${row[1]}`)).join('\n');
  return `Coalesce parameters for ${dev.name}:\nAdaptive RX: ${on(c.adaptiveRx)}  TX: ${on(c.adaptiveTx)}\n${text}\n`;
}
