/**
 * A sniffer: a packet tap that shows every frame of a machine, or of one of its devices, as it was on the wire.
 *
 *     taps --clone--> [device?] --> Ethernet header, VLAN tag and data copied into one buffer --> onFrame
 *
 * Works in every world and over every scheme, because it stands where the kernel's packet sockets stand (`packet_type`, ETH_P_ALL).
 */
import type { NetDevice } from '../device/net_device.ts';
import { skbWalk } from '../skb/frags.ts';
import { HEADER_UNSET, PACKET_OUTGOING, type SkBuff } from '../skb/sk_buff.ts';
import { vlanTciProtocol } from '../skb/vlan_tag.ts';
import type { Stack } from '../stack/net_init.ts';
import { ETH_HLEN, ETH_P_ALL } from '../wire/eth.ts';
import { VLAN_HLEN } from '../wire/vlan.ts';

/** The longest super-frame, its header and two tags. */
const FRAME_MAX = 65536 + 64;

/** One frame; the object and its bytes are used again for the next one. */
export interface SniffedFrame {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** Bytes of it, from the start of `view`. */
  length: number;
  /** Microseconds since 1970. */
  tsUs: number;
  /** We send it. */
  outgoing: boolean;
  /** The device that it passes. */
  ifname: string;
}

export interface Sniffer {
  readonly seen: number;
  close(): void;
}

/** Shows frames to `onFrame`, which may keep nothing of them; of `dev` alone unless it is null. (`dev_add_pack` with ETH_P_ALL) */
export function createSniffer(stack: Stack, dev: NetDevice | null, onFrame: (frame: SniffedFrame) => void): Sniffer {
  const { executive } = stack.net.machine;
  const bytes = new Uint8Array(FRAME_MAX);
  const view = new DataView(bytes.buffer);
  const frame: SniffedFrame = { view, bytes, length: 0, tsUs: 0, outgoing: false, ifname: '' };
  let seen = 0;
  const sniff = (skb: SkBuff): number => {
    if (dev === null || skb.dev === dev) {
      frame.length = copyFrame(skb, frame);
      frame.tsUs = skb.tstampUs === 0 ? executive.wallUs() : skb.tstampUs;
      frame.outgoing = skb.pktType === PACKET_OUTGOING;
      frame.ifname = skb.dev?.name ?? '';
      if (frame.length > 0) {
        seen++;
        onFrame(frame);
      }
    }
    skb.pool.consume(skb);
    return 0;
  };
  stack.types.add(ETH_P_ALL, sniff);
  return {
    get seen() {
      return seen;
    },
    close() {
      stack.types.remove(ETH_P_ALL, sniff);
    },
  };
}

/** Header, tag, data; returns the length, 0 for a frame that cannot be shown. A clone on its way up has its header in front of its data. */
function copyFrame(skb: SkBuff, frame: SniffedFrame): number {
  const { bytes, view } = frame;
  const up = skb.pktType !== PACKET_OUTGOING;
  const front = up && skb.macHeader !== HEADER_UNSET ? skb.data - skb.macHeader : 0;
  if (front < 0 || front > ETH_HLEN || front + skb.len + VLAN_HLEN > FRAME_MAX) return 0;
  for (let i = 0; i < front; i++) bytes[i] = skb.arena.bytes[skb.data - front + i]!;
  const from = skb.arena.bytes;
  skbWalk(skb, 0, skb.len, (offset, len, at) => bytes.set(from.subarray(offset, offset + len), front + at));
  const length = front + skb.len;
  if (skb.vlanTci < 0 || length < ETH_HLEN) return length;
  bytes.copyWithin(12 + VLAN_HLEN, 12, length);
  view.setUint16(12, vlanTciProtocol(skb.vlanTci));
  view.setUint16(14, skb.vlanTci & 0xffff);
  return length + VLAN_HLEN;
}
