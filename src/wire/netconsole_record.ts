/**
 * The netconsole record: one printk record as it stands on the wire, in the shapes that both directions share.
 *
 *   extended   [release,]prio,seq,usec,flag[,key=val]*;text\n[ KEY=value\n]*
 *   basic      [<prio>][[ secs.usecs]][[ caller]] text\n         (one a line, no sequence number)
 *
 * `netconsole_parse.ts` reads datagrams into the types below, `netconsole_emit.ts` writes `KmsgRecord`s into datagrams,
 * `netconsole_text.ts` holds the escapes. A record longer than one datagram is cut into fragments which repeat the
 * header and add `,ncfrag=offset/total` (all counts are bytes behind the `;`).
 *
 * 64-bit values (sequence number, microseconds) are decimal strings on the parsing side: exact, and fit for JSON.
 */

/** Longest UDP payload that netconsole sends: longer messages are cut (MAX_PRINT_CHUNK). */
export const DATAGRAM_MAX = 1000;
/** An extended header, up to its `;`, is shorter than this. */
export const HEADER_MAX = 1024;
/** A release in front of the header has its first `.` before the first `,` within this many bytes. */
export const RELEASE_SCAN = 64;
/** Largest `ncfrag` total that we believe: 256 userdata keys of 254 bytes, and the longest escaped record, fit twice. */
export const FRAGMENT_TOTAL_MAX = 131072;

/** What a sender needs of a printk record. Structural: machine/printk's own record fits. */
export interface KmsgRecord {
  /** printk sequence number, u64. */
  readonly seq: bigint | number;
  /** 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** syslog facility, 0 is the kernel. */
  readonly facility: number;
  /** Microseconds since boot; a fraction is cut off. */
  readonly tsUs: number;
  /** A fragment of a continuation line (LOG_CONT). */
  readonly cont: boolean;
  /** `T<tid>` or `C<cpu>` where callers are recorded. */
  readonly caller?: string | undefined;
  /** UTF-8 without the final newline; inner newlines are allowed. */
  readonly text: Uint8Array;
  /** Byte strings (one char a byte; in practice ASCII names). */
  readonly dict?: { readonly subsystem?: string | undefined; readonly device?: string | undefined } | undefined;
}

/** One ` KEY=value` line behind the text. Values may hold newlines: userdata comes unescaped. */
export interface DictEntry {
  readonly key: string;
  readonly value: string;
}

/** Place of a fragment in the bytes behind the `;` of the whole record. */
export interface Fragment {
  readonly offset: number;
  readonly total: number;
}

/** The header of an extended datagram, read exactly. */
export interface ExtendedHeader {
  /** Kernel release (`uname -r`) where the target prepends it. */
  readonly release: string | null;
  readonly level: number;
  readonly facility: number;
  /** u64, decimal, without leading zeros. */
  readonly seq: string;
  /** u64 microseconds since the sender's boot, decimal, without leading zeros. */
  readonly usec: string;
  /** One character: `-` none, `c` continuation, `+` appended continuation (old kernels). */
  readonly flag: string;
  /** Unknown `key=val` fields in order (`caller` among them), `ncfrag` excluded. */
  readonly extras: readonly DictEntry[];
  /** Set when the datagram is one fragment of a record. */
  readonly fragment: Fragment | null;
  /** Index of the first byte behind the `;`. */
  readonly bodyStart: number;
}

/** Text and dictionary of a whole record. */
export interface ExtendedBody {
  /** Unescaped; bytes that are no UTF-8 appear as U+DC80..U+DCFF (see netconsole_text.ts). */
  readonly text: string;
  /** SUBSYSTEM and DEVICE from the kernel, then userdata and sysdata. */
  readonly dict: readonly DictEntry[];
  /** The final newline was there; false: the datagram was cut short, or a sender bug took it. */
  readonly terminated: boolean;
}

/** One line of the basic format. */
export interface BasicLine {
  readonly level: number | null;
  readonly facility: number | null;
  readonly usec: string | null;
  readonly caller: string | null;
  readonly text: string;
  /** Some prefix of the basic format was there; without any the line is just text. */
  readonly recognised: boolean;
}
