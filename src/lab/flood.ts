/**
 * A source of frames at a set rate, straight into a wire: what a packet generator on the other side would send.
 *
 * Arrivals are a Poisson process drawn from the world's seed, or evenly spaced. The source ends by itself.
 */
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import { ETH_P_IP, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { writeUdp } from '../wire/udp.ts';

export interface FloodOptions {
  readonly destMac: Uint8Array;
  readonly destIp: number;
  readonly destPort: number;
  /** Frames a second. */
  readonly rate: number;
  readonly fromNs: number;
  readonly untilNs: number;
  /** Evenly spaced instead of by chance. */
  readonly even?: boolean;
  /** Bytes of UDP payload; 18 if absent, which makes the smallest frame. The sending time is in the first eight. */
  readonly payload?: number;
}

export interface Flood {
  sent: number;
}

const HEADERS = 14 + 20 + 8;
const SOURCE_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xfe);

/** Starts it; `sent` counts. */
export function startFlood(world: World, wire: Wire, options: FloodOptions): Flood {
  const payload = options.payload ?? 18;
  const frame = new Uint8Array(HEADERS + payload);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, options.destMac, SOURCE_MAC, ETH_P_IP);
  writeIpv4(view, 14, 1, IPPROTO_UDP, 0x0a0000fe, options.destIp, 8 + payload);
  writeUdp(view, 14, 4, 34, 9, options.destPort, payload);
  // The time stamp changes in every frame; a UDP checksum of 0 says that there is none.
  view.setUint16(40, 0);
  const flood: Flood = { sent: 0 };
  const from = { receive() {} };
  const meanNs = 1e9 / options.rate;
  let atNs = options.fromNs;
  const next = (): void => {
    atNs += options.even === true ? meanNs : -Math.log(1 - world.prng.u32() / 0x100000000) * meanNs;
    if (atNs < options.untilNs) world.at(atNs, send);
  };
  const send = (): void => {
    view.setFloat64(HEADERS, world.nowNs);
    wire.transmit(from, frame, 0, frame.length);
    flood.sent++;
    next();
  };
  next();
  return flood;
}

/** When the datagram whose payload starts at `offset` was sent. */
export function sentNs(view: DataView, offset: number): number {
  return view.getFloat64(offset);
}
