/**
 * The kernel's interfaces as iproute2 shows them: facts over netlink (host/netlink/link_facts.ts) made the look of link_look.ts.
 */
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { IF_OPER_UNKNOWN, IFF_POINTOPOINT, IFF_UP, OPERSTATES, STAT_NAMES } from '../device/net_device.ts';
import { type LinkFacts, linkFacts, netnsIdOf } from '../host/netlink/link_facts.ts';
import { RtnetlinkSocket } from '../host/netlink/rtnetlink_socket.ts';
import { flagNames } from './link_flags.ts';
import { kindLook, slaveLook } from './link_kinds.ts';
import type { LinkLook } from './link_look.ts';

const NETNS_FOLDER = '/run/netns';

/** Names of ARPHRD_* types, as far as they are met; others are shown by number. */
const HARDWARE: Readonly<Record<number, string>> = {
  1: 'ether',
  32: 'infiniband',
  512: 'ppp',
  768: 'ipip',
  769: 'tunnel6',
  772: 'loopback',
  776: 'sit',
  778: 'gre',
  801: 'ieee802.11',
  803: 'ieee802.11/radiotap',
  823: 'gre6',
  824: 'netlink',
  65534: 'none',
};

const ADDR_GEN_MODES = ['eui64', 'none', 'stable_secret', 'random'];
const XDP_WORDS: Readonly<Record<number, string>> = { 1: 'xdp', 2: 'xdpgeneric', 3: 'xdpoffload', 4: 'xdpmulti' };

/** Every interface of this namespace, by number. Throws SetupError: no koffi, no netlink. */
export function kernelLooks(): LinkLook[] {
  const socket = new RtnetlinkSocket();
  try {
    const all = linkFacts(socket);
    let names: Map<number, string> | null = null;
    const netnsName = (id: number): string | null => {
      names ??= netnsNames(socket);
      return names.get(id) ?? null;
    };
    return all.map((facts) => look(facts, all, netnsName));
  } finally {
    socket.close();
  }
}

function look(facts: LinkFacts, all: readonly LinkFacts[], netnsName: (id: number) => string | null): LinkLook {
  const byIndex = (ifindex: number): LinkFacts | undefined => all.find((each) => each.ifindex === ifindex);
  const { stats, lowerNetnsId, kind, slaveKind } = facts;
  const lower = facts.hasLower && facts.lowerNetnsId === null ? byIndex(facts.lower) : undefined;
  const master = facts.master === 0 ? null : (byIndex(facts.master)?.name ?? `if${facts.master}`);
  const broadcast = facts.broadcast === null ? null : printBytes(facts.broadcast);
  const point = (facts.flags & IFF_POINTOPOINT) !== 0;
  return {
    ifindex: facts.ifindex,
    name: facts.name,
    lower: lowerOf(facts, byIndex),
    flags: flagNames(facts.flags, lower !== undefined && (lower.flags & IFF_UP) === 0),
    mtu: facts.mtu,
    xdp: facts.xdp === null ? null : { ...facts.xdp, word: XDP_WORDS[facts.xdp.mode] ?? `xdp[${facts.xdp.mode}]` },
    qdisc: facts.qdisc,
    master,
    operstate: OPERSTATES[facts.operstate] ?? OPERSTATES[IF_OPER_UNKNOWN],
    mode: facts.linkMode === 1 ? 'DORMANT' : 'DEFAULT',
    group: facts.group === null || facts.group === 0 ? 'default' : String(facts.group),
    txQueueLen: facts.txQueueLen,
    type: HARDWARE[facts.hardware] ?? `[${facts.hardware}]`,
    address: facts.address === null || facts.address.length === 0 ? null : printBytes(facts.address),
    broadcast: broadcast === '' || (point && facts.broadcast?.every((byte) => byte === 0)) ? null : broadcast,
    permanent: permanent(facts),
    netns: lowerNetnsId === null ? null : { id: lowerNetnsId, name: netnsName(lowerNetnsId) },
    alias: facts.alias,
    details: {
      promiscuity: facts.promiscuity,
      allmulti: facts.allmulti,
      minMtu: facts.minMtu,
      maxMtu: facts.maxMtu,
      kind: kind === null ? null : kindLook(kind, facts.kindData),
      slave: slaveKind === null ? null : slaveLook(slaveKind, facts.slaveData),
      addrGenMode: facts.addrGenMode === null ? null : (ADDR_GEN_MODES[facts.addrGenMode] ?? String(facts.addrGenMode)),
      sizes: [
        ['numtxqueues', 'num_tx_queues', facts.txQueues],
        ['numrxqueues', 'num_rx_queues', facts.rxQueues],
        ['gso_max_size', 'gso_max_size', facts.gsoMaxSize],
        ['gso_max_segs', 'gso_max_segs', facts.gsoMaxSegs],
        ['tso_max_size', 'tso_max_size', facts.tsoMaxSize],
        ['tso_max_segs', 'tso_max_segs', facts.tsoMaxSegs],
        ['gro_max_size', 'gro_max_size', facts.groMaxSize],
      ],
    },
    stats:
      stats.length === 0
        ? null
        : { get: (name) => stats[STAT_NAMES.indexOf(name)] ?? 0, carrierChanges: facts.carrierChanges },
  };
}

function lowerOf(facts: LinkFacts, byIndex: (ifindex: number) => LinkFacts | undefined): LinkLook['lower'] {
  if (!facts.hasLower) return null;
  if (facts.lower === 0) return 'none';
  const lower = facts.lowerNetnsId === null ? byIndex(facts.lower) : undefined;
  return lower === undefined ? { ifindex: facts.lower } : { name: lower.name };
}

function permanent({ permanentAddress, address }: LinkFacts): string | null {
  if (permanentAddress === null || address === null) return null;
  const text = printBytes(permanentAddress);
  return text === printBytes(address) ? null : text;
}

/** Names in /run/netns by the number that this namespace has for them. */
function netnsNames(socket: RtnetlinkSocket): Map<number, string> {
  const found = new Map<number, string>();
  let names: string[] = [];
  try {
    names = readdirSync(NETNS_FOLDER);
  } catch {
    // Nobody has named a namespace.
  }
  for (const name of names) {
    try {
      const fd = openSync(`${NETNS_FOLDER}/${name}`, constants.O_RDONLY);
      const id = netnsIdOf(socket, fd);
      closeSync(fd);
      if (id >= 0 && !found.has(id)) found.set(id, name);
    } catch {
      // Removed between the listing and the look, or not ours to open.
    }
  }
  return found;
}

function printBytes(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
