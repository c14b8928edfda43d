/**
 * How many ICMP errors leave: token buckets, so that nobody can make us flood somebody.
 *
 *     all errors together   1000 a second, 50 at once        (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst)
 *     to one destination    1 a second, 6 at once            (net.ipv4.icmp_ratelimit)
 *
 * Destinations share 256 buckets by hash: memory is bounded, and an attacker who fills them only gets fewer answers.
 */
const GLOBAL_PER_NS = 1000 / 1e9;
const GLOBAL_BURST = 50;
const HOST_PER_NS = 1 / 1e9;
const HOST_BURST = 6;
const BUCKETS = 256;

export class IcmpRateLimit {
  #tokens = GLOBAL_BURST;
  #atNs = 0;
  readonly #hostTokens = new Float64Array(BUCKETS).fill(HOST_BURST);
  readonly #hostAtNs = new Float64Array(BUCKETS);

  /** True if one more may leave now; takes its token then. (`icmp_global_allow`) */
  global(nowNs: number): boolean {
    this.#tokens = Math.min(this.#tokens + (nowNs - this.#atNs) * GLOBAL_PER_NS, GLOBAL_BURST);
    this.#atNs = nowNs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** The same for the destination with this hash. (`inet_peer_xrlim_allow`) */
  host(hash: number, nowNs: number): boolean {
    const at = hash & (BUCKETS - 1);
    const tokens = Math.min(this.#hostTokens[at]! + (nowNs - this.#hostAtNs[at]!) * HOST_PER_NS, HOST_BURST);
    this.#hostAtNs[at] = nowNs;
    this.#hostTokens[at] = tokens < 1 ? tokens : tokens - 1;
    return tokens >= 1;
  }
}
