/**
 * The options of a bond: names, what values they take, in which modes and when. (`bond_opts`, as of 6.18)
 *
 *     mode            0 balance-rr ... 6 balance-alb      while the bond has no slaves and is down
 *     miimon          0 to 2147483647, or `off`
 *     lacp_rate       slow, fast                           802.3ad only, while it is down
 *
 * A value is given by number or by name; `default` is the name of the one that a new bond has.
 */
import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
} from './bond.ts';

export interface BondOptionSpec {
  /** Names of values; those of a range are its ends and what is special. Absent: raw text, which the option reads itself. */
  readonly values?: readonly (readonly [name: string, value: number])[];
  /** Numbers from `min` to `max` besides those with names. */
  readonly min?: number;
  readonly max?: number;
  readonly byDefault?: number;
  /** The only modes that have it. */
  readonly modes?: readonly number[];
  readonly noSlaves?: true;
  readonly ifDown?: true;
}

const INT_MAX = 0x7fffffff;
const OFF_ON = [
  ['off', 0],
  ['on', 1],
] as const;
const AD = [BOND_MODE_8023AD];
const PRIMARY = [BOND_MODE_ACTIVEBACKUP, BOND_MODE_TLB, BOND_MODE_ALB];
const ARP = [0, 1, 2, 3];
const MS = { values: [['off', 0]], min: 0, max: INT_MAX, byDefault: 0 } as const;

export const BOND_OPTIONS = {
  mode: {
    values: [
      ['balance-rr', 0],
      ['active-backup', 1],
      ['balance-xor', 2],
      ['broadcast', 3],
      ['802.3ad', 4],
      ['balance-tlb', 5],
      ['balance-alb', 6],
    ],
    byDefault: 0,
    noSlaves: true,
    ifDown: true,
  },
  packets_per_slave: { values: [], min: 0, max: 65535, byDefault: 1, modes: [BOND_MODE_ROUNDROBIN] },
  xmit_hash_policy: {
    values: [
      ['layer2', 0],
      ['layer3+4', 1],
      ['layer2+3', 2],
      ['encap2+3', 3],
      ['encap3+4', 4],
      ['vlan+srcmac', 5],
    ],
    byDefault: 0,
  },
  arp_validate: {
    values: [
      ['none', 0],
      ['active', 1],
      ['backup', 2],
      ['all', 3],
      ['filter', 4],
      ['filter_active', 5],
      ['filter_backup', 6],
    ],
    byDefault: 0,
    modes: ARP,
  },
  arp_all_targets: {
    values: [
      ['any', 0],
      ['all', 1],
    ],
    byDefault: 0,
  },
  fail_over_mac: {
    values: [
      ['none', 0],
      ['active', 1],
      ['follow', 2],
    ],
    byDefault: 0,
    noSlaves: true,
  },
  arp_interval: { ...MS, modes: ARP },
  arp_ip_target: {},
  ns_ip6_target: {},
  arp_missed_max: { values: [], min: 1, max: 255, byDefault: 2, modes: ARP },
  downdelay: MS,
  updelay: MS,
  peer_notif_delay: { values: [['off', 0]], min: 0, max: 300_000, byDefault: 0 },
  lacp_rate: {
    values: [
      ['slow', 0],
      ['fast', 1],
    ],
    byDefault: 0,
    modes: AD,
    ifDown: true,
  },
  lacp_active: { values: OFF_ON, byDefault: 1, modes: AD, ifDown: true },
  min_links: { values: [], min: 0, max: INT_MAX, byDefault: 0 },
  ad_select: {
    values: [
      ['stable', 0],
      ['bandwidth', 1],
      ['count', 2],
      ['actor_port_prio', 3],
    ],
    byDefault: 0,
    ifDown: true,
  },
  num_grat_arp: { values: [['off', 0]], min: 0, max: 255, byDefault: 1 },
  num_unsol_na: { values: [['off', 0]], min: 0, max: 255, byDefault: 1 },
  miimon: MS,
  prio: { modes: PRIMARY },
  primary: { modes: PRIMARY },
  primary_reselect: {
    values: [
      ['always', 0],
      ['better', 1],
      ['failure', 2],
    ],
    byDefault: 0,
  },
  use_carrier: { values: [['on', 1]], byDefault: 1 },
  active_slave: { modes: PRIMARY },
  queue_id: {},
  all_slaves_active: { values: OFF_ON, byDefault: 0 },
  resend_igmp: { values: [['off', 0]], min: 0, max: 255, byDefault: 1 },
  lp_interval: { values: [], min: 1, max: INT_MAX, byDefault: 1 },
  slaves: {},
  tlb_dynamic_lb: { values: OFF_ON, byDefault: 1, modes: [BOND_MODE_TLB, BOND_MODE_ALB], ifDown: true },
  ad_actor_sys_prio: { values: [], min: 1, max: 65535, byDefault: 65535, modes: AD },
  ad_actor_system: { modes: AD },
  ad_user_port_key: { values: [], min: 0, max: 1023, byDefault: 0, modes: AD, ifDown: true },
  actor_port_prio: { modes: AD },
  coupled_control: { values: OFF_ON, byDefault: 1, modes: AD, ifDown: true },
  broadcast_neighbor: { values: OFF_ON, byDefault: 0, modes: AD },
} as const satisfies Record<string, BondOptionSpec>;

export type BondOptionName = keyof typeof BOND_OPTIONS;

export function bondOptionSpec(name: string): BondOptionSpec | undefined {
  return Object.hasOwn(BOND_OPTIONS, name) ? BOND_OPTIONS[name as BondOptionName] : undefined;
}

/** The number that `text` stands for, or undefined: not a value of this option. (`bond_opt_parse`) */
export function bondOptParse(spec: BondOptionSpec, text: string): number | undefined {
  const values = spec.values ?? [];
  const word = text.trim();
  if (/^\d+$/.test(word)) {
    const number = Number(word);
    if (values.some(([, value]) => value === number)) return number;
    return spec.max !== undefined && number >= (spec.min ?? 0) && number <= spec.max ? number : undefined;
  }
  if (word === 'default') return spec.byDefault;
  return values.find(([name]) => name === word)?.[1];
}

/** The name of a value where it has one. (`bond_opt_get_val`) */
export function bondOptName(option: BondOptionName, value: number): string {
  const spec: BondOptionSpec = BOND_OPTIONS[option];
  return spec.values?.find(([, each]) => each === value)?.[0] ?? String(value);
}
