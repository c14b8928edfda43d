/**
 * All that `ip -d -s link` shows of an interface, read from an RTM_NEWLINK message: the Link of rtnetlink.ts, and the rest.
 *
 * A figure that this kernel does not tell is null. What only one kind of interface has stays as attributes (`kindData`, `slaveData`):
 * who prints it knows their meaning. Answers to linux/if_link.h.
 */
import { NLM_F_REQUEST, nlAttributes, nlMessage, nlString, nlU8, nlU32, nlU64, viewOf } from './nlmsg.ts';
import { type Link, linksRequest, parseLink, RTM_NEWLINK } from './rtnetlink.ts';
import type { RtnetlinkSocket } from './rtnetlink_socket.ts';

const IFLA_ADDRESS = 1;
const IFLA_BROADCAST = 2;
const IFLA_LINK = 5;
const IFLA_QDISC = 6;
const IFLA_TXQLEN = 13;
const IFLA_LINKMODE = 17;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_STATS64 = 23;
const IFLA_AF_SPEC = 26;
const IFLA_GROUP = 27;
const IFLA_PROMISCUITY = 30;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_CARRIER_CHANGES = 35;
const IFLA_LINK_NETNSID = 37;
const IFLA_GSO_MAX_SEGS = 40;
const IFLA_GSO_MAX_SIZE = 41;
const IFLA_XDP = 43;
const IFLA_MIN_MTU = 50;
const IFLA_MAX_MTU = 51;
const IFLA_PERM_ADDRESS = 54;
const IFLA_GRO_MAX_SIZE = 58;
const IFLA_TSO_MAX_SIZE = 59;
const IFLA_TSO_MAX_SEGS = 60;
const IFLA_ALLMULTI = 61;
const IFLA_INFO_DATA = 2;
const IFLA_INFO_SLAVE_DATA = 5;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IFLA_XDP_ATTACHED = 2;
const IFLA_XDP_PROG_ID = 4;
const AF_INET6 = 10;
const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;

export interface LinkFacts extends Link {
  readonly qdisc: string | null;
  readonly txQueueLen: number | null;
  /** 0 default, 1 dormant. */
  readonly linkMode: number | null;
  readonly group: number | null;
  readonly address: Uint8Array | null;
  readonly broadcast: Uint8Array | null;
  /** Where it is another one. */
  readonly permanentAddress: Uint8Array | null;
  readonly alias: string | null;
  /** True: there is a device below or beside it, `lower` by number; 0: in no namespace that can be named. */
  readonly hasLower: boolean;
  /** The namespace of that device, by this namespace's number of it; null: this one. */
  readonly lowerNetnsId: number | null;
  readonly promiscuity: number | null;
  readonly allmulti: number | null;
  readonly minMtu: number | null;
  readonly maxMtu: number | null;
  readonly txQueues: number | null;
  readonly rxQueues: number | null;
  readonly gsoMaxSize: number | null;
  readonly gsoMaxSegs: number | null;
  readonly tsoMaxSize: number | null;
  readonly tsoMaxSegs: number | null;
  readonly groMaxSize: number | null;
  /** How IPv6 makes link-local addresses: 0 eui64, 1 none, 2 stable_secret, 3 random. */
  readonly addrGenMode: number | null;
  readonly carrierChanges: number | null;
  /** How its XDP program is attached (1 native, 2 generic, 3 in hardware), and the program's number; null: none is. */
  readonly xdp: { readonly mode: number; readonly program: number } | null;
  /** rtnl_link_stats64 in its order (device/link_stats.ts has the names). */
  readonly stats: readonly number[];
  readonly kindData: ReadonlyMap<number, Uint8Array>;
  readonly slaveData: ReadonlyMap<number, Uint8Array>;
}

/** Null for a message that is too short or has no name. */
export function parseLinkFacts(payload: Uint8Array): LinkFacts | null {
  const link = parseLink(payload);
  if (link === null) return null;
  const attributes = nlAttributes(payload, 16);
  const number = (type: number): number | null => nlU32(attributes.get(type));
  const nested = (bytes: Uint8Array | undefined): Map<number, Uint8Array> =>
    bytes === undefined ? new Map() : nlAttributes(bytes, 0);
  const info = nested(attributes.get(IFLA_LINKINFO));
  const netnsId = attributes.get(IFLA_LINK_NETNSID);
  const inet6 = nested(nested(attributes.get(IFLA_AF_SPEC)).get(AF_INET6));
  return {
    ...link,
    qdisc: nlString(attributes.get(IFLA_QDISC)),
    txQueueLen: number(IFLA_TXQLEN),
    linkMode: nlU8(attributes.get(IFLA_LINKMODE)),
    group: number(IFLA_GROUP),
    address: attributes.get(IFLA_ADDRESS) ?? null,
    broadcast: attributes.get(IFLA_BROADCAST) ?? null,
    permanentAddress: attributes.get(IFLA_PERM_ADDRESS) ?? null,
    alias: nlString(attributes.get(IFLA_IFALIAS)),
    hasLower: attributes.has(IFLA_LINK),
    lowerNetnsId: netnsId === undefined || netnsId.length < 4 ? null : viewOf(netnsId).getInt32(0, true),
    promiscuity: number(IFLA_PROMISCUITY),
    allmulti: number(IFLA_ALLMULTI),
    minMtu: number(IFLA_MIN_MTU),
    maxMtu: number(IFLA_MAX_MTU),
    txQueues: number(IFLA_NUM_TX_QUEUES),
    rxQueues: number(IFLA_NUM_RX_QUEUES),
    gsoMaxSize: number(IFLA_GSO_MAX_SIZE),
    gsoMaxSegs: number(IFLA_GSO_MAX_SEGS),
    tsoMaxSize: number(IFLA_TSO_MAX_SIZE),
    tsoMaxSegs: number(IFLA_TSO_MAX_SEGS),
    groMaxSize: number(IFLA_GRO_MAX_SIZE),
    addrGenMode: nlU8(inet6.get(IFLA_INET6_ADDR_GEN_MODE)),
    carrierChanges: number(IFLA_CARRIER_CHANGES),
    xdp: xdpOf(nested(attributes.get(IFLA_XDP))),
    stats: statsOf(attributes.get(IFLA_STATS64)),
    kindData: nested(info.get(IFLA_INFO_DATA)),
    slaveData: nested(info.get(IFLA_INFO_SLAVE_DATA)),
  };
}

function xdpOf(attributes: Map<number, Uint8Array>): LinkFacts['xdp'] {
  const mode = nlU8(attributes.get(IFLA_XDP_ATTACHED)) ?? 0;
  return mode === 0 ? null : { mode, program: nlU32(attributes.get(IFLA_XDP_PROG_ID)) ?? 0 };
}

function statsOf(bytes: Uint8Array | undefined): number[] {
  const found: number[] = [];
  for (let at = 0; bytes !== undefined && at + 8 <= bytes.length; at += 8) found.push(nlU64(bytes.subarray(at))!);
  return found;
}

/** All interfaces of this namespace, by number. */
export function linkFacts(socket: RtnetlinkSocket): LinkFacts[] {
  const found: LinkFacts[] = [];
  for (const { type, payload } of socket.ask(linksRequest).messages) {
    const facts = type === RTM_NEWLINK ? parseLinkFacts(payload) : null;
    if (facts !== null) found.push(facts);
  }
  return found.sort((a, b) => a.ifindex - b.ifindex);
}

/** This namespace's number of the one that `fd` is open on (`/run/netns/NAME`); -1: it has none. */
export function netnsIdOf(socket: RtnetlinkSocket, fd: number): number {
  const value = new Uint8Array(4);
  viewOf(value).setInt32(0, fd, true);
  const { messages } = socket.ask((seq) =>
    nlMessage(RTM_GETNSID, NLM_F_REQUEST, seq, new Uint8Array(4), [[NETNSA_FD, value]]),
  );
  const answer = messages.find(({ type }) => type === RTM_NEWNSID);
  const id = answer === undefined ? undefined : nlAttributes(answer.payload, 4).get(NETNSA_NSID);
  return id === undefined || id.length < 4 ? -1 : viewOf(id).getInt32(0, true);
}
