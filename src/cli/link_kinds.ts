/**
 * What kinds of interfaces have of their own, in iproute2's words and order (`ip -d link`): tun and tap, VLANs, bridges and their ports.
 * A row for each attribute; one that the kernel does not send is left out. Other kinds are shown by their name alone.
 *
 * Answers to linux/if_link.h, if_tun.h, if_vlan.h.
 */
import { readFileSync } from 'node:fs';
import { nlU8, nlU32, nlU64, viewOf } from '../host/netlink/nlmsg.ts';
import { printMac } from '../wire/address.ts';
import type { Fact, KindLook } from './link_look.ts';

type Attributes = ReadonlyMap<number, Uint8Array>;
type Row = (attributes: Attributes) => Fact | null;

/** All that is shown of an interface of this kind. */
export function kindLook(kind: string, attributes: Attributes): KindLook {
  return look(kind, KINDS[kind], attributes);
}

/** What the interface is to the one on top of it, which is of this kind. */
export function slaveLook(kind: string, attributes: Attributes): KindLook {
  return look(kind, SLAVE_KINDS[kind], attributes);
}

function look(kind: string, rows: readonly Row[] | undefined, attributes: Attributes): KindLook {
  return { kind, facts: (rows ?? []).flatMap((row) => row(attributes) ?? []) };
}

/** A value under its word; JSON may have another word for it. */
function row<T extends string | number>(
  type: number,
  word: string,
  read: (bytes: Uint8Array) => T | null,
  key = word,
): Row {
  return (attributes) => {
    const bytes = attributes.get(type);
    const value = bytes === undefined ? null : read(bytes);
    return value === null ? null : { text: `${word} ${value}`, key, value };
  };
}

const u8 = (type: number, word: string, key?: string): Row => row(type, word, nlU8, key);
const u16Of = (bytes: Uint8Array): number | null => (bytes.length < 2 ? null : viewOf(bytes).getUint16(0, true));
const u16 = (type: number, word: string, key?: string): Row => row(type, word, u16Of, key);
const u32 = (type: number, word: string, key?: string): Row => row(type, word, nlU32, key);
const u64 = (type: number, word: string, key?: string): Row => row(type, word, nlU64, key);
const hex = (type: number, word: string, key?: string): Row => row(type, word, (bytes) => hexOf(u16Of(bytes)), key);
const mac = (type: number, word: string, key?: string): Row => row(type, word, printMac, key);
const id = (type: number, word: string, key?: string): Row => row(type, word, bridgeId, key);

/** As C's `%#x`, which gives 0 no prefix. */
function hexOf(value: number | null): string | null {
  return value === null ? null : value === 0 ? '0' : `0x${value.toString(16)}`;
}

/** Priority and address: `8000.2:0:0:0:0:1`. */
function bridgeId(bytes: Uint8Array): string | null {
  if (bytes.length < 8) return null;
  const priority = [...bytes.subarray(0, 2)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${priority}.${[...bytes.subarray(2, 8)].map((byte) => byte.toString(16)).join(':')}`;
}

/** Hundredths of a second. */
function timer(type: number, word: string): Row {
  return (attributes) => {
    const value = nlU64(attributes.get(type));
    if (value === null) return null;
    return { text: `${word} ${(value / 100).toFixed(2).padStart(7)}`, key: word, value: value / 100 };
  };
}

function onOff(type: number, word: string, key = word): Row {
  return (attributes) => {
    const value = nlU8(attributes.get(type));
    return value === null ? null : { text: `${word} ${value === 0 ? 'off' : 'on'}`, key, value: value !== 0 };
  };
}

/** One bit of a bridge's boolean options. */
function bridgeOption(bit: number, word: string): Row {
  return (attributes) => {
    const options = nlU32(attributes.get(46));
    const value = options === null ? null : (options >>> bit) & 1;
    return value === null ? null : { text: `${word} ${value}`, key: word, value };
  };
}

function etherType(bytes: Uint8Array): string | null {
  if (bytes.length < 2) return null;
  const type = viewOf(bytes).getUint16(0);
  return type === 0x8100 ? '802.1Q' : type === 0x88a8 ? '802.1ad' : `0x${type.toString(16)}`;
}

const VLAN_FLAGS = ['REORDER_HDR', 'GVRP', 'LOOSE_BINDING', 'MVRP', 'BRIDGE_BINDING'];

const vlanFlags: Row = (attributes) => {
  const bits = nlU32(attributes.get(2));
  if (bits === null) return null;
  const names = VLAN_FLAGS.filter((_, bit) => (bits & (1 << bit)) !== 0);
  return { text: `<${names.join(',')}>`, key: 'flags', value: names };
};

/** The name of a number in a file of the form NAME:x:NUMBER:...; the number itself if it has none. */
function nameOf(file: string, number: number | null): string | number | null {
  if (number === null) return null;
  try {
    const rows = readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
    return rows.find((fields) => fields[2] === String(number))?.[0] ?? number;
  } catch {
    return number;
  }
}

const TUN: readonly Row[] = [
  row(3, 'type', (bytes) => (bytes[0] === 2 ? 'tap' : 'tun')),
  onOff(4, 'pi'),
  onOff(5, 'vnet_hdr'),
  (attributes) => {
    const on = nlU8(attributes.get(7)) === 1;
    return { text: on ? 'multi_queue' : '', key: 'multi_queue', value: on };
  },
  (attributes) => (nlU8(attributes.get(7)) === 1 ? u32(8, 'numqueues')(attributes) : null),
  (attributes) => (nlU8(attributes.get(7)) === 1 ? u32(9, 'numdisabled')(attributes) : null),
  onOff(6, 'persist'),
  row(1, 'user', (bytes) => nameOf('/etc/passwd', nlU32(bytes))),
  row(2, 'group', (bytes) => nameOf('/etc/group', nlU32(bytes))),
];

const BRIDGE: readonly Row[] = [
  u32(1, 'forward_delay'),
  u32(2, 'hello_time'),
  u32(3, 'max_age'),
  u32(4, 'ageing_time'),
  u32(5, 'stp_state'),
  u16(6, 'priority'),
  u8(7, 'vlan_filtering'),
  row(8, 'vlan_protocol', etherType),
  id(11, 'bridge_id'),
  id(10, 'designated_root', 'root_id'),
  u16(12, 'root_port'),
  u32(13, 'root_path_cost'),
  u8(14, 'topology_change'),
  u8(15, 'topology_change_detected'),
  timer(16, 'hello_timer'),
  timer(17, 'tcn_timer'),
  timer(18, 'topology_change_timer'),
  timer(19, 'gc_timer'),
  u16(39, 'vlan_default_pvid'),
  u8(41, 'vlan_stats_enabled'),
  u8(45, 'vlan_stats_per_port'),
  hex(9, 'group_fwd_mask'),
  mac(20, 'group_address', 'group_addr'),
  u8(23, 'mcast_snooping'),
  bridgeOption(0, 'no_linklocal_learn'),
  bridgeOption(1, 'mcast_vlan_snooping'),
  u8(22, 'mcast_router'),
  u8(24, 'mcast_query_use_ifaddr'),
  u8(25, 'mcast_querier'),
  u32(26, 'mcast_hash_elasticity'),
  u32(27, 'mcast_hash_max'),
  u32(28, 'mcast_last_member_count', 'mcast_last_member_cnt'),
  u32(29, 'mcast_startup_query_count', 'mcast_startup_query_cnt'),
  u64(30, 'mcast_last_member_interval', 'mcast_last_member_intvl'),
  u64(31, 'mcast_membership_interval', 'mcast_membership_intvl'),
  u64(32, 'mcast_querier_interval', 'mcast_querier_intvl'),
  u64(33, 'mcast_query_interval', 'mcast_query_intvl'),
  u64(34, 'mcast_query_response_interval', 'mcast_query_response_intvl'),
  u64(35, 'mcast_startup_query_interval', 'mcast_startup_query_intvl'),
  u8(42, 'mcast_stats_enabled'),
  u8(43, 'mcast_igmp_version'),
  u8(44, 'mcast_mld_version'),
  u8(36, 'nf_call_iptables'),
  u8(37, 'nf_call_ip6tables'),
  u8(38, 'nf_call_arptables'),
];

const PORT_STATES = ['disabled', 'listening', 'learning', 'forwarding', 'blocking'];

const BRIDGE_PORT: readonly Row[] = [
  row(1, 'state', (bytes) => PORT_STATES[bytes[0] ?? 0] ?? `${bytes[0]}`),
  u16(2, 'priority'),
  u32(3, 'cost'),
  onOff(4, 'hairpin'),
  onOff(5, 'guard'),
  onOff(6, 'root_block'),
  onOff(7, 'fastleave'),
  onOff(8, 'learning'),
  onOff(9, 'flood'),
  hex(17, 'port_id', 'id'),
  hex(18, 'port_no', 'no'),
  u16(15, 'designated_port'),
  u16(16, 'designated_cost'),
  id(14, 'designated_bridge', 'bridge_id'),
  id(13, 'designated_root', 'root_id'),
  timer(23, 'hold_timer'),
  timer(21, 'message_age_timer'),
  timer(22, 'forward_delay_timer'),
  u8(19, 'topology_change_ack'),
  u8(20, 'config_pending'),
  onOff(10, 'proxy_arp'),
  onOff(12, 'proxy_arp_wifi'),
  u8(25, 'mcast_router', 'multicast_router'),
  // Once more under another word, in the text alone.
  onOff(7, 'mcast_fast_leave', 'fastleave'),
  onOff(27, 'mcast_flood'),
  onOff(30, 'bcast_flood'),
  onOff(28, 'mcast_to_unicast'),
  onOff(32, 'neigh_suppress'),
  hex(31, 'group_fwd_mask'),
  row(31, 'group_fwd_mask_str', (bytes) => `0x${(u16Of(bytes) ?? 0).toString(16)}`),
  onOff(29, 'vlan_tunnel'),
  onOff(33, 'isolated'),
  onOff(39, 'locked'),
];

const KINDS: Readonly<Record<string, readonly Row[]>> = {
  tun: TUN,
  vlan: [row(5, 'protocol', etherType), u16(1, 'id'), vlanFlags],
  bridge: BRIDGE,
};

const SLAVE_KINDS: Readonly<Record<string, readonly Row[]>> = { bridge: BRIDGE_PORT };
