/** Random super-frames, most of them well-formed, as they are written to a TAP device with a virtio-net header. */
import type { Prng } from '../../src/base/prng.ts';
import type { VnetHeader } from '../../src/stack/super_frame.fixture.ts';
import { fold, sum32 } from '../../src/wire/checksum.ts';

export interface SuperFrame {
  readonly vnet: VnetHeader;
  readonly bytes: Buffer;
}

const NEEDS_CSUM = 1;
const TCPV4 = 1;
const TCPV6 = 4;
const UDP_L4 = 5;
const ECN = 0x80;

/** Frames are from this address, so that a reader knows them from the kernel's own. */
export const SOURCE_MAC = Buffer.from('520000000002', 'hex');

/** A random frame: TCP or UDP over IPv4 or IPv6, 0 to 2 VLAN tags, options and extension headers, at most 64,000 bytes. */
export function superFrame(prng: Prng): SuperFrame {
  const v6 = prng.chance(0.5);
  const udp = prng.chance(0.4);
  const eth = Buffer.concat([Buffer.from('520000000001', 'hex'), SOURCE_MAC, tags(prng), hex(v6 ? '86dd' : '0800')]);
  const l4len = udp ? 8 : 20 + 4 * (prng.chance(0.5) ? 3 : prng.below(11));
  const gso = prng.chance(0.85);
  const mss = pick(prng, [1 + prng.below(64), 1 + prng.below(1448), 536, 1448, 1400 + prng.below(200)]);
  const segments = 1 + prng.below(pick(prng, [2, 5, 20, 45]));
  const exact = prng.chance(0.2) ? mss * segments : mss * (segments - 1) + 1 + prng.below(mss);
  const payload = Math.min(gso ? exact : prng.below(1400), 64_000);
  const network = v6 ? ipv6(prng, l4len + payload, udp ? 17 : 6) : ipv4(prng, l4len + payload, udp ? 17 : 6);
  const l4 = Buffer.alloc(l4len + payload);
  for (let i = 0; i < l4.length; i++) l4[i] = prng.u32();
  const bytes = Buffer.concat([eth, network, l4]);
  const at = eth.length + network.length;
  const field = udp ? 6 : 16;
  if (udp) bytes.writeUInt16BE(prng.chance(0.05) ? prng.below(65536) : l4.length, at + 4);
  else bytes[at + 12] = (l4len / 4) << 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const addresses = sum32(view, eth.length + (v6 ? 8 : 12), v6 ? 32 : 8);
  const pseudo = ~fold(addresses + (udp ? 17 : 6) + l4.length) & 0xffff;
  if (!prng.chance(0.05)) bytes.writeUInt16BE(pseudo, at + field);
  const partial = prng.chance(0.93);
  const wrongStart = prng.chance(0.03) ? prng.below(5) - 2 : 0;
  const plain = { start: gso ? at + wrongStart : at + (prng.chance(0.8) ? 0 : prng.below(l4.length - 20)), field };
  const kind = (udp ? UDP_L4 : v6 ? TCPV6 : TCPV4) | (!udp && prng.chance(0.1) ? ECN : 0);
  const vnet = {
    flags: partial ? NEEDS_CSUM : 0,
    gso_type: gso ? kind : 0,
    gso_size: gso ? mss : 0,
    csum_start: partial ? plain.start : 0,
    csum_offset: partial ? (prng.chance(0.03) ? prng.below(40) : plain.field) : 0,
    hdr_len: gso ? at + l4len : 0,
  };
  return { vnet, bytes };
}

/** An IP frame whose checksum somewhere between headers and end is to be filled in, and which is no super-frame. */
export function partialFrame(prng: Prng): SuperFrame {
  const { bytes } = superFrame(prng);
  const short = bytes.subarray(0, Math.min(bytes.length, 60 + prng.below(1440)));
  const csum_start = 14 + 20 + prng.below(Math.max(short.length - 40, 1));
  const csum_offset = prng.below(Math.max(short.length - csum_start - 1, 1));
  const vnet = { flags: NEEDS_CSUM, gso_type: 0, gso_size: 0, csum_start, csum_offset, hdr_len: 0 };
  if (prng.chance(0.1)) short.fill(prng.chance(0.5) ? 0 : 0xff, csum_start);
  return { vnet, bytes: short };
}

const hex = (text: string) => Buffer.from(text, 'hex');

function pick<T>(prng: Prng, of: readonly T[]): T {
  return of[prng.below(of.length)]!;
}

function tags(prng: Prng): Buffer {
  const count = prng.chance(0.8) ? 0 : 1 + prng.below(2);
  const parts: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    // Priority and identifier, never 0: a priority tag means something else to a bridge.
    const tci = Buffer.alloc(2);
    tci.writeUInt16BE((prng.below(8) << 13) | (1 + prng.below(4094)));
    parts.push(hex('8100'), tci);
  }
  return Buffer.concat(parts);
}

function ipv4(prng: Prng, payload: number, protocol: number): Buffer {
  const header = Buffer.alloc(prng.chance(0.8) ? 20 : 20 + 4 * prng.below(11));
  for (let i = 20; i < header.length; i++) header[i] = prng.u32();
  header[0] = 0x40 | (header.length / 4);
  header[1] = prng.u32();
  header.writeUInt16BE((header.length + payload) & 0xffff, 2);
  header.writeUInt16BE(pick(prng, [0, 0xffff, 0xfff0 + prng.below(16), prng.below(65536)]), 4);
  header.writeUInt16BE(prng.chance(0.5) ? 0x4000 : 0, 6);
  header[8] = 1 + prng.below(255);
  header[9] = protocol;
  header.writeUInt32BE(0x0a000000 + prng.below(1 << 24), 12);
  header.writeUInt32BE(0x0a000000 + prng.below(1 << 24), 16);
  header.writeUInt16BE(prng.below(65536), 10);
  return header;
}

function ipv6(prng: Prng, payload: number, protocol: number): Buffer {
  const extensions: Buffer[] = [];
  const kinds = prng.chance(0.85) ? [] : pick(prng, [[0], [60], [0, 60]]);
  let next = protocol;
  for (const kind of [...kinds].reverse()) {
    const words = prng.below(3);
    const extension = Buffer.alloc(8 + 8 * words);
    extension[0] = next;
    extension[1] = words;
    // One PadN option over all of it.
    extension[2] = 1;
    extension[3] = extension.length - 4;
    extensions.unshift(extension);
    next = kind;
  }
  const rest = Buffer.concat(extensions);
  const header = Buffer.alloc(40);
  header.writeUInt32BE((0x60000000 | prng.below(1 << 28)) >>> 0);
  header.writeUInt16BE((rest.length + payload) & 0xffff, 4);
  header[6] = next;
  header[7] = 1 + prng.below(255);
  for (let i = 8; i < 40; i++) header[i] = prng.u32();
  header[8] = header[24] = 0xfd;
  return Buffer.concat([header, rest]);
}
