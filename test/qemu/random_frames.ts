/**
 * Frames of all kinds for a real kernel's flow dissection: a row of headers drawn at random, now and then cut or spoiled.
 *
 *     addresses | tags, sessions | IPv4, IPv6 with extensions, ARP, ... | IP in IP, GRE | ports, ICMP, errors with a packet in them
 *
 * The same seed gives the same frames.
 */
import { Prng } from '../../src/base/prng.ts';

type Bytes = number[];

const u16 = (n: number): Bytes => [(n >>> 8) & 0xff, n & 0xff];
const u32 = (n: number): Bytes => [...u16(n >>> 16), ...u16(n)];

/** `count` frames of at least 60 bytes, from the destination address on; all to one neighbour, so that a bridge forwards them. */
export function randomFrames(seed: number, count: number): Buffer[] {
  const draw = new Draw(new Prng(seed));
  return Array.from({ length: count }, () => {
    const bytes = Buffer.from([...draw.mac(0x02), ...draw.mac(0x06), ...draw.ether(0)]);
    return draw.spoil(bytes.length < 60 ? Buffer.concat([bytes, Buffer.alloc(60 - bytes.length)]) : bytes);
  });
}

class Draw {
  readonly #prng: Prng;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Few addresses, so that headers are what tells frames apart. */
  mac(first: number): Bytes {
    return [first, 0, 0, 0, this.#prng.below(4), this.#prng.below(256)];
  }

  bytes(count: number): Bytes {
    return Array.from({ length: count }, () => this.#prng.below(256));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.#prng.below(choices.length)]!;
  }

  /** EtherType and what it announces. */
  ether(depth: number): Bytes {
    const deep = depth > 3;
    const kind = this.#prng.below(deep ? 10 : 22);
    if (kind < 6) return [...u16(0x0800), ...this.ipv4(depth)];
    if (kind < 9) return [...u16(0x86dd), ...this.ipv6(depth)];
    if (kind < 10)
      return [...u16(0x0806), ...u16(1), ...u16(0x0800), 6, 4, ...u16(this.pick([1, 2])), ...this.bytes(20)];
    if (kind < 13)
      return [...u16(this.pick([0x8100, 0x88a8])), ...u16(this.#prng.below(0x10000)), ...this.ether(depth + 1)];
    if (kind < 15) return [...u16(0x8864), ...this.pppoe(depth)];
    if (kind < 16) return [...u16(this.pick([0x892f, 0x88fb])), ...this.bytes(4), ...this.ether(depth + 1)];
    if (kind < 17) return [...u16(this.pick([0x8847, 0x8848])), ...this.bytes(40)];
    if (kind < 18)
      return [
        ...u16(0x4305),
        this.pick([0x40, 0x40, 1]),
        this.pick([15, 15, 14]),
        ...this.bytes(8),
        ...this.bytes(12),
        ...this.ether(depth + 1),
      ];
    if (kind < 19) return [...u16(this.pick([0x8906, 0x88f7, 0x88cc, 0x8035])), ...this.bytes(44)];
    // Not TIPC's keep-alive, which Linux deals out by chance.
    if (kind < 20) return [...u16(0x88ca), this.#prng.below(256) & 0xf1, ...this.bytes(43)];
    if (kind < 21) return [...u16(this.#prng.below(0x600)), ...this.bytes(40)];
    return [...u16(0x600 + this.#prng.below(0xfa00)), ...this.bytes(40)];
  }

  pppoe(depth: number): Bytes {
    const protocol = this.pick([0x0021, 0x0057, 0x0021, 0x0057, 0x0281, 0x0283, 0xc021, 0x2145, 0x5711, 0x0022]);
    const head = [this.pick([0x11, 0x11, 0x11, 0x12]), this.pick([0, 0, 0, 9]), ...this.bytes(4), ...u16(protocol)];
    return [...head, ...(protocol === 0x57 ? this.ipv6(depth + 1) : this.ipv4(depth + 1))];
  }

  ipv4(depth: number): Bytes {
    const [protocol, payload] = this.above(depth, 4);
    const words = this.pick([5, 5, 5, 5, 6, 8, 4]);
    const fragment = this.pick([0, 0, 0, 0, 0x4000, 0x2000, 0x2010, 0x0010]);
    const options = this.bytes(Math.max(0, words - 5) * 4);
    const head = [0x40 | words, 0, ...u16(20 + options.length + payload.length), ...this.bytes(2), ...u16(fragment)];
    return [...head, 64, protocol, ...this.bytes(2), ...this.address(4), ...this.address(4), ...options, ...payload];
  }

  ipv6(depth: number): Bytes {
    let [next, payload] = this.above(depth, 6);
    for (let extensions = this.pick([0, 0, 0, 1, 2]); extensions > 0; extensions--) {
      const kind = this.pick([0, 43, 60, 44]);
      const more = kind === 44 ? 0 : this.pick([0, 0, 1]);
      payload = [
        next,
        more,
        ...(kind === 44 ? u16(this.pick([0, 1, 0x0100])) : this.bytes(2)),
        ...this.bytes(4 + 8 * more),
        ...payload,
      ];
      next = kind;
    }
    const head = [...u32(0x60000000 | this.pick([0, 0x12345])), ...u16(payload.length), next, 64];
    return [...head, ...this.address(16), ...this.address(16), ...payload];
  }

  address(length: number): Bytes {
    return length === 4 ? [10, ...this.bytes(3)] : [0x20, 0x01, 0x0d, 0xb8, ...this.bytes(12)];
  }

  /** Protocol and what it is of. */
  above(depth: number, version: number): [number, Bytes] {
    const kind = this.#prng.below(depth > 3 ? 8 : 16);
    if (kind < 4) return [this.pick([6, 17, 17, 33, 132, 136]), this.bytes(24)];
    if (kind < 5) return [this.pick([50, 51]), this.bytes(24)];
    if (kind < 7) return [version === 4 ? 1 : 58, this.icmp(depth, version)];
    if (kind < 8) return [this.#prng.below(256), this.bytes(24)];
    if (kind < 10) return [4, this.ipv4(depth + 1)];
    if (kind < 12) return [41, this.ipv6(depth + 1)];
    if (kind < 13) return [137, this.bytes(24)];
    return [47, this.gre(depth)];
  }

  icmp(depth: number, version: number): Bytes {
    const type = this.pick(version === 4 ? [0, 3, 4, 5, 8, 11, 12, 13, 14, 17] : [1, 2, 3, 4, 128, 129, 133, 135]);
    const id = this.pick([0, 1, 0x1234, 0xffff]);
    const inner = depth > 3 ? this.bytes(28) : version === 4 ? this.ipv4(depth + 1) : this.ipv6(depth + 1);
    return [type, this.#prng.below(4), ...this.bytes(2), ...u16(id), ...this.bytes(2), ...inner];
  }

  gre(depth: number): Bytes {
    const pptp = this.pick([false, false, false, true]);
    const flags =
      this.pick([0, 0x8000, 0x2000, 0x1000, 0xb000, 0x4000]) |
      (pptp ? this.pick([0x2001, 0x2081, 0x0001]) : this.pick([0, 0, 2]));
    const optional =
      ((flags & 0x8000) !== 0 ? 4 : 0) + ((flags & 0x2000) !== 0 ? 4 : 0) + ((flags & 0x1000) !== 0 ? 4 : 0);
    const head = this.bytes(optional + (pptp && (flags & 0x0080) !== 0 ? 4 : 0));
    if (pptp) {
      const six = this.pick([false, true]);
      const ppp = [0xff, 0x03, ...u16(this.pick([six ? 0x57 : 0x21, six ? 0x57 : 0x21, 0xc021]))];
      return [
        ...u16(flags),
        ...u16(this.pick([0x880b, 0x880b, 0x0800])),
        ...head,
        ...ppp,
        ...(six ? this.ipv6(depth + 1) : this.ipv4(depth + 1)),
      ];
    }
    const kind = this.#prng.below(4);
    if (kind === 0)
      return [...u16(flags), ...u16(0x6558), ...head, ...this.mac(2), ...this.mac(6), ...this.ether(depth + 1)];
    if (kind === 1) return [...u16(flags), ...u16(0x86dd), ...head, ...this.ipv6(depth + 1)];
    if (kind === 2) return [...u16(flags), ...u16(0x0800), ...head, ...this.ipv4(depth + 1)];
    return [...u16(flags), ...u16(this.#prng.below(0x10000)), ...head, ...this.bytes(30)];
  }

  /** Mostly as it is; sometimes cut behind the shortest length, sometimes with a bit turned in its headers. */
  spoil(bytes: Buffer): Buffer {
    const kind = this.#prng.below(10);
    if (kind === 0) return bytes.subarray(0, 60 + this.#prng.below(Math.max(1, bytes.length - 60)));
    if (kind === 1) {
      const at = 12 + this.#prng.below(48);
      bytes[at] = bytes[at]! ^ (1 << this.#prng.below(8));
    }
    return bytes;
  }
}
