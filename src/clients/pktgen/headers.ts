// hot
/**
 * The frames of a pktgen: a template made once, and what changes from one to the next.
 *
 *     | dst src | svlan | vlan | IPv4 or IPv6 | UDP | payload |
 *       ^macs                    ^ addresses    ^ ports, checksum
 *                                  length, checksum    ^ number, time
 *
 *   1. `next` draws or steps the current values. (`mod_cur_headers`)
 *   2. `write` puts them into a copy of the template, and nothing else: a field that never changes is not touched.
 *   3. Both checksums are sums of a constant and of what changes; the bytes of the frame are not read.
 */
import { Prng } from '../../base/prng.ts';
import { SetupError } from '../../base/status.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { ETH_HLEN, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, ETH_ZLEN, writeEth } from '../../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN } from '../../wire/ipv4.ts';
import { IPV6_HLEN, writeIpv6 } from '../../wire/ipv6.ts';
import { PKTGEN_HLEN, PKTGEN_MAGIC } from '../../wire/pktgen.ts';
import { UDP_HLEN } from '../../wire/udp.ts';
import { ETH_P_8021AD, VLAN_HLEN } from '../../wire/vlan.ts';
import { PktgenFlows } from './flows.ts';
import { hasFlag, type PktgenParams } from './params.ts';
import { LINE_DIGITS, LINE_SEQ_AT, LINE_TIME_AT, type PktgenPayload, payloadBytes } from './payload.ts';

const NO_TAG = 0xffff;
const TTL = 32;
/** Sources that count their netconsole records apart. */
const SOURCES_MAX = 1 << 16;
const ZERO = 0x30;

export class PktgenHeaders {
  readonly params: PktgenParams;
  /** The longest frame. */
  readonly template: Uint8Array;
  readonly prng: Prng;
  curSaddr: number;
  curDaddr: number;
  curUdpSrc: number;
  curUdpDst: number;
  curPktSize: number;
  curSrcMacOffset = 0;
  curDstMacOffset = 0;
  curQueueMap: number;
  readonly flows: PktgenFlows | null;
  /** All frames go to the same transmit queue. */
  readonly oneQueue: boolean;
  readonly #v6: boolean;
  readonly #ip: number;
  readonly #udp: number;
  readonly #data: number;
  /** Bytes behind the UDP header that never change, -1: they fill the frame. */
  readonly #dataLen: number;
  readonly #kind: 'pktgen' | 'bytes' | 'netconsole';
  readonly #stamped: boolean;
  readonly #csum: boolean;
  /** Sums of what does not change, of the IPv4 header and of UDP with its pseudo header. */
  readonly #ipSum: number;
  readonly #udpSum: number;
  readonly #dstMacLow: number;
  readonly #srcMacLow: number;
  readonly #lines: Uint32Array;
  /** Anything that `next` would change, and by groups. */
  readonly #varies: boolean;
  readonly #macs: boolean;
  readonly #addresses: boolean;
  readonly #ports: boolean;
  readonly #sizes: boolean;
  #first = true;
  #sec = 0;
  #usec = 0;
  #stampSum = 0;

  /** `srcMac`: of frames whose source is not set. Throws SetupError `ERR_NETPOLL_OPTIONS` for what does not fit together. */
  constructor(params: PktgenParams, payload: PktgenPayload, srcMac: Uint8Array, seed: number) {
    this.params = params;
    this.prng = new Prng(seed);
    const given = payloadBytes(payload);
    this.#kind = payload.kind;
    this.#v6 = hasFlag(params, 'IPV6');
    this.#csum = hasFlag(params, 'UDPCSUM') || this.#v6;
    this.#stamped = !hasFlag(params, 'NO_TIMESTAMP');
    const { minPktSize, maxPktSize } = params;
    if (maxPktSize < minPktSize) throw refusal(`min_pkt_size ${minPktSize} is above max_pkt_size ${maxPktSize}`);
    this.#dataLen = given === null ? -1 : given.length;
    this.#sizes = given === null && maxPktSize > minPktSize;
    const outer = params.vlanId !== NO_TAG && params.svlanId !== NO_TAG;
    if (params.vlanId === NO_TAG && params.svlanId !== NO_TAG) throw refusal('svlan_id needs a vlan_id');
    this.#ip = ETH_HLEN + (params.vlanId === NO_TAG ? 0 : VLAN_HLEN) + (outer ? VLAN_HLEN : 0);
    this.#udp = this.#ip + (this.#v6 ? IPV6_HLEN : IPV4_HLEN);
    this.#data = this.#udp + UDP_HLEN;
    this.curSaddr = params.srcMin;
    this.curDaddr = this.#v6 ? low32(params.dst6Min) : params.dstMin;
    this.curUdpSrc = params.udpSrcMin;
    this.curUdpDst = params.udpDstMin;
    this.curPktSize = minPktSize;
    this.curQueueMap = params.queueMapMin;
    this.flows = params.flows === 0 ? null : new PktgenFlows(params.flows, params.flowlen, hasFlag(params, 'FLOW_SEQ'));
    this.#macs = params.dstMacCount > 1 || params.srcMacCount > 1;
    this.#addresses = params.srcMax > params.srcMin || this.#daddrMax() > this.#daddrMin();
    this.#ports = params.udpSrcMax > params.udpSrcMin || params.udpDstMax > params.udpDstMin;
    this.oneQueue = params.queueMapMax <= params.queueMapMin;
    this.#varies = this.#macs || this.#addresses || this.#ports || this.#sizes || !this.oneQueue;
    const sources = this.#v6 ? 1 : Math.min(SOURCES_MAX, Math.max(1, params.srcMax - params.srcMin + 1));
    this.#lines = new Uint32Array(this.#kind === 'netconsole' ? sources : 1);
    this.template = new Uint8Array(this.#frameLen(maxPktSize));
    const view = new DataView(this.template.buffer);
    const source = params.srcMacSet ? params.srcMac : srcMac;
    this.#dstMacLow = new DataView(params.dstMac.buffer, params.dstMac.byteOffset).getUint32(2);
    this.#srcMacLow = new DataView(source.buffer, source.byteOffset).getUint32(2);
    this.#writeLink(view, params.dstMac, source, outer);
    this.#writeNetwork(view);
    if (given !== null) this.template.set(given, this.#data);
    if (this.#kind === 'pktgen') view.setUint32(this.#data, PKTGEN_MAGIC);
    this.#ipSum = this.#v6 ? 0 : sum32(view, this.#ip, IPV4_HLEN);
    this.#udpSum = this.#constantSum(view, given);
  }

  /** Length of the frame that `write` made last. */
  get len(): number {
    return this.#frameLen(this.curPktSize);
  }

  /** The time of the frames that are written from now on, in microseconds since 1970. */
  stamp(wallUs: number): void {
    if (!this.#stamped) return;
    this.#sec = Math.floor(wallUs / 1e6);
    this.#usec = Math.floor(wallUs - this.#sec * 1e6);
    this.#stampSum = halves(this.#sec) + halves(this.#usec);
  }

  /** Chooses the values of the next frame; the first has the minima. */
  next(): void {
    if (!this.#varies && this.flows === null) return;
    if (this.#first) {
      this.#first = false;
      if (this.flows === null) return;
    }
    if (this.#macs) this.#nextMacs();
    if (this.#addresses) this.#nextAddresses();
    if (this.#ports) this.#nextPorts();
    const { params, prng } = this;
    if (this.#sizes) {
      const { minPktSize: min, maxPktSize: max } = params;
      this.curPktSize = step(this.curPktSize, min, max, hasFlag(params, 'TXSIZE_RND') ? prng : null);
    }
    const { queueMapMin: min, queueMapMax: max } = params;
    if (max > min) this.curQueueMap = step(this.curQueueMap, min, max, hasFlag(params, 'QUEUE_MAP_RND') ? prng : null);
  }

  /**
   * Puts the current values into the frame at `at`, which was made from the template. `seq` is its number, its time that of the last
   * `stamp`. Gives its length.
   */
  write(view: DataView, at: number, seq: number): number {
    const dataLen = this.#sizes ? this.#dataOf(this.curPktSize) : 0;
    let sum = this.#udpSum;
    if (this.#macs) {
      view.setUint32(at + 2, this.#dstMacLow + this.curDstMacOffset);
      view.setUint32(at + 8, this.#srcMacLow + this.curSrcMacOffset);
    }
    if (this.#addresses || this.#sizes)
      sum += this.#v6 ? this.#write6(view, at, dataLen) : this.#write4(view, at, dataLen);
    const udp = at + this.#udp;
    if (this.#ports) {
      view.setUint16(udp, this.curUdpSrc);
      view.setUint16(udp + 2, this.curUdpDst);
      sum += this.curUdpSrc + this.curUdpDst;
    }
    if (this.#sizes) {
      view.setUint16(udp + 4, UDP_HLEN + dataLen);
      // In the header and in the pseudo header.
      sum += 2 * (UDP_HLEN + dataLen);
    }
    if (this.#kind === 'pktgen') sum += this.#writeStamp(view, at + this.#data, seq);
    else if (this.#kind === 'netconsole') sum += this.#writeLine(view, at + this.#data);
    if (this.#csum) view.setUint16(udp + 6, fold(sum) || 0xffff);
    return this.#sizes ? Math.max(ETH_ZLEN, this.#data + dataLen) : this.template.length;
  }

  #nextMacs(): void {
    const { params, prng } = this;
    const { dstMacCount: dst, srcMacCount: src } = params;
    if (dst > 1)
      this.curDstMacOffset = step(this.curDstMacOffset, 0, dst - 1, hasFlag(params, 'MACDST_RND') ? prng : null);
    if (src > 1)
      this.curSrcMacOffset = step(this.curSrcMacOffset, 0, src - 1, hasFlag(params, 'MACSRC_RND') ? prng : null);
  }

  #nextAddresses(): void {
    const { params, prng, flows } = this;
    const { srcMin, srcMax } = params;
    if (srcMax > srcMin)
      this.curSaddr = step(this.curSaddr, srcMin, srcMax, hasFlag(params, 'IPSRC_RND') ? prng : null);
    const [min, max] = [this.#daddrMin(), this.#daddrMax()];
    if (max <= min) return;
    if (flows !== null && flows.pick(prng)) {
      this.curDaddr = flows.daddr;
      return;
    }
    this.curDaddr = step(this.curDaddr, min, max, hasFlag(params, 'IPDST_RND') ? prng : null);
    if (flows !== null) flows.daddr = this.curDaddr;
  }

  #nextPorts(): void {
    const { params, prng } = this;
    const { udpSrcMin, udpSrcMax, udpDstMin, udpDstMax } = params;
    if (udpSrcMax > udpSrcMin) {
      this.curUdpSrc = step(this.curUdpSrc, udpSrcMin, udpSrcMax, hasFlag(params, 'UDPSRC_RND') ? prng : null);
    }
    if (udpDstMax > udpDstMin) {
      this.curUdpDst = step(this.curUdpDst, udpDstMin, udpDstMax, hasFlag(params, 'UDPDST_RND') ? prng : null);
    }
  }

  /** Gives what this adds to the sum of UDP. */
  #write4(view: DataView, at: number, dataLen: number): number {
    const ip = at + this.#ip;
    const addresses = halves(this.curSaddr) + halves(this.curDaddr);
    let sum = this.#ipSum;
    if (this.#addresses) {
      view.setUint32(ip + 12, this.curSaddr);
      view.setUint32(ip + 16, this.curDaddr);
      sum += addresses;
    }
    if (this.#sizes) {
      view.setUint16(ip + 2, IPV4_HLEN + UDP_HLEN + dataLen);
      sum += IPV4_HLEN + UDP_HLEN + dataLen;
    }
    view.setUint16(ip + 10, fold(sum));
    return this.#addresses ? addresses : 0;
  }

  #write6(view: DataView, at: number, dataLen: number): number {
    const ip = at + this.#ip;
    if (this.#sizes) view.setUint16(ip + 4, UDP_HLEN + dataLen);
    if (!this.#addresses) return 0;
    view.setUint32(ip + 36, this.curDaddr);
    return halves(this.curDaddr);
  }

  #writeStamp(view: DataView, data: number, seq: number): number {
    view.setUint32(data + 4, seq);
    view.setUint32(data + 8, this.#sec);
    view.setUint32(data + 12, this.#usec);
    return halves(seq >>> 0) + this.#stampSum;
  }

  #writeLine(view: DataView, data: number): number {
    const source = this.#lines.length > 1 ? this.curSaddr - this.params.srcMin : 0;
    const number = this.#lines[source % this.#lines.length]!++;
    return (
      digits(view, data + LINE_SEQ_AT, number) + digits(view, data + LINE_TIME_AT, (this.#sec % 1e4) * 1e6 + this.#usec)
    );
  }

  #daddrMin(): number {
    return this.#v6 ? low32(this.params.dst6Min) : this.params.dstMin;
  }

  #daddrMax(): number {
    return this.#v6 ? low32(this.params.dst6Max) : this.params.dstMax;
  }

  /** Behind the UDP header, in a frame of `size`. */
  #dataOf(size: number): number {
    return this.#dataLen >= 0 ? this.#dataLen : Math.max(PKTGEN_HLEN, size - this.#data);
  }

  #frameLen(size: number): number {
    return Math.max(ETH_ZLEN, this.#data + this.#dataOf(size));
  }

  /** Set-up. */
  #writeLink(view: DataView, dest: Uint8Array, source: Uint8Array, outer: boolean): void {
    const { params } = this;
    const type = this.#v6 ? ETH_P_IPV6 : ETH_P_IP;
    const tagged = params.vlanId !== NO_TAG;
    writeEth(view, 0, dest, source, outer ? ETH_P_8021AD : tagged ? ETH_P_8021Q : type);
    let at = ETH_HLEN;
    if (outer) {
      view.setUint16(at, tci(params.svlanP, params.svlanCfi, params.svlanId));
      view.setUint16(at + 2, ETH_P_8021Q);
      at += VLAN_HLEN;
    }
    if (!tagged) return;
    view.setUint16(at, tci(params.vlanP, params.vlanCfi, params.vlanId));
    view.setUint16(at + 2, type);
  }

  /** Set-up: with zeros in whatever `write` fills in. */
  #writeNetwork(view: DataView): void {
    const { params } = this;
    const ip = this.#ip;
    const udp = this.#udp;
    const dataLen = this.#sizes ? -1 : this.#dataOf(params.minPktSize);
    const [source, dest] = this.#addresses ? [0, 0] : [params.srcMin, params.dstMin];
    if (this.#v6) {
      writeIpv6(view, ip, IPPROTO_UDP, TTL, params.src6, params.dst6Min, dataLen < 0 ? 0 : UDP_HLEN + dataLen);
      view.setUint32(ip, 0x60000000 | (params.trafficClass << 20));
      if (this.#addresses) view.setUint32(ip + 36, 0);
    } else {
      view.setUint16(ip, 0x4500 | params.tos);
      view.setUint16(ip + 2, dataLen < 0 ? 0 : IPV4_HLEN + UDP_HLEN + dataLen);
      view.setUint16(ip + 8, (TTL << 8) | IPPROTO_UDP);
      view.setUint32(ip + 12, source);
      view.setUint32(ip + 16, dest);
      if (!this.#addresses && dataLen >= 0) view.setUint16(ip + 10, fold(sum32(view, ip, IPV4_HLEN)));
    }
    if (!this.#ports) {
      view.setUint16(udp, params.udpSrcMin);
      view.setUint16(udp + 2, params.udpDstMin);
    }
    if (dataLen >= 0) view.setUint16(udp + 4, UDP_HLEN + dataLen);
  }

  /** Set-up: addresses, protocol, length, header and payload, as far as they are in the template. */
  #constantSum(view: DataView, given: Uint8Array | null): number {
    const addresses = this.#v6 ? sum32(view, this.#ip + 8, 32) : sum32(view, this.#ip + 12, 8);
    const len = view.getUint16(this.#udp + 4);
    const data = sum32(view, this.#data, given === null ? PKTGEN_HLEN : given.length);
    // Digits are added to the zeros that the template has.
    const sum = addresses + IPPROTO_UDP + len + sum32(view, this.#udp, UDP_HLEN) + data;
    if (this.#kind === 'bytes' && this.#csum) view.setUint16(this.#udp + 6, fold(sum) || 0xffff);
    return sum;
  }
}

/** The value behind `cur`, or one that is drawn; both ends are included. */
function step(cur: number, min: number, max: number, prng: Prng | null): number {
  if (prng !== null) return min + prng.below(max - min + 1);
  return cur >= max ? min : cur + 1;
}

/** Sum of the two 16-bit words. */
function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}

/** Writes ten decimal digits; gives what they add to a sum over what begins at an even place before. */
function digits(view: DataView, o: number, value: number): number {
  let rest = value;
  let sum = 0;
  for (let i = LINE_DIGITS - 1; i >= 0; i--) {
    const over = Math.floor(rest / 10);
    const digit = rest - over * 10;
    rest = over;
    view.setUint8(o + i, ZERO + digit);
    sum += ((o + i) & 1) === 0 ? digit << 8 : digit;
  }
  return sum;
}

function low32(ip: Uint8Array): number {
  return ((ip[12]! << 24) | (ip[13]! << 16) | (ip[14]! << 8) | ip[15]!) >>> 0;
}

function tci(priority: number, cfi: number, id: number): number {
  return (priority << 13) | (cfi << 12) | id;
}

function refusal(why: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', 'pktgen: ' + why);
}
