// hot
/**
 * The Toeplitz hash, by which multi-queue NICs choose the receive queue (RSS).
 *
 *     input, bit by bit from the highest:   1 -> hash ^= the 32 key bits that start at this bit's place
 *     queue = table[hash & (size - 1)]
 *
 * Input are source address, destination address, source port, destination port in network byte order; with addresses alone
 * all of a host pair's fragments meet. The key must be as long as the input and 4 bytes more: 40 bytes do for IPv6.
 */

/** The key that the published verification vectors use, and most drivers start with. */
export const RSS_DEFAULT_KEY: Uint8Array = Uint8Array.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa'.match(/../g) ?? [],
  (byte) => Number.parseInt(byte, 16),
);

/** Entries of an indirection table, as most NICs have. */
export const RSS_TABLE_SIZE = 128;

export class Toeplitz {
  readonly key: Uint8Array;
  /** What input byte `i` of value `b` contributes, at i * 256 + b: 8 key windows summed. */
  readonly #bytes: Int32Array;

  constructor(key: Uint8Array = RSS_DEFAULT_KEY) {
    this.key = key;
    const inputs = Math.max(key.length - 4, 0);
    this.#bytes = new Int32Array(inputs * 256);
    for (let i = 0; i < inputs; i++) {
      for (let b = 0; b < 256; b++) {
        let sum = 0;
        for (let bit = 0; bit < 8; bit++) if ((b & (0x80 >> bit)) !== 0) sum ^= window32(key, 8 * i + bit);
        this.#bytes[i * 256 + b] = sum;
      }
    }
  }

  /** Hash over `len` bytes at `o`, unsigned. Bytes beyond the key's length count nothing. */
  hash(view: DataView, o: number, len: number): number {
    return this.more(0, 0, view, o, len) >>> 0;
  }

  /** Goes on with `len` bytes that stand at `position` of the input; for input that does not lie in one piece. */
  more(hash: number, position: number, view: DataView, o: number, len: number): number {
    let sum = hash;
    const table = this.#bytes;
    for (let i = 0; i < len; i++) sum ^= table[(position + i) * 256 + view.getUint8(o + i)]!;
    return sum;
  }

  /**
   * Hash of an IP packet at `ip`, whose addresses are `addressLen` (4 or 16) bytes; `ports` is where its four bytes of ports
   * are, or -1 to hash the addresses alone.
   */
  packet(view: DataView, ip: number, addressLen: number, ports: number): number {
    const addresses = addressLen === 4 ? ip + 12 : ip + 8;
    const sum = this.more(0, 0, view, addresses, 2 * addressLen);
    return (ports < 0 ? sum : this.more(sum, 2 * addressLen, view, ports, 4)) >>> 0;
  }
}

/** 32 bits of the key from bit `bit` on. */
function window32(key: Uint8Array, bit: number): number {
  let word = 0;
  for (let i = 0; i < 32; i++) {
    const at = bit + i;
    word = (word << 1) | ((key[at >>> 3]! >>> (7 - (at & 7))) & 1);
  }
  return word;
}

/** The table that drivers start with: queues in turn. (`ethtool_rxfh_indir_default`) */
export function rssIndirDefault(table: Uint16Array, queues: number): void {
  for (let i = 0; i < table.length; i++) table[i] = i % queues;
}

/** Queue for `hash`; the table's length is a power of two. */
export function rssQueue(table: Uint16Array, hash: number): number {
  return table[hash & (table.length - 1)]!;
}
