/**
 * Netlink messages: a header, a fixed part that depends on the type, and attributes, which may hold attributes.
 *
 *     0       4       6        8      12     16
 *     | len   | type  | flags  | seq  | pid  | fixed part | attribute | attribute | ...        next message aligned to 4
 *                                                          | len u16 | type u16 | value |       next attribute aligned to 4
 *
 * Numbers are in the machine's order (little-endian here), addresses as on the wire. Readers take any bytes: what is cut off or
 * claims a length that is not there ends the walk, and never throws. Answers to linux/netlink.h.
 */
export const NLMSG_HDRLEN = 16;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
/** In a request that makes something: what there is already is replaced, or is an error; what is not there is made. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
/** In an answer: the request is not repeated behind its header; attributes follow. */
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
/** Set in an attribute's type for what holds attributes, and for values in network order. */
const NLA_TYPE_MASK = 0x3fff;
const ATTRIBUTE_HLEN = 4;

export interface NlMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  /** Behind the header: the fixed part and the attributes. */
  readonly payload: Uint8Array;
}

export type NlAttribute = readonly [type: number, value: Uint8Array];

/** The messages in what one recv gave, in order. A message that is cut off ends the list. */
export function nlMessages(bytes: Uint8Array): NlMessage[] {
  const view = viewOf(bytes);
  const found: NlMessage[] = [];
  for (let at = 0; at + NLMSG_HDRLEN <= bytes.length; ) {
    const len = view.getUint32(at, true);
    if (len < NLMSG_HDRLEN || at + len > bytes.length) break;
    found.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      seq: view.getUint32(at + 8, true),
      payload: bytes.subarray(at + NLMSG_HDRLEN, at + len),
    });
    at += aligned(len);
  }
  return found;
}

/** The attributes from `o` on, by type; the last of a type counts. One that is cut off ends the walk. */
export function nlAttributes(bytes: Uint8Array, o: number): Map<number, Uint8Array> {
  const view = viewOf(bytes);
  const found = new Map<number, Uint8Array>();
  for (let at = o; at + ATTRIBUTE_HLEN <= bytes.length; ) {
    const len = view.getUint16(at, true);
    if (len < ATTRIBUTE_HLEN || at + len > bytes.length) break;
    found.set(view.getUint16(at + 2, true) & NLA_TYPE_MASK, bytes.subarray(at + ATTRIBUTE_HLEN, at + len));
    at += aligned(len);
  }
  return found;
}

/** A u64 attribute, exact below 2^53; null if it is not there or too short. */
export function nlU64(value: Uint8Array | undefined): number | null {
  if (value === undefined || value.length < 8) return null;
  const view = viewOf(value);
  return view.getUint32(0, true) + view.getUint32(4, true) * 0x1_0000_0000;
}

/** A u32 attribute; null if it is not there or too short. */
export function nlU32(value: Uint8Array | undefined): number | null {
  return value === undefined || value.length < 4 ? null : viewOf(value).getUint32(0, true);
}

export function nlU8(value: Uint8Array | undefined): number | null {
  return value?.[0] ?? null;
}

/** Text up to its NUL. */
export function nlString(value: Uint8Array | undefined): string | null {
  if (value === undefined) return null;
  const end = value.indexOf(0);
  return new TextDecoder('latin1').decode(end < 0 ? value : value.subarray(0, end));
}

/** The errno of an NLMSG_ERROR as a positive number, 0 for an acknowledgement, -1 if it is too short to say. */
export function nlErrno(message: NlMessage): number {
  return message.payload.length < 4 ? -1 : -viewOf(message.payload).getInt32(0, true);
}

/** What the kernel says in words of a refusal, or as a warning of a success (`extack`); empty: nothing. */
export function nlReason(message: NlMessage): string {
  const { flags, payload } = message;
  if ((flags & NLM_F_ACK_TLVS) === 0 || payload.length < 4 + NLMSG_HDRLEN) return '';
  const requested = (flags & NLM_F_CAPPED) !== 0 ? NLMSG_HDRLEN : viewOf(payload).getUint32(4, true);
  return nlString(nlAttributes(payload, 4 + aligned(requested)).get(NLMSGERR_ATTR_MSG)) ?? '';
}

/** Attributes as the value of another one. */
export function nlNest(attributes: readonly NlAttribute[]): Uint8Array {
  const bytes = new Uint8Array(attributes.reduce((sum, [, value]) => sum + aligned(ATTRIBUTE_HLEN + value.length), 0));
  writeAttributes(bytes, 0, attributes);
  return bytes;
}

/** A number as the bytes of an attribute, in the machine's order. */
export function nlU32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

export function nlU16Bytes(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

/** With its NUL. */
export function nlStringBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(`${text}\0`, 'utf8'));
}

/** A whole message. `fixed` and the attributes are padded as they have to be. */
export function nlMessage(
  type: number,
  flags: number,
  seq: number,
  fixed: Uint8Array,
  attributes: readonly NlAttribute[] = [],
): Uint8Array {
  const attributesLen = attributes.reduce((sum, [, value]) => sum + aligned(ATTRIBUTE_HLEN + value.length), 0);
  const len = NLMSG_HDRLEN + aligned(fixed.length) + attributesLen;
  const bytes = new Uint8Array(len);
  const view = viewOf(bytes);
  view.setUint32(0, len, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  view.setUint32(8, seq, true);
  bytes.set(fixed, NLMSG_HDRLEN);
  writeAttributes(bytes, NLMSG_HDRLEN + aligned(fixed.length), attributes);
  return bytes;
}

function writeAttributes(bytes: Uint8Array, o: number, attributes: readonly NlAttribute[]): void {
  const view = viewOf(bytes);
  let at = o;
  for (const [type, value] of attributes) {
    view.setUint16(at, ATTRIBUTE_HLEN + value.length, true);
    view.setUint16(at + 2, type, true);
    bytes.set(value, at + ATTRIBUTE_HLEN);
    at += aligned(ATTRIBUTE_HLEN + value.length);
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function aligned(len: number): number {
  return (len + 3) & ~3;
}
