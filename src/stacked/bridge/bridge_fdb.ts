// hot
/**
 * The forwarding database of a bridge: which hardware address is behind which port.
 *
 *     hash of the address -> bucket -> entry -> entry ...      columns, not objects: a look-up allocates nothing
 *
 * An entry is local (the bridge's own address or a port's: frames for it are ours), or learned from a frame's source, and then it is
 * forgotten when it was not heard of for the ageing time. What is learned is bounded: one frame of a flood from made-up addresses
 * costs no more than another, and takes no room from addresses of ours. Answers to br_fdb_find_rcu, br_fdb_update, br_fdb_cleanup, br_fdb_delete_by_port.
 */
import { FreeStack } from '../../base/free_stack.ts';
import { ETH_ALEN } from '../../wire/eth.ts';

const BUCKETS = 1024;
const NONE = -1;
/** Addresses of ours: each port's, and the bridge's own. */
const LOCALS_MAX = 1024;

/** `Port` is a bridge's port. */
export class BridgeFdb<Port> {
  /** Learned addresses that found no room. */
  full = 0;
  /** Frames from outside with an address of ours as their source. */
  ownSource = 0;
  readonly #heads = new Int32Array(BUCKETS).fill(NONE);
  readonly #next: Int32Array;
  readonly #high: Uint16Array;
  readonly #low: Uint32Array;
  readonly #local: Uint8Array;
  readonly #updatedNs: Float64Array;
  readonly #port: (Port | null)[];
  readonly #free: FreeStack;
  readonly #room: number;
  /** Entries that were learned; at most #maxLearned. */
  #learned = 0;
  readonly #maxLearned: number;

  /** Learns at most `maxLearned` addresses. (`fdb_max_learned`) */
  constructor(maxLearned: number) {
    const max = maxLearned + LOCALS_MAX;
    this.#room = max;
    this.#maxLearned = maxLearned;
    this.#next = new Int32Array(max).fill(NONE);
    this.#high = new Uint16Array(max);
    this.#low = new Uint32Array(max);
    this.#local = new Uint8Array(max);
    this.#updatedNs = new Float64Array(max);
    this.#port = new Array<Port | null>(max).fill(null);
    this.#free = new FreeStack(max);
    this.#free.fill(0, max);
  }

  /** Entries now. */
  get size(): number {
    return this.#room - this.#free.depth;
  }

  /** The entry of the address at bytes[o..o+6), or -1. */
  find(bytes: Uint8Array, o: number): number {
    const high = highOf(bytes, o);
    const low = lowOf(bytes, o);
    let entry = this.#heads[bucketOf(high, low)]!;
    while (entry !== NONE && (this.#low[entry] !== low || this.#high[entry] !== high)) entry = this.#next[entry]!;
    return entry;
  }

  isLocal(entry: number): boolean {
    return this.#local[entry] !== 0;
  }

  /** Null for the bridge's own address. */
  port(entry: number): Port | null {
    return this.#port[entry]!;
  }

  /** A frame from this address came in by `port`. */
  update(bytes: Uint8Array, o: number, port: Port, nowNs: number): void {
    let entry = this.find(bytes, o);
    if (entry === NONE) {
      if (this.#learned === this.#maxLearned) {
        this.full++;
        return;
      }
      entry = this.#add(bytes, o);
      if (entry === NONE) return;
      this.#learned++;
    } else if (this.#local[entry] !== 0) {
      this.ownSource++;
      return;
    }
    this.#port[entry] = port;
    this.#updatedNs[entry] = nowNs;
  }

  /** `mac` is ours, that of `port` or of the bridge. What was learned of it is forgotten. (`br_fdb_add_local`) */
  addLocal(mac: Uint8Array, port: Port | null): void {
    let entry = this.find(mac, 0);
    if (entry !== NONE && this.#local[entry] !== 0) return;
    if (entry !== NONE) this.#learned--;
    else entry = this.#add(mac, 0);
    if (entry === NONE) return;
    this.#local[entry] = 1;
    this.#port[entry] = port;
  }

  /** Set-up. No address is ours any more. */
  deleteLocals(): void {
    this.#deleteWhere((entry) => this.#local[entry] !== 0);
  }

  /** Set-up. What was learned by the port is forgotten. */
  deleteByPort(port: Port): void {
    this.#deleteWhere((entry) => this.#local[entry] === 0 && this.#port[entry] === port);
  }

  /** Set-up. Forgets what was last heard of at or before `beforeNs`; when the oldest of the others was, or -1. */
  cleanup(beforeNs: number): number {
    this.#deleteWhere((entry) => this.#local[entry] === 0 && this.#updatedNs[entry]! <= beforeNs);
    let oldest = -1;
    this.#each((entry) => {
      if (this.#local[entry] !== 0) return false;
      const updated = this.#updatedNs[entry]!;
      if (oldest < 0 || updated < oldest) oldest = updated;
      return false;
    });
    return oldest;
  }

  /** Set-up. Every entry: the address, its port (null: the bridge), local or not, when it was heard of. */
  list(): { mac: Uint8Array; port: Port | null; local: boolean; updatedNs: number }[] {
    const out: { mac: Uint8Array; port: Port | null; local: boolean; updatedNs: number }[] = [];
    this.#each((entry) => {
      const mac = new Uint8Array(ETH_ALEN);
      const view = new DataView(mac.buffer);
      view.setUint16(0, this.#high[entry]!);
      view.setUint32(2, this.#low[entry]!);
      const local = this.#local[entry] !== 0;
      out.push({ mac, port: this.#port[entry]!, local, updatedNs: this.#updatedNs[entry]! });
      return false;
    });
    return out;
  }

  #add(bytes: Uint8Array, o: number): number {
    const entry = this.#free.pop();
    if (entry < 0) return NONE;
    const high = highOf(bytes, o);
    const low = lowOf(bytes, o);
    const bucket = bucketOf(high, low);
    this.#high[entry] = high;
    this.#low[entry] = low;
    this.#local[entry] = 0;
    this.#next[entry] = this.#heads[bucket]!;
    this.#heads[bucket] = entry;
    return entry;
  }

  /** Set-up. */
  #deleteWhere(gone: (entry: number) => boolean): void {
    this.#each((entry) => {
      if (!gone(entry)) return false;
      if (this.#local[entry] === 0) this.#learned--;
      this.#port[entry] = null;
      this.#free.push(entry);
      return true;
    });
  }

  /** Set-up. Unlinks every entry for which `visit` gives true. */
  #each(visit: (entry: number) => boolean): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      let before = NONE;
      let entry = this.#heads[bucket]!;
      while (entry !== NONE) {
        const next = this.#next[entry]!;
        if (!visit(entry)) before = entry;
        else if (before === NONE) this.#heads[bucket] = next;
        else this.#next[before] = next;
        entry = next;
      }
    }
  }
}

function highOf(bytes: Uint8Array, o: number): number {
  return (bytes[o]! << 8) | bytes[o + 1]!;
}

function lowOf(bytes: Uint8Array, o: number): number {
  return ((bytes[o + 2]! << 24) | (bytes[o + 3]! << 16) | (bytes[o + 4]! << 8) | bytes[o + 5]!) >>> 0;
}

function bucketOf(high: number, low: number): number {
  return (Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> 22) & (BUCKETS - 1);
}
