/**
 * Trains of TCP and UDP segments as they could arrive in one poll, drawn from a seed: whole streams with something wrong in
 * the middle. Every header field that receive offload looks at is disturbed by some of them.
 */
import type { Prng } from '../../src/base/prng.ts';
import { checksum, fold, sum32 } from '../../src/wire/checksum.ts';
import { TCP_FLAG_ACK, TCP_FLAG_CWR, TCP_FLAG_ECE } from '../../src/wire/tcp.ts';

export interface Flow {
  readonly v6: boolean;
  readonly udp: boolean;
  readonly tunnel: 'none' | 'ipip' | 'gre' | 'gre key';
  readonly df: number;
  readonly idStep: number;
  readonly size: number;
  readonly options: number;
  readonly extension: number;
  id: number;
  seq: number;
  /** CWR was drawn: not twice in a flow, see the table in gro_live.test.ts. */
  cwr: boolean;
  readonly sourcePort: number;
  readonly flow: number;
}

const DEST = [0x52, 0, 0, 0, 0, 2];
const SOURCE = [0x52, 0, 0, 0, 0, 1];

/** One train, in the order of arrival. */
export function drawTrain(prng: Prng): Uint8Array[] {
  const flows = Array.from({ length: pick(prng, [1, 1, 1, 2, 3, 10]) }, (_, i) => drawFlow(prng, i));
  const count = pick(prng, [2, 3, 4, 6, 10, 20, 40]);
  const trouble = pick(prng, [0, 0, 0.05, 0.1, 0.3]);
  const frames: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const flow = flows[prng.below(flows.length)]!;
    frames.push(segment(prng, flow, prng.chance(trouble) ? prng.below(26) + 1 : 0));
    // Two that have changed places.
    if (prng.chance(trouble / 4) && i > 0) frames.push(...frames.splice(-2).reverse());
    if (prng.chance(trouble / 4)) frames.push(frames.at(-1)!.slice());
  }
  return frames;
}

function drawFlow(prng: Prng, flow: number): Flow {
  const udp = prng.chance(0.35);
  return {
    v6: prng.chance(0.4),
    udp,
    tunnel: prng.chance(0.15) ? pick(prng, ['ipip', 'gre', 'gre key'] as const) : 'none',
    df: prng.chance(0.7) ? 0x4000 : 0,
    idStep: pick(prng, [1, 1, 1, 0, 7]),
    size: pick(prng, [1, 9, 100, 536, 1200, 1448, 1448, 4000, 8800]),
    options: pick(prng, [0, 0, 12, 12, 20, 40]),
    extension: prng.chance(0.1) ? pick(prng, [0, 43, 60]) : -1,
    id: pick(prng, [0, 1, 100, 0xfffe]),
    seq: pick(prng, [1000, 0xfffffe00]),
    cwr: false,
    // Some differ in nothing but a port.
    sourcePort: 1500 + prng.below(2),
    flow: prng.chance(0.5) ? 0 : flow,
  };
}

/** The next segment of `flow`; `trouble` says what is different about it, 0: nothing. */
function segment(prng: Prng, flow: Flow, trouble: number): Uint8Array {
  const is = (n: number) => trouble === n;
  let size = is(1) ? Math.ceil(flow.size / 2) : is(2) ? flow.size + 1 : is(3) ? 0 : flow.size;
  if (size > 8900) size = 8900;
  const payload = Uint8Array.from({ length: size }, () => prng.below(256));
  const l4 = flow.udp ? udp(flow, payload, is) : tcp(prng, flow, payload, is);
  flow.seq = (flow.seq + (is(4) ? 1 : size)) >>> 0;
  let packet = flow.v6 ? ipv6(flow, l4, is) : ipv4(flow, l4, flow.udp ? 17 : 6, is);
  const type = flow.v6 ? 0x86dd : 0x0800;
  if (flow.tunnel !== 'none') {
    const gre =
      flow.tunnel === 'gre'
        ? [0, 0, type >> 8, type & 0xff]
        : [0x20, 0, type >> 8, type & 0xff, 0, 0, 0, is(5) ? 2 : 1];
    const inner = flow.tunnel === 'ipip' ? packet : concat(Uint8Array.from(gre), packet);
    packet = ipv4(flow, inner, flow.tunnel === 'ipip' ? (flow.v6 ? 41 : 4) : 47, (n) => n === 6 && is(6));
  }
  flow.id = (flow.id + (is(7) ? 5 : flow.idStep)) & 0xffff;
  const outer = flow.tunnel === 'none' ? type : 0x0800;
  const source = is(8) ? [0x52, 0, 0, 0, 0, 9] : SOURCE;
  // Padding behind the packet, or bytes that are missing.
  const rest = is(9) ? concat(packet, new Uint8Array(6)) : is(10) ? packet.slice(0, -1) : packet;
  return concat(Uint8Array.from([...DEST, ...source, outer >> 8, outer & 0xff]), rest);
}

function tcp(prng: Prng, flow: Flow, payload: Uint8Array, is: (n: number) => boolean): Uint8Array {
  const options = is(11) ? (flow.options + 4) % 44 : flow.options;
  const bytes = new Uint8Array(20 + options + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, is(12) ? 1777 : flow.sourcePort);
  view.setUint16(2, 8000);
  view.setUint32(4, flow.seq);
  view.setUint32(8, is(13) ? 5001 : 5000);
  // FIN, SYN, RST, PSH, URG, ECE, CWR in turn.
  let extra = is(14) || is(15) ? 1 << pick(prng, [0, 1, 2, 3, 3, 3, 5, 6, 7]) : 0;
  if (extra === TCP_FLAG_CWR && flow.cwr) extra = TCP_FLAG_ECE;
  if (extra === TCP_FLAG_CWR) flow.cwr = true;
  view.setUint16(12, ((5 + options / 4) << 12) | TCP_FLAG_ACK | extra);
  view.setUint16(14, is(16) ? 501 : 500);
  if (is(17)) view.setUint16(18, 7);
  bytes.fill(1, 20, 20 + options);
  if (is(18) && options > 0) bytes[20 + options - 1] = 0;
  bytes.set(payload, 20 + options);
  return bytes;
}

function udp(flow: Flow, payload: Uint8Array, is: (n: number) => boolean): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, is(12) ? 1777 : flow.sourcePort);
  view.setUint16(2, 8000);
  view.setUint16(4, is(13) ? bytes.length - 1 : bytes.length);
  bytes.set(payload, 8);
  return bytes;
}

function ipv4(flow: Flow, l4: Uint8Array, protocol: number, is: (n: number) => boolean): Uint8Array {
  const options = is(19) ? 4 : 0;
  const bytes = concat(new Uint8Array(20 + options), l4);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45 + options / 4;
  bytes[1] = is(20) ? 2 : 0;
  view.setUint16(2, bytes.length);
  view.setUint16(4, flow.id);
  view.setUint16(6, flow.df | (is(21) ? 0x2000 : 0) | (is(22) ? 0x8000 : 0));
  bytes[8] = is(6) ? 63 : 64;
  bytes[9] = protocol;
  view.setUint32(12, 0x0a000100 + flow.flow);
  view.setUint32(16, 0x0a000102);
  if (options > 0) bytes.fill(1, 20, 24);
  if (protocol === 6 || protocol === 17) l4Checksum(view, 12, 8, 20 + options, protocol, is);
  view.setUint16(10, checksum(view, 0, 20 + options) ^ (is(23) ? 1 : 0));
  return bytes;
}

function ipv6(flow: Flow, l4: Uint8Array, is: (n: number) => boolean): Uint8Array {
  const protocol = flow.udp ? 17 : 6;
  const extension = is(19) ? 60 : flow.extension;
  const header = new Uint8Array(extension >= 0 ? 48 : 40);
  const bytes = concat(header, l4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x60000000 | (is(20) ? 0x00200000 : 0) | (is(21) ? 5 : 0));
  view.setUint16(4, bytes.length - 40);
  bytes[6] = extension >= 0 ? extension : protocol;
  bytes[7] = is(6) ? 63 : 64;
  bytes.set([0xfd, 1], 8);
  bytes.set([0xfd, 1], 24);
  bytes[23] = 1 + flow.flow;
  bytes[39] = 200;
  // A padding option (or a routing header without segments); another one is another flow.
  if (extension >= 0)
    bytes.set([protocol, 0, extension === 43 ? 0 : 1, extension === 43 ? 0 : 4, 0, 0, 0, is(22) ? 1 : 0], 40);
  l4Checksum(view, 8, 32, header.length, protocol, is);
  return bytes;
}

/** Fills the checksum in: right, wrong, or absent. */
function l4Checksum(
  view: DataView,
  addresses: number,
  len: number,
  o: number,
  protocol: number,
  is: (n: number) => boolean,
): void {
  const l4 = view.byteLength - o;
  const at = o + (protocol === 6 ? 16 : 6);
  if (is(24) && protocol === 17) return;
  const sum = sum32(view, addresses, len) + protocol + l4 + sum32(view, o, l4);
  view.setUint16(at, (fold(sum) || 0xffff) ^ (is(25) ? 0x0100 : 0));
}

function pick<T>(prng: Prng, from: readonly T[]): T {
  return from[prng.below(from.length)]!;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
