/**
 * Requests that make, change and delete interfaces, as iproute2 puts them.
 *
 *     RTM_NEWLINK  | ifinfomsg: index, flags and which of them are meant | attributes |       change: index; make: CREATE, EXCL
 *     RTM_DELLINK  | ifinfomsg: index |
 *
 *     IFLA_LINKINFO { IFLA_INFO_KIND "vlan"  IFLA_INFO_DATA { the kind's own } }
 *                                    veth: { VETH_INFO_PEER: ifinfomsg and attributes of the other end }
 *
 * What is not named stays as it is. Answers to linux/if_link.h, net/core/rtnetlink.c.
 */
import {
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  type NlAttribute,
  nlMessage,
  nlNest,
  nlStringBytes,
  nlU16Bytes,
  nlU32Bytes,
  viewOf,
} from './nlmsg.ts';
import { RTM_DELLINK, RTM_NEWLINK } from './rtnetlink.ts';

const IFLA_ADDRESS = 1;
const IFLA_BROADCAST = 2;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_TXQLEN = 13;
const IFLA_LINKINFO = 18;
const IFLA_NET_NS_PID = 19;
const IFLA_IFALIAS = 20;
const IFLA_GROUP = 27;
const IFLA_NET_NS_FD = 28;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_GSO_MAX_SEGS = 40;
const IFLA_GSO_MAX_SIZE = 41;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_VLAN_ID = 1;
const IFLA_VLAN_PROTOCOL = 5;
const IFLA_BR_STP_STATE = 5;
const IFLA_BR_VLAN_FILTERING = 7;

const IFF_UP = 0x1;
const IFF_NOARP = 0x80;
const IFF_PROMISC = 0x100;
const IFF_ALLMULTI = 0x200;
const IFF_MULTICAST = 0x1000;

/** What is to become of an interface. Absent: as it is. */
export interface LinkChange {
  readonly up?: boolean;
  readonly promisc?: boolean;
  readonly allmulticast?: boolean;
  readonly multicast?: boolean;
  readonly arp?: boolean;
  readonly mtu?: number;
  readonly address?: Uint8Array;
  readonly broadcast?: Uint8Array;
  readonly name?: string;
  readonly alias?: string;
  readonly txQueueLen?: number;
  readonly gsoMaxSize?: number;
  readonly gsoMaxSegs?: number;
  readonly group?: number;
  /** The device on top of it, by number; 0: none. */
  readonly master?: number;
  /** The network namespace that it moves to: of a process, or an open /run/netns file. */
  readonly netnsPid?: number;
  readonly netnsFd?: number;
}

/** Virtual interfaces that can be made. */
export type LinkKind =
  | { readonly kind: 'veth'; readonly peer: LinkChange }
  | { readonly kind: 'dummy' }
  | { readonly kind: 'bridge'; readonly stp?: boolean; readonly vlanFiltering?: boolean }
  /** On top of interface `link`, by number. */
  | { readonly kind: 'vlan'; readonly link: number; readonly id: number; readonly protocol?: 0x8100 | 0x88a8 };

/** A TAP device that stays when nobody has it open. It is made through /dev/net/tun, not by a request. */
export interface NewTap extends LinkChange {
  readonly kind: 'tap';
  readonly multiQueue?: boolean;
  readonly vnetHeader?: boolean;
}

export type NewLink = LinkKind & LinkChange & { readonly txQueues?: number; readonly rxQueues?: number };

/** Changes the interface with this number. */
export function setLinkRequest(seq: number, ifindex: number, change: LinkChange): Uint8Array {
  return nlMessage(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, seq, ifinfo(ifindex, change), attributesOf(change));
}

/** Makes an interface; refused if there is one of its name. */
export function newLinkRequest(seq: number, link: NewLink): Uint8Array {
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  const attributes: NlAttribute[] = link.kind === 'vlan' ? [[IFLA_LINK, nlU32Bytes(link.link)]] : [];
  attributes.push(...attributesOf(link));
  if (link.txQueues !== undefined) attributes.push([IFLA_NUM_TX_QUEUES, nlU32Bytes(link.txQueues)]);
  if (link.rxQueues !== undefined) attributes.push([IFLA_NUM_RX_QUEUES, nlU32Bytes(link.rxQueues)]);
  const info: NlAttribute[] = [[IFLA_INFO_KIND, Uint8Array.from(Buffer.from(link.kind))]];
  const data = kindData(link);
  if (data !== null) info.push([IFLA_INFO_DATA, data]);
  attributes.push([IFLA_LINKINFO, nlNest(info)]);
  return nlMessage(RTM_NEWLINK, flags, seq, ifinfo(0, link), attributes);
}

export function deleteLinkRequest(seq: number, ifindex: number): Uint8Array {
  return nlMessage(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, seq, ifinfo(ifindex, {}));
}

function ifinfo(ifindex: number, change: LinkChange): Uint8Array {
  const bits: readonly (readonly [boolean | undefined, number])[] = [
    [change.up, IFF_UP],
    [change.arp === undefined ? undefined : !change.arp, IFF_NOARP],
    [change.promisc, IFF_PROMISC],
    [change.allmulticast, IFF_ALLMULTI],
    [change.multicast, IFF_MULTICAST],
  ];
  let flags = 0;
  let meant = 0;
  for (const [on, bit] of bits) {
    if (on === undefined) continue;
    meant |= bit;
    if (on) flags |= bit;
  }
  const fixed = new Uint8Array(16);
  const view = viewOf(fixed);
  view.setInt32(4, ifindex, true);
  view.setUint32(8, flags, true);
  view.setUint32(12, meant, true);
  return fixed;
}

function attributesOf(change: LinkChange): NlAttribute[] {
  const found: NlAttribute[] = [];
  const number = (type: number, value: number | undefined): void => {
    if (value !== undefined) found.push([type, nlU32Bytes(value)]);
  };
  number(IFLA_MTU, change.mtu);
  if (change.address !== undefined) found.push([IFLA_ADDRESS, change.address]);
  if (change.broadcast !== undefined) found.push([IFLA_BROADCAST, change.broadcast]);
  number(IFLA_TXQLEN, change.txQueueLen);
  number(IFLA_GSO_MAX_SIZE, change.gsoMaxSize);
  number(IFLA_GSO_MAX_SEGS, change.gsoMaxSegs);
  number(IFLA_GROUP, change.group);
  number(IFLA_MASTER, change.master);
  number(IFLA_NET_NS_PID, change.netnsPid);
  number(IFLA_NET_NS_FD, change.netnsFd);
  if (change.alias !== undefined) found.push([IFLA_IFALIAS, Uint8Array.from(Buffer.from(change.alias))]);
  if (change.name !== undefined) found.push([IFLA_IFNAME, nlStringBytes(change.name)]);
  return found;
}

function kindData(link: NewLink): Uint8Array | null {
  if (link.kind === 'veth') {
    const fixed = ifinfo(0, link.peer);
    const attributes = nlNest(attributesOf(link.peer));
    const peer = new Uint8Array(fixed.length + attributes.length);
    peer.set(fixed);
    peer.set(attributes, fixed.length);
    return nlNest([[VETH_INFO_PEER, peer]]);
  }
  const data: NlAttribute[] = [];
  if (link.kind === 'vlan') {
    // In network order, which for two bytes is the other one.
    if (link.protocol !== undefined) {
      data.push([IFLA_VLAN_PROTOCOL, Uint8Array.of(link.protocol >>> 8, link.protocol & 0xff)]);
    }
    data.push([IFLA_VLAN_ID, nlU16Bytes(link.id)]);
  }
  if (link.kind === 'bridge') {
    if (link.stp !== undefined) data.push([IFLA_BR_STP_STATE, nlU32Bytes(link.stp ? 1 : 0)]);
    if (link.vlanFiltering !== undefined)
      data.push([IFLA_BR_VLAN_FILTERING, Uint8Array.of(link.vlanFiltering ? 1 : 0)]);
  }
  return data.length === 0 ? null : nlNest(data);
}
