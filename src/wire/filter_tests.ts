/**
 * What a filter asks of a frame: small functions over its bytes, put together by the parser (filter_parse.ts).
 *
 * Offsets count from the start of the frame; `net` is where the network header starts: 14, and 4 more for each `vlan` in front of it
 * in the expression. A test that reads behind the captured bytes fails the whole expression, as in the kernel's filter.
 */
import { ETH_HLEN, ETH_P_8021Q, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from './ipv4.ts';
import { ETH_P_8021AD } from './vlan.ts';

export const ETH_P_RARP = 0x8035;
export const IPPROTO_SCTP = 132;
const ETH_P_QINQ_OLD = 0x9100;
const IPPROTO_FRAGMENT = 44;
/** What has ports. */
export const PORT_PROTOCOLS: readonly number[] = [IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP];

/** The frame under test. */
export class FilterFrame {
  view: DataView = new DataView(new ArrayBuffer(0));
  start = 0;
  captured = 0;
  wireLen = 0;
  /** Something behind the captured bytes was asked for, or a division by zero. */
  failed = false;

  /** The `size` (1, 2, 4) bytes at `o` as an unsigned number. */
  load(o: number, size: number): number {
    if (o < 0 || o + size > this.captured) {
      this.failed = true;
      return 0;
    }
    const at = this.start + o;
    if (size === 1) return this.view.getUint8(at);
    return size === 2 ? this.view.getUint16(at) : this.view.getUint32(at);
  }
}

export type FilterTest = (frame: FilterFrame) => boolean;
export type FilterValue = (frame: FilterFrame) => number;
/** Which of source and destination. */
export type FilterDir = 'src' | 'dst' | 'either' | 'both';

export function allOf(...tests: FilterTest[]): FilterTest {
  return (frame) => {
    for (const test of tests) if (!test(frame) || frame.failed) return false;
    return true;
  };
}

export function anyOf(...tests: FilterTest[]): FilterTest {
  return (frame) => {
    for (const test of tests) {
      if (test(frame)) return true;
      if (frame.failed) return false;
    }
    return false;
  };
}

export function directed(dir: FilterDir, src: FilterTest, dst: FilterTest): FilterTest {
  if (dir === 'src') return src;
  if (dir === 'dst') return dst;
  return dir === 'both' ? allOf(src, dst) : anyOf(src, dst);
}

export function etherType(net: number, type: number): FilterTest {
  return (frame) => frame.load(net - 2, 2) === type;
}

/** The bytes at `o`, under `mask`. */
export function bytesAt(o: number, bytes: Uint8Array, mask?: Uint8Array): FilterTest {
  return (frame) => {
    for (let i = 0; i < bytes.length; i++) {
      const kept = mask === undefined ? 0xff : mask[i]!;
      if (kept !== 0 && (frame.load(o + i, 1) & kept) !== (bytes[i]! & kept)) return false;
      if (frame.failed) return false;
    }
    return true;
  };
}

export function ipProtocol(net: number, protocol: number): FilterTest {
  return allOf(etherType(net, ETH_P_IP), (frame) => frame.load(net + 9, 1) === protocol);
}

/** Also behind a fragment header. */
export function ip6Protocol(net: number, protocol: number): FilterTest {
  return allOf(etherType(net, ETH_P_IPV6), (frame) => {
    const next = frame.load(net + 6, 1);
    return next === protocol || (next === IPPROTO_FRAGMENT && frame.load(net + 40, 1) === protocol);
  });
}

/** Not a later fragment: the upper header is there. */
export function firstFragment(net: number): FilterTest {
  return (frame) => (frame.load(net + 6, 2) & 0x1fff) === 0;
}

/** Where the header above IPv4 starts. */
export function aboveIp(net: number): FilterValue {
  return (frame) => net + 4 * (frame.load(net, 1) & 0x0f);
}

/** IPv4 addresses `o` bytes into what `type` names: that of IP, or those of ARP. */
export function ip4Net(net: number, type: number, dir: FilterDir, address: number, mask: number): FilterTest {
  const [src, dst] = type === ETH_P_IP ? [12, 16] : [14, 24];
  const at =
    (o: number): FilterTest =>
    (frame) =>
      ((frame.load(net + o, 4) & mask) ^ (address & mask)) === 0;
  return allOf(etherType(net, type), directed(dir, at(src), at(dst)));
}

/** As an IPv4 address in IP, ARP and RARP. */
export function ip4NetAnywhere(net: number, dir: FilterDir, address: number, mask: number): FilterTest {
  return anyOf(...[ETH_P_IP, ETH_P_ARP, ETH_P_RARP].map((type) => ip4Net(net, type, dir, address, mask)));
}

export function ip6Net(net: number, dir: FilterDir, address: Uint8Array, mask: Uint8Array): FilterTest {
  const [src, dst] = [bytesAt(net + 8, address, mask), bytesAt(net + 24, address, mask)];
  return allOf(etherType(net, ETH_P_IPV6), directed(dir, src, dst));
}

export function etherHost(dir: FilterDir, mac: Uint8Array): FilterTest {
  return directed(dir, bytesAt(6, mac), bytesAt(0, mac));
}

/** Ports from `low` to `high` of any of `protocols`, over IPv6 and IPv4. */
export function ports(
  net: number,
  dir: FilterDir,
  low: number,
  high: number,
  protocols: readonly number[],
): FilterTest {
  const at =
    (from: FilterValue, o: number): FilterTest =>
    (frame) => {
      const port = frame.load(from(frame) + o, 2);
      return port >= low && port <= high;
    };
  const six: FilterValue = () => net + 40;
  const four = aboveIp(net);
  return anyOf(
    allOf(
      etherType(net, ETH_P_IPV6),
      (frame) => protocols.includes(frame.load(net + 6, 1)),
      directed(dir, at(six, 0), at(six, 2)),
    ),
    allOf(
      etherType(net, ETH_P_IP),
      (frame) => protocols.includes(frame.load(net + 9, 1)),
      firstFragment(net),
      directed(dir, at(four, 0), at(four, 2)),
    ),
  );
}

/** A tag announced at `net` - 2, with the VLAN id if one is asked for. */
export function vlanTag(net: number, id: number | null): FilterTest {
  return (frame) => {
    const type = frame.load(net - 2, 2);
    if (type !== ETH_P_8021Q && type !== ETH_P_8021AD && type !== ETH_P_QINQ_OLD) return false;
    return id === null || (frame.load(net, 2) & 0x0fff) === id;
  };
}

export const FIRST_NET = ETH_HLEN;
