// hot
/**
 * The far end of a pktgen: counts its frames on a device, what is missing among them, and how long they were on their way.
 *
 *     frame --> UDP over IPv4 or IPv6, pktgen's magic? --> number: next one, a gap (lost), or an old one (out of order, doubled)
 *                                                          time:   now - then
 *
 * A gap counts as lost until one of its frames comes late: then it was not lost but out of order. A frame that comes twice is told from
 * a late one only by having been no loss. Number 1 again begins a new run. All frames of the device that are pktgen's are consumed.
 */
import { Errno } from '../../base/status.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { netdevRxHandlerRegister, netdevRxHandlerUnregister } from '../../device/upper.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_UDP, ipv4HeaderLen, ipv4IsFragment, ipv4Protocol } from '../../wire/ipv4.ts';
import { IPV6_HLEN, ipv6NextHeader } from '../../wire/ipv6.ts';
import { isPktgen, PKTGEN_HLEN, pktgenSeq, pktgenTimeUs } from '../../wire/pktgen.ts';
import { UDP_HLEN } from '../../wire/udp.ts';

export class Pgrx {
  readonly dev: NetDevice;
  packets = 0;
  bytes = 0;
  /** Numbers that were passed over and have not come yet. */
  lost = 0;
  reordered = 0;
  duplicated = 0;
  /** Runs that were seen to begin. */
  runs = 0;
  /** Microseconds from the sender's stamp to now: both ends need the same clock. */
  latencyMinUs = Number.POSITIVE_INFINITY;
  latencyMaxUs = 0;
  #latencySumUs = 0;
  #stamped = 0;
  #next = 0;
  firstNs = 0;
  lastNs = 0;

  constructor(dev: NetDevice) {
    this.dev = dev;
  }

  /** Set-up: takes the device's frames. 0, or -EBUSY: somebody else has them. */
  start(): number {
    const error = netdevRxHandlerRegister(this.dev, (skb) => (this.#take(skb) ? 'consumed' : 'pass'));
    return error === 0 ? 0 : -Errno.EBUSY;
  }

  stop(): void {
    netdevRxHandlerUnregister(this.dev);
  }

  get latencyAvgUs(): number {
    return this.#stamped === 0 ? 0 : this.#latencySumUs / this.#stamped;
  }

  /** True: it was pktgen's, and is freed. */
  #take(skb: SkBuff): boolean {
    const data = payloadOf(skb);
    if (data < 0 || data + PKTGEN_HLEN > skb.tail) return false;
    const { view } = skb.arena;
    if (!isPktgen(view, data)) return false;
    const { executive } = this.dev.net.machine;
    this.lastNs = executive.now();
    if (this.packets === 0) this.firstNs = this.lastNs;
    this.packets++;
    this.bytes += skb.len + (skb.data - skb.macHeader);
    this.#number(pktgenSeq(view, data));
    const thenUs = pktgenTimeUs(view, data);
    if (thenUs > 0) this.#time((skb.tstampUs === 0 ? executive.wallUs() : skb.tstampUs) - thenUs);
    skb.pool.consume(skb);
    return true;
  }

  #number(seq: number): void {
    if (seq === 1 || this.runs === 0) {
      this.runs++;
      this.#next = (seq + 1) >>> 0;
      return;
    }
    const ahead = (seq - this.#next) | 0;
    if (ahead >= 0) {
      this.lost += ahead;
      this.#next = (seq + 1) >>> 0;
    } else if (this.lost > 0) {
      this.lost--;
      this.reordered++;
    } else {
      this.duplicated++;
    }
  }

  #time(us: number): void {
    this.#stamped++;
    this.#latencySumUs += us;
    if (us < this.latencyMinUs) this.latencyMinUs = us;
    if (us > this.latencyMaxUs) this.latencyMaxUs = us;
  }
}

/** Where the UDP payload begins; -1: this is no whole UDP datagram in one piece. */
function payloadOf(skb: SkBuff): number {
  const { view } = skb.arena;
  const ip = skb.data;
  const headlen = skb.len - skb.dataLen;
  if (skb.protocol === ETH_P_IP) {
    if (headlen < 28 || ipv4Protocol(view, ip) !== IPPROTO_UDP || ipv4IsFragment(view, ip)) return -1;
    return ip + ipv4HeaderLen(view, ip) + UDP_HLEN;
  }
  if (skb.protocol !== ETH_P_IPV6 || headlen < IPV6_HLEN + UDP_HLEN) return -1;
  return ipv6NextHeader(view, ip) === IPPROTO_UDP ? ip + IPV6_HLEN + UDP_HLEN : -1;
}
