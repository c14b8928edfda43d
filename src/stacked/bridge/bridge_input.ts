// hot
/**
 * A frame comes in by a port of a bridge.
 *
 *  1. Its source is behind this port from now on.
 *  2. For the bridge's or a port's own address: up, as the bridge's. Known: to the port behind which its destination is.
 *     Unknown, to a group or to everybody: to all other ports; to groups and everybody also up.
 *  3. 01:80:c2:00:00:0X stays on the link: it goes up on the port itself, but pause frames, which are the hardware's, are
 *     dropped, and the spanning tree's are forwarded, for there is none here and somebody else's may run through us.
 *
 * A port that does not forward takes nothing. Answers to br_handle_frame, br_handle_frame_finish, br_pass_frame_up.
 */
import {
  IFF_PROMISC,
  type RxHandlerResult,
  STAT_MULTICAST,
  STAT_RX_BYTES,
  STAT_RX_PACKETS,
} from '../../device/net_device.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { PACKET_HOST, PACKET_LOOPBACK, type SkBuff } from '../../skb/sk_buff.ts';
import { ETH_ALEN, isBroadcastMac, isMulticastMac, macEquals } from '../../wire/eth.ts';
import { BR_STATE_FORWARDING, BR_STATE_LEARNING, type Bridge, type BridgePort } from './bridge_dev.ts';
import { brFlood, brForward } from './bridge_forward.ts';

/** Last bytes of 01:80:c2:00:00:0X. */
const SPANNING_TREE = 0x00;
const PAUSE = 0x01;

/** The port's rxHandler. `skb.data` is behind the Ethernet header. 'another': it is the bridge's now. */
export function brHandleFrame(port: BridgePort, skb: SkBuff): RxHandlerResult {
  if (skb.pktType === PACKET_LOOPBACK) return 'pass';
  const { bytes } = skb.arena;
  const mac = skb.macHeader;
  if (!validSource(bytes, mac + ETH_ALEN)) return drop(skb);
  const { br, state } = port;
  const learns = state === BR_STATE_FORWARDING || state === BR_STATE_LEARNING;
  if (isLinkLocal(bytes, mac) && bytes[mac + 5] !== SPANNING_TREE) {
    if (bytes[mac + 5] === PAUSE) return drop(skb);
    if (learns) learn(port, skb);
    return 'pass';
  }
  if (!learns) return drop(skb);
  if (macEquals(bytes, mac, br.dev.devAddr)) skb.pktType = PACKET_HOST;
  learn(port, skb);
  if (state === BR_STATE_LEARNING) return drop(skb);
  return finish(br, port, skb);
}

function finish(br: Bridge, port: BridgePort, skb: SkBuff): RxHandlerResult {
  const { bytes } = skb.arena;
  const mac = skb.macHeader;
  let up = (br.dev.flags & IFF_PROMISC) !== 0;
  if (isMulticastMac(bytes, mac)) {
    if (!isBroadcastMac(bytes, mac)) br.dev.stats.add(STAT_MULTICAST);
    up = true;
    brFlood(br, port, skb, true);
  } else {
    const entry = br.fdb.find(bytes, mac);
    if (entry >= 0 && br.fdb.isLocal(entry)) up = true;
    else if (entry >= 0) brForward(br.fdb.port(entry), port, skb, up);
    else brFlood(br, port, skb, up);
  }
  if (!up) return 'consumed';
  br.dev.stats.add(STAT_RX_PACKETS);
  br.dev.stats.add(STAT_RX_BYTES, skb.len);
  skb.dev = br.dev;
  // Forwarding has put the header in front of clones only; the frame itself is as it was.
  return 'another';
}

function learn(port: BridgePort, skb: SkBuff): void {
  const { br } = port;
  br.fdb.update(skb.arena.bytes, skb.macHeader + ETH_ALEN, port, br.dev.net.machine.executive.now());
}

/** Not a group, not all zero. */
function validSource(bytes: Uint8Array, o: number): boolean {
  if ((bytes[o]! & 1) !== 0) return false;
  for (let i = 0; i < ETH_ALEN; i++) if (bytes[o + i] !== 0) return true;
  return false;
}

function isLinkLocal(bytes: Uint8Array, o: number): boolean {
  if (bytes[o] !== 0x01 || bytes[o + 1] !== 0x80 || bytes[o + 2] !== 0xc2) return false;
  return bytes[o + 3] === 0 && bytes[o + 4] === 0 && (bytes[o + 5]! & 0xf0) === 0;
}

function drop(skb: SkBuff): RxHandlerResult {
  skb.pool.kfree(skb, DropReason.NOT_SPECIFIED);
  return 'consumed';
}

/**
 * With interrupts off, for netpoll: the frame is one of the bridge's own clients too. It is marked as ours if it is for the bridge's
 * address, which is not the port's.
 */
export function brPassUp(port: BridgePort, skb: SkBuff): boolean {
  if (port.state !== BR_STATE_FORWARDING) return false;
  const { bytes } = skb.arena;
  const mac = skb.macHeader;
  if (isMulticastMac(bytes, mac)) return true;
  const entry = port.br.fdb.find(bytes, mac);
  if (entry < 0 || !port.br.fdb.isLocal(entry)) return false;
  skb.pktType = PACKET_HOST;
  return true;
}
