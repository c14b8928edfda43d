/** Devices in the words of ethtool: `-S` statistics, `-g` rings, `-c` coalescing, `-k` features, `-l` channels, `-i` driver. */
import { SetupError } from '../base/status.ts';
import type { CoalesceName, CoalesceParams } from '../device/coalesce.ts';
import { type Channels, type Drvinfo, ethtoolGetStats, type Ringparam } from '../device/ethtool.ts';
import * as F from '../device/features.ts';
import type { NetDevice } from '../device/net_device.ts';

export type EthtoolQuery = 'statistics' | 'rings' | 'coalesce' | 'features' | 'channels' | 'driver';

/** ethtool's names; indented ones belong to the line above, which is on if one of them is. Bit 0: no device of ours has it. */
const FEATURES: readonly (readonly [name: string, bit: number, members?: readonly (readonly [string, number])[]])[] = [
  ['rx-checksumming', F.NETIF_F_RXCSUM],
  [
    'tx-checksumming',
    F.NETIF_F_CSUM_MASK,
    [
      ['tx-checksum-ipv4', F.NETIF_F_IP_CSUM],
      ['tx-checksum-ip-generic', F.NETIF_F_HW_CSUM],
      ['tx-checksum-ipv6', F.NETIF_F_IPV6_CSUM],
      ['tx-checksum-fcoe-crc', 0],
      ['tx-checksum-sctp', 0],
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
      ['tx-tcp-accecn-segmentation', 0],
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
  ['vlan-challenged', 0],
  ['tx-gso-robust', F.NETIF_F_GSO_ROBUST],
  ['tx-fcoe-segmentation', 0],
  ['tx-gre-segmentation', 0],
  ['tx-gre-csum-segmentation', 0],
  ['tx-ipxip4-segmentation', 0],
  ['tx-ipxip6-segmentation', 0],
  ['tx-udp_tnl-segmentation', 0],
  ['tx-udp_tnl-csum-segmentation', 0],
  ['tx-gso-partial', F.NETIF_F_GSO_PARTIAL],
  ['tx-tunnel-remcsum-segmentation', 0],
  ['tx-sctp-segmentation', 0],
  ['tx-esp-segmentation', 0],
  ['tx-udp-segmentation', F.NETIF_F_GSO_UDP_L4],
  ['tx-gso-list', F.NETIF_F_GSO_FRAGLIST],
  ['tx-nocache-copy', 0],
  ['loopback', F.NETIF_F_LOOPBACK],
  ['rx-fcs', F.NETIF_F_RXFCS],
  ['rx-all', 0],
  ['tx-vlan-stag-hw-insert', F.NETIF_F_HW_VLAN_STAG_TX],
  ['rx-vlan-stag-hw-parse', 0],
  ['rx-vlan-stag-filter', 0],
  ['l2-fwd-offload', 0],
  ['hw-tc-offload', 0],
  ['esp-hw-offload', 0],
  ['esp-tx-csum-hw-offload', 0],
  ['rx-udp_tunnel-port-offload', 0],
  ['tls-hw-tx-offload', 0],
  ['tls-hw-rx-offload', 0],
  ['rx-gro-hw', F.NETIF_F_GRO_HW],
  ['tls-hw-record', 0],
  ['rx-gro-list', F.NETIF_F_GRO_FRAGLIST],
  ['macsec-hw-offload', 0],
  ['rx-udp-gro-forwarding', F.NETIF_F_GRO_UDP_FWD],
  ['hsr-tag-ins-offload', 0],
  ['hsr-tag-rm-offload', 0],
  ['hsr-fwd-offload', 0],
  ['hsr-dup-offload', 0],
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

/** The same as text, as ethtool 6 prints it. */
export function ethtoolText(dev: NetDevice, query: EthtoolQuery): string {
  const answer = ethtoolJson(dev, query);
  if (query === 'features') return featuresText(dev);
  if (query === 'coalesce') return coalesceText(dev, answer as CoalesceParams);
  if (query === 'rings') return ringsText(dev, answer as Ringparam);
  if (query === 'channels') return channelsText(dev, answer as Channels);
  if (query === 'driver') return driverText(dev, answer as Drvinfo);
  const rows = Object.entries(answer).map(([name, value]) => `     ${name}: ${value}`);
  return `NIC statistics:\n${rows.join('\n')}\n`;
}

/** A number, or that there is none. */
const figure = (value: number): string => (value === 0 ? 'n/a' : String(value));

function ringsText(dev: NetDevice, { rx, tx, rxMax, txMax }: Ringparam): string {
  const table = (rxs: number, txs: number) => [
    `RX:\t\t${figure(rxs)}`,
    'RX Mini:\tn/a',
    'RX Jumbo:\tn/a',
    `TX:\t\t${figure(txs)}`,
  ];
  const more = ['RX Buf Len:\t\tn/a', 'CQE Size:\t\tn/a', 'TX Push:\toff', 'TCP data split:\tn/a'];
  const lines = ['Pre-set maximums:', ...table(rxMax, txMax), 'Current hardware settings:', ...table(rx, tx), ...more];
  return `Ring parameters for ${dev.name}:\n${lines.join('\n')}\n`;
}

function channelsText(dev: NetDevice, now: Channels): string {
  const table = (rx: number, tx: number, combined: number) => [
    `RX:\t\t${figure(rx)}`,
    `TX:\t\t${figure(tx)}`,
    'Other:\t\tn/a',
    `Combined:\t${figure(combined)}`,
  ];
  const lines = [
    'Pre-set maximums:',
    ...table(now.rxMax, now.txMax, now.combinedMax),
    'Current hardware settings:',
    ...table(now.rx, now.tx, now.combined),
  ];
  return `Channel parameters for ${dev.name}:\n${lines.join('\n')}\n`;
}

function driverText(dev: NetDevice, now: Drvinfo): string {
  const has = (what: unknown): string => (what === undefined ? 'no' : 'yes');
  return [
    `driver: ${now.driver}`,
    `version: ${now.version}`,
    `firmware-version: ${now.firmwareVersion ?? ''}`,
    'expansion-rom-version: ',
    `bus-info: ${now.busInfo}`,
    `supports-statistics: ${has(dev.ethtoolOps?.getEthtoolStats)}`,
    `supports-test: ${has(dev.ethtoolOps?.selfTest)}`,
    'supports-eeprom-access: no',
    'supports-register-dump: no',
    'supports-priv-flags: no',
    '',
  ].join('\n');
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

/** What the driver does not know is n/a. */
function coalesceText(dev: NetDevice, c: CoalesceParams): string {
  const known = dev.ethtoolOps?.supportedCoalesceParams ?? [];
  const value = (name: CoalesceName): string => {
    if (!known.includes(name)) return 'n/a';
    const now = c[name];
    return typeof now === 'boolean' ? (now ? 'on' : 'off') : String(now);
  };
  const groups: readonly (readonly (readonly [string, CoalesceName])[])[] = [
    [
      ['stats-block-usecs', 'statsBlockUsecs'],
      ['sample-interval', 'sampleInterval'],
      ['pkt-rate-low', 'pktRateLow'],
      ['pkt-rate-high', 'pktRateHigh'],
    ],
    [
      ['rx-usecs', 'rxUsecs'],
      ['rx-frames', 'rxFrames'],
      ['rx-usecs-irq', 'rxUsecsIrq'],
      ['rx-frames-irq', 'rxFramesIrq'],
    ],
    [
      ['tx-usecs', 'txUsecs'],
      ['tx-frames', 'txFrames'],
      ['tx-usecs-irq', 'txUsecsIrq'],
      ['tx-frames-irq', 'txFramesIrq'],
    ],
    [
      ['rx-usecs-low', 'rxUsecsLow'],
      ['rx-frame-low', 'rxFramesLow'],
      ['tx-usecs-low', 'txUsecsLow'],
      ['tx-frame-low', 'txFramesLow'],
    ],
    [
      ['rx-usecs-high', 'rxUsecsHigh'],
      ['rx-frame-high', 'rxFramesHigh'],
      ['tx-usecs-high', 'txUsecsHigh'],
      ['tx-frame-high', 'txFramesHigh'],
    ],
  ];
  const text = groups.map((group) => group.map(([label, name]) => `${label}: ${value(name)}\n`).join('')).join('\n');
  const head = `Coalesce parameters for ${dev.name}:\nAdaptive RX: ${value('adaptiveRx')}  TX: ${value('adaptiveTx')}\n`;
  return `${head}${text}\nCQE mode RX: n/a  TX: n/a\n\n`;
}
