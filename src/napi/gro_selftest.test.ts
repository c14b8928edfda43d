// The kernel's own tests of receive offload (tools/testing/selftests, net/gro.c, Linux 6.18) as a table: what is sent, and the
// payload of each packet that goes up. Where the test waits between packets, a poll ends here (`pause`).
import { describe, expect, it } from 'vitest';
import { NETIF_F_GRO } from '../device/features.ts';
import { checksum, fold, sum32 } from '../wire/checksum.ts';
import { TCP_FLAG_ACK, TCP_FLAG_FIN, TCP_FLAG_PSH, TCP_FLAG_RST, TCP_FLAG_SYN, TCP_FLAG_URG } from '../wire/tcp.ts';
import { GroRig, type SuperFrame } from './gro.fixture.ts';

type Family = 'v4' | 'v6' | 'ipip';

interface Packet {
  /** Payload bytes, and where they are in the stream. */
  readonly len: number;
  readonly at: number;
  readonly flags?: number;
  readonly ack?: number;
  readonly options?: readonly number[];
  /** Added to the right TCP checksum. */
  readonly wrong?: number;
  readonly id?: number;
  readonly df?: boolean;
  readonly mf?: boolean;
  readonly ttl?: number;
  readonly tos?: number;
  readonly ipOptions?: number;
  /** IPv6: type and content of an extension header. */
  readonly extension?: readonly [type: number, content: number];
}

interface Row {
  readonly name: string;
  readonly families: readonly Family[];
  readonly sent: readonly (Packet | 'pause')[];
  readonly payloads: readonly number[] | ((family: Family) => readonly number[]);
}

const all: readonly Family[] = ['v4', 'v6', 'ipip'];
const v4: readonly Family[] = ['v4', 'ipip'];
const v6: readonly Family[] = ['v6'];
const ACK = TCP_FLAG_ACK;
const ts = (value: number) => [1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 0];
/** Window scale, padded to words. */
const WSCALE = [1, 3, 3, 0];
const p = (len: number, at: number, more: Partial<Packet> = {}): Packet => ({ len, at, ...more });
const FIN = p(0, 200, { flags: ACK | TCP_FLAG_FIN });
const flagged = (flag: number, len: number) => [
  p(100, 0),
  p(100, 100),
  p(len, 200 - (len === 0 ? 200 : 0), { flags: ACK | flag }),
  p(100, 300),
  p(100, 400),
];
const two = (more: Partial<Packet>, first: Partial<Packet> = {}) => [p(100, 0, first), p(100, 100, more)];
const ids = (...list: number[]) => list.map((id, i) => p(100, 100 * i, { id }));
const MSS = 4036;
/** 65535 less the headers, less 16 full segments. */
const remainder = (family: Family) => 65535 - (family === 'v6' ? 60 : family === 'v4' ? 40 : 60) - 16 * MSS;
const large = (family: Family, more: number): Packet[] => [
  ...Array.from({ length: 16 }, (_, i) => p(MSS, i * MSS)),
  p(remainder(family) + more, 16 * MSS),
  p(remainder(family) + more, 17 * MSS),
];

const rows: readonly Row[] = [
  { name: 'data of equal size', families: all, sent: [p(100, 0), p(100, 100)], payloads: [200] },
  { name: 'data, the last one smaller', families: all, sent: [p(100, 0), p(50, 100)], payloads: [150] },
  { name: 'data, the last one larger', families: all, sent: [p(50, 0), p(100, 50)], payloads: [50, 100] },
  {
    name: 'pure acknowledgements',
    families: all,
    sent: [p(0, 0), p(0, 0), p(0, 0, { ack: 101 })],
    payloads: [0, 0, 0],
  },
  { name: 'PSH', families: all, sent: flagged(TCP_FLAG_PSH, 100), payloads: [300, 200] },
  { name: 'SYN', families: all, sent: flagged(TCP_FLAG_SYN, 0), payloads: [200, 0, 200] },
  { name: 'RST', families: all, sent: flagged(TCP_FLAG_RST, 0), payloads: [200, 0, 200] },
  { name: 'URG', families: all, sent: flagged(TCP_FLAG_URG, 0), payloads: [200, 0, 200] },
  { name: 'TCP checksum', families: all, sent: two({ wrong: -1 }), payloads: [100, 100] },
  { name: 'TCP sequence', families: all, sent: [p(100, 0), p(100, 101)], payloads: [100, 100] },
  {
    name: 'TCP timestamps',
    families: all,
    sent: [
      p(100, 0, { options: ts(0) }),
      p(100, 100, { options: ts(0) }),
      p(100, 200, { options: ts(100) }),
      p(100, 300, { options: [1, ...ts(100).slice(2), 1] }),
      p(100, 400, { options: [...ts(100).slice(2), 1, 1] }),
    ],
    payloads: [200, 100, 100, 100],
  },
  {
    name: 'TCP options',
    families: all,
    sent: [p(100, 0, { options: ts(0) }), p(100, 100, { options: ts(0) }), p(100, 200, { options: WSCALE })],
    payloads: [200, 100],
  },
  { name: 'ECN', families: all, sent: two({ tos: 2 }), payloads: [100, 100] },
  { name: 'type of service', families: v4, sent: two({ tos: 1 }), payloads: [100, 100] },
  { name: 'traffic class', families: v6, sent: two({ tos: 0xf0 }), payloads: [100, 100] },
  { name: 'time to live', families: v4, sent: two({ ttl: 7 }), payloads: [100, 100] },
  {
    name: 'IPv4 options',
    families: v4,
    sent: [p(100, 0), p(100, 100, { ipOptions: 40 }), p(100, 200)],
    payloads: [100, 100, 100],
  },
  { name: 'IPv4 fragment', families: v4, sent: two({ mf: true, df: false }), payloads: [100, 100] },
  { name: 'identification, DF, 8 9', families: v4, sent: ids(8, 9), payloads: [200] },
  { name: 'identification, DF, 8 8', families: v4, sent: ids(8, 8), payloads: [200] },
  {
    name: 'identification, no DF, 8 9',
    families: v4,
    sent: two({ id: 9, df: false }, { id: 8, df: false }),
    payloads: [200],
  },
  {
    name: 'identification, no DF, 8 8',
    families: v4,
    sent: two({ id: 8, df: false }, { id: 8, df: false }),
    payloads: [200],
  },
  { name: 'identification, DF, 8 9 9', families: v4, sent: ids(8, 9, 9), payloads: [200, 100] },
  { name: 'identification, DF, 8 8 9', families: v4, sent: ids(8, 8, 9), payloads: [200, 100] },
  {
    name: 'IPv6 fragment header',
    families: v6,
    sent: [p(100, 0), p(100, 100), 'pause', p(100, 200, { extension: [44, 0] }), p(100, 300)],
    payloads: [200, 100, 100],
  },
  {
    name: 'IPv6 destination options, equal',
    families: v6,
    sent: two({ extension: [60, 0] }, { extension: [60, 0] }),
    payloads: [200],
  },
  {
    name: 'IPv6 destination options, different',
    families: v6,
    sent: two({ extension: [60, 0x11] }, { extension: [60, 0] }),
    payloads: [100, 100],
  },
];

describe('receive offload, the kernel’s selftests', () => {
  for (const row of rows) {
    for (const family of row.families) {
      it(`${family}: ${row.name} => ${row.payloads}`, () => {
        expect(run(family, [...row.sent, 'pause', FIN])).toEqual([...(row.payloads as number[]), 0]);
      });
    }
  }
  for (const family of all) {
    it(`${family}: as large as an IP packet can be, and one byte more`, () => {
      const rest = remainder(family);
      expect(rest).toBe(family === 'v4' ? 919 : 899);
      expect(run(family, large(family, 0))).toEqual([16 * MSS + rest, rest]);
      expect(run(family, large(family, 1))).toEqual([16 * MSS, rest + 1, rest + 1]);
    });
  }
});

function run(family: Family, sent: readonly (Packet | 'pause')[]): number[] {
  const rig = new GroRig(NETIF_F_GRO);
  const seen: SuperFrame[] = [];
  for (const each of sent) {
    if (each === 'pause') seen.push(...rig.flush());
    else rig.receive(frame(family, each));
  }
  seen.push(...rig.flush());
  expect(rig.pool.inUse).toBe(0);
  return seen.map(payloadLen);
}

/** Payload of TCP in a frame of any family. */
function payloadLen(f: SuperFrame): number {
  const bytes = Buffer.from(f.hex, 'hex');
  let at = 14;
  let protocol = bytes.readUInt16BE(12) === 0x86dd ? 41 : 4;
  while (protocol !== 6) {
    if (protocol === 4) {
      protocol = bytes[at + 9]!;
      at += (bytes[at]! & 15) * 4;
    } else if (protocol === 41) {
      protocol = bytes[at + 6]!;
      at += 40;
    } else {
      protocol = bytes[at]!;
      at += 8;
    }
  }
  return f.len - at - (bytes[at + 12]! >> 4) * 4;
}

function frame(family: Family, packet: Packet): Uint8Array {
  const tcp = tcpSegment(packet);
  const inner = family === 'v6' ? ipv6(packet, tcp) : ipv4(packet, tcp, 6);
  const outer = family === 'ipip' ? ipv4({ len: 0, at: 0, id: packet.id ?? 0 }, inner, 4) : inner;
  const type = family === 'v6' ? [0x86, 0xdd] : [0x08, 0x00];
  return Uint8Array.from([0x52, 0, 0, 0, 0, 2, 0x52, 0, 0, 0, 0, 1, ...type, ...outer]);
}

function tcpSegment(packet: Packet): Uint8Array {
  const options = packet.options ?? [];
  const bytes = new Uint8Array(20 + options.length + packet.len).fill(0x61);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 1500);
  view.setUint16(2, 8000);
  view.setUint32(4, 100 + packet.at);
  view.setUint32(8, packet.ack ?? 100);
  view.setUint16(12, ((5 + options.length / 4) << 12) | (packet.flags ?? ACK));
  view.setUint16(14, 65535);
  view.setUint32(16, 0);
  bytes.set(options, 20);
  return bytes;
}

function ipv4(packet: Packet, l4: Uint8Array, protocol: number): Uint8Array {
  const hlen = 20 + (packet.ipOptions ?? 0);
  const bytes = new Uint8Array(hlen + l4.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x40 | (hlen / 4));
  view.setUint8(1, packet.tos ?? 0);
  view.setUint16(2, bytes.length);
  view.setUint16(4, packet.id ?? 0);
  view.setUint16(6, ((packet.df ?? true) ? 0x4000 : 0) | (packet.mf === true ? 0x2000 : 0));
  view.setUint8(8, packet.ttl ?? 8);
  view.setUint8(9, protocol);
  view.setUint32(12, 0xc0a80102);
  view.setUint32(16, 0xc0a80101);
  bytes.set(l4, hlen);
  if (protocol === 6) fillIn(view, 12, 8, hlen, packet.wrong ?? 0);
  view.setUint16(10, checksum(view, 0, hlen));
  return bytes;
}

function ipv6(packet: Packet, l4: Uint8Array): Uint8Array {
  const extension = packet.extension;
  const hlen = extension === undefined ? 40 : 48;
  const bytes = new Uint8Array(hlen + l4.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x60000000 | ((packet.tos ?? 0) << 20));
  view.setUint16(4, bytes.length - 40);
  view.setUint8(6, extension?.[0] ?? 6);
  view.setUint8(7, packet.ttl ?? 8);
  bytes.set([0xfd, ...new Array<number>(14).fill(0), 2, 0xfd, ...new Array<number>(14).fill(0), 1], 8);
  if (extension !== undefined) bytes.set([6, 0, 1, 4, extension[1], extension[1], extension[1], extension[1]], 40);
  bytes.set(l4, hlen);
  fillIn(view, 8, 32, hlen, packet.wrong ?? 0);
  return bytes;
}

function fillIn(view: DataView, addresses: number, len: number, o: number, wrong: number): void {
  const l4 = view.byteLength - o;
  view.setUint16(o + 16, fold(sum32(view, addresses, len) + 6 + l4 + sum32(view, o, l4)) + wrong);
}
