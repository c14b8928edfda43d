/**
 * SysRq over the network: one frame of 104 bytes for everything that is said, so that no answer is longer than its question.
 *
 *      0 "NPsq"   4 version 1   5 type   6 key   7 status
 *      8 nonce    16   chosen by the sender for each question and command; what answers it repeats it
 *     24 boot id  16   chosen by the machine when it starts to listen; a command for another boot is void
 *     40 counter   8   answer, result: the last one that was accepted; command: a higher one
 *     48 issued    8   milliseconds of the machine's clock, from its last answer; a command that is too old is void
 *     56 host id  32   UTF-8, padded with zeros; in a question empty (whoever hears it) or the host that is meant
 *     88 tag      16   MAC over bytes 0 to 87, with the key that sender and host share
 *    104
 *
 *     sender                                     machine
 *        QUESTION nonce                     -->
 *                                           <--  ANSWER  nonce, boot id, counter n, issued, host id
 *        COMMAND  nonce', boot id, n+1, key -->  accepted once
 *                                           <--  RESULT  nonce', counter n+1, key, status
 *
 * Every frame has a tag: who does not know the key hears nothing. Numbers are big-endian. The kernel has no such format; what it
 * repairs is told in docs/sysrq.md.
 */

export const SYSRQ_FRAME_LEN = 104;
export const SYSRQ_TAG_LEN = 16;
export const SYSRQ_NONCE_LEN = 16;
export const SYSRQ_BOOT_ID_LEN = 16;
export const SYSRQ_HOST_ID_LEN = 32;
/** A host's key has at least so many bytes. */
export const SYSRQ_KEY_MIN = 16;

export const SysrqType = { QUESTION: 1, ANSWER: 2, COMMAND: 3, RESULT: 4 } as const;
export type SysrqType = (typeof SysrqType)[keyof typeof SysrqType];

/** What a RESULT says. ACCEPTED: it runs now. DISABLED: the mask forbids it. LIMITED: too many at once, it does not run. */
export const SysrqStatus = { ACCEPTED: 1, DISABLED: 2, LIMITED: 3 } as const;
export type SysrqStatus = (typeof SysrqStatus)[keyof typeof SysrqStatus];

/**
 * A keyed hash: writes at least SYSRQ_TAG_LEN bytes of it over message[0..len) to the front of `tag`. Called in any context; may not
 * wait or throw. HMAC-SHA-256 in both worlds that have real keys.
 */
export type SysrqMac = (message: Uint8Array, len: number, tag: Uint8Array) => void;

const MAGIC = 0x4e507371;
const VERSION = 1;
const TYPE = 5;
const KEY = 6;
const STATUS = 7;
const NONCE = 8;
const BOOT_ID = 24;
const COUNTER = 40;
const ISSUED = 48;
const HOST_ID = 56;
const TAG = 88;

/** One frame: its bytes, and names for its fields. Made once, filled again and again. */
export class SysrqFrame {
  readonly bytes = new Uint8Array(SYSRQ_FRAME_LEN);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #tag = new Uint8Array(64);

  /** Empties it for a frame of `type`. */
  reset(type: SysrqType): this {
    this.bytes.fill(0);
    this.#view.setUint32(0, MAGIC);
    this.bytes[4] = VERSION;
    this.bytes[TYPE] = type;
    return this;
  }

  /** Takes bytes[offset..offset+len) over. False: not a frame of this form; what is in it now is nothing. Never throws. */
  load(bytes: Uint8Array, offset: number, len: number): boolean {
    if (len !== SYSRQ_FRAME_LEN || offset < 0 || offset + len > bytes.length) return false;
    for (let i = 0; i < SYSRQ_FRAME_LEN; i++) this.bytes[i] = bytes[offset + i]!;
    if (this.#view.getUint32(0) !== MAGIC || this.bytes[4] !== VERSION) return false;
    return this.#fieldsOk() && this.#hostIdOk();
  }

  get type(): SysrqType {
    return this.bytes[TYPE]! as SysrqType;
  }

  /** The SysRq key; empty in questions and answers. */
  get key(): string {
    const code = this.bytes[KEY]!;
    return code === 0 ? '' : String.fromCharCode(code);
  }

  set key(key: string) {
    this.bytes[KEY] = key.charCodeAt(0) & 0x7f;
  }

  get status(): number {
    return this.bytes[STATUS]!;
  }

  set status(status: SysrqStatus) {
    this.bytes[STATUS] = status;
  }

  get counter(): number {
    return this.#number(COUNTER);
  }

  set counter(value: number) {
    this.#setNumber(COUNTER, value);
  }

  get issuedMs(): number {
    return this.#number(ISSUED);
  }

  set issuedMs(value: number) {
    this.#setNumber(ISSUED, value);
  }

  get hostId(): string {
    let end = HOST_ID;
    while (end < TAG && this.bytes[end] !== 0) end++;
    return new TextDecoder().decode(this.bytes.slice(HOST_ID, end));
  }

  setNonce(from: Uint8Array, offset = 0): void {
    for (let i = 0; i < SYSRQ_NONCE_LEN; i++) this.bytes[NONCE + i] = from[offset + i]!;
  }

  setBootId(from: Uint8Array, offset = 0): void {
    for (let i = 0; i < SYSRQ_BOOT_ID_LEN; i++) this.bytes[BOOT_ID + i] = from[offset + i]!;
  }

  /** `id` as sysrqHostId gives it. */
  setHostId(id: Uint8Array): void {
    for (let i = 0; i < SYSRQ_HOST_ID_LEN; i++) this.bytes[HOST_ID + i] = id[i]!;
  }

  /** The fields that `from` repeats: nonce, boot id and host id. */
  copyNonce(from: SysrqFrame): void {
    this.setNonce(from.bytes, NONCE);
  }

  copyBoot(from: SysrqFrame): void {
    this.setBootId(from.bytes, BOOT_ID);
    for (let i = HOST_ID; i < TAG; i++) this.bytes[i] = from.bytes[i]!;
  }

  sameNonce(nonce: Uint8Array): boolean {
    return sameBytes(this.bytes, NONCE, nonce, 0, SYSRQ_NONCE_LEN);
  }

  sameBootId(id: Uint8Array): boolean {
    return sameBytes(this.bytes, BOOT_ID, id, 0, SYSRQ_BOOT_ID_LEN);
  }

  sameHostId(id: Uint8Array): boolean {
    return sameBytes(this.bytes, HOST_ID, id, 0, SYSRQ_HOST_ID_LEN);
  }

  get noHostId(): boolean {
    return this.bytes[HOST_ID] === 0;
  }

  /** Puts the tag on. */
  seal(mac: SysrqMac): void {
    mac(this.bytes, TAG, this.#tag);
    for (let i = 0; i < SYSRQ_TAG_LEN; i++) this.bytes[TAG + i] = this.#tag[i]!;
  }

  /** True if the tag is right; takes as long whichever bytes of it are wrong. */
  sealed(mac: SysrqMac): boolean {
    mac(this.bytes, TAG, this.#tag);
    return sameBytes(this.bytes, TAG, this.#tag, 0, SYSRQ_TAG_LEN);
  }

  /** True if `tag` (16 bytes) is its tag. */
  sameTag(tag: Uint8Array): boolean {
    return sameBytes(this.bytes, TAG, tag, 0, SYSRQ_TAG_LEN);
  }

  copyTag(out: Uint8Array): void {
    for (let i = 0; i < SYSRQ_TAG_LEN; i++) out[i] = this.bytes[TAG + i]!;
  }

  /** Each type has the fields that are its own, and zeros elsewhere. */
  #fieldsOk(): boolean {
    const type = this.bytes[TYPE]!;
    const key = this.bytes[KEY]!;
    const status = this.bytes[STATUS]!;
    if (type === SysrqType.QUESTION || type === SysrqType.ANSWER) {
      if (key !== 0 || status !== 0) return false;
    } else if (type === SysrqType.COMMAND) {
      if (key < 0x21 || key > 0x7e || status !== 0) return false;
    } else if (type === SysrqType.RESULT) {
      if (key < 0x21 || key > 0x7e || status < SysrqStatus.ACCEPTED || status > SysrqStatus.LIMITED) return false;
    } else return false;
    // Beyond 2^53 a counter could not rise any more.
    if (this.bytes[COUNTER] !== 0 || this.bytes[COUNTER + 1]! > 0x1f) return false;
    if (this.bytes[ISSUED] !== 0 || this.bytes[ISSUED + 1]! > 0x1f) return false;
    if (type !== SysrqType.QUESTION) return !this.noHostId;
    for (let i = BOOT_ID; i < HOST_ID; i++) if (this.bytes[i] !== 0) return false;
    return true;
  }

  /** Nothing stands behind its end. */
  #hostIdOk(): boolean {
    let ended = false;
    for (let i = HOST_ID; i < TAG; i++) {
      if (this.bytes[i] === 0) ended = true;
      else if (ended) return false;
    }
    return true;
  }

  #number(at: number): number {
    return this.#view.getUint32(at) * 0x100000000 + this.#view.getUint32(at + 4);
  }

  #setNumber(at: number, value: number): void {
    this.#view.setUint32(at, Math.floor(value / 0x100000000));
    this.#view.setUint32(at + 4, value % 0x100000000);
  }
}

/** `name` as a host id of 32 bytes, or null if it is empty, longer, or holds a zero byte. */
export function sysrqHostId(name: string): Uint8Array | null {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > SYSRQ_HOST_ID_LEN || bytes.includes(0)) return null;
  const id = new Uint8Array(SYSRQ_HOST_ID_LEN);
  id.set(bytes);
  return id;
}

/** Compares without telling by its duration where they differ. */
function sameBytes(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, len: number): boolean {
  let differ = 0;
  for (let i = 0; i < len; i++) differ |= a[aAt + i]! ^ b[bAt + i]!;
  return differ === 0;
}
