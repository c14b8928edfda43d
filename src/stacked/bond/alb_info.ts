/**
 * What balance-tlb and balance-alb keep.
 *
 *     transmit table (tlb.ts)      hash 0..255 -> slave, bytes of this round, load of the last one
 *                                  a slave's entries are a list: TlbSlaveInfo.head -> next -> next
 *     receive table (rlb.ts)       hash of a client's IP 0..255 -> which slave its frames should come in on, as ARP told the client
 *
 * The tables live while the bond is open, the counters as long as the bond. One tick is 100 ms.
 */
import type { Slave } from './bond.ts';

export const ALB_TICKS_A_SECOND = 10;
/** Seconds between two rebalancings of the transmit table. (`BOND_TLB_REBALANCE_INTERVAL`) */
export const TLB_REBALANCE_INTERVAL = 10;
export const TLB_REBALANCE_TICKS: number = TLB_REBALANCE_INTERVAL * ALB_TICKS_A_SECOND;
export const TLB_HASH_TABLE_SIZE = 256;
export const TLB_NULL_INDEX = -1;

export class TlbTable {
  readonly txSlave: (Slave | null)[] = new Array<Slave | null>(TLB_HASH_TABLE_SIZE).fill(null);
  /** Bytes sent since the last rebalancing, and bytes a second before it. */
  readonly txBytes = new Float64Array(TLB_HASH_TABLE_SIZE);
  readonly loadHistory = new Float64Array(TLB_HASH_TABLE_SIZE);
  /** The next entry of the same slave. */
  readonly next: Int16Array = new Int16Array(TLB_HASH_TABLE_SIZE).fill(TLB_NULL_INDEX);
}

export class TlbSlaveInfo {
  head = TLB_NULL_INDEX;
  /** Bytes a second of the entries that are its own. */
  load = 0;
}

/** A client whose frames come in on a slave of our choice. (`struct rlb_client_info`) */
export class RlbClient {
  /** Our address that it talks to, and its own. */
  ipSrc = 0;
  ipDst = 0;
  readonly macSrc = new Uint8Array(6);
  readonly macDst = new Uint8Array(6);
  /** In the table. */
  assigned = false;
  /** It is to be told of its slave's address. */
  ntt = false;
  slave: Slave | null = null;
  vlanId = 0;
}

export class RlbTable {
  readonly clients: readonly RlbClient[] = Array.from({ length: TLB_HASH_TABLE_SIZE }, () => new RlbClient());
  /** Those that are assigned, the latest first. */
  readonly used: RlbClient[] = [];
}

export class AlbBondInfo {
  tx: TlbTable | null = null;
  /** balance-alb only. */
  rx: RlbTable | null = null;
  /** Bytes sent by the active slave because nothing could be chosen. */
  unbalancedLoad = 0;
  txRebalanceCounter = 0;
  lpCounter = 0;
  /** Some client is to be told. */
  rxNtt = false;
  /** The slave that was given a client last. */
  rxSlave: Slave | null = null;
  /** The active slave hears everything, for a slave that is gone: until the counter says that clients know. */
  primaryIsPromisc = false;
  rlbPromiscTimeoutCounter = 0;
  rlbUpdateDelayCounter = 0;
  rlbUpdateRetryCounter = 0;
  rlbRebalance = false;

  get rlbEnabled(): boolean {
    return this.rx !== null;
  }
}

/** XOR of four bytes of an address: 0 to 255. (`_simple_hash`) */
export function simpleHash(word: number): number {
  return ((word >>> 24) ^ (word >>> 16) ^ (word >>> 8) ^ word) & 0xff;
}
