/**
 * What stands behind the UDP header of a generated frame.
 *
 *     pktgen       magic, sequence number, time (wire/pktgen.ts), zeros up to the frame's size
 *     bytes        a datagram that somebody gave, the same in every frame
 *     netconsole   6,0000000042,0081522443,-;text\n      an extended record; each source counts for itself
 */
import { SetupError } from '../../base/status.ts';

export type PktgenPayload =
  | { readonly kind: 'pktgen' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'netconsole'; readonly text: string };

/** Where the digits of a netconsole record stand, ten each: its number, and its microseconds. */
export const LINE_SEQ_AT = 2;
export const LINE_TIME_AT = LINE_SEQ_AT + 11;
export const LINE_DIGITS = 10;
const LINE_MAX = 1000;

/** The payload with zeros where numbers go; null: it is made of zeros, as long as the frame wants. Throws SetupError. */
export function payloadBytes(payload: PktgenPayload): Uint8Array | null {
  if (payload.kind === 'pktgen') return null;
  if (payload.kind === 'bytes') return payload.bytes;
  const zeros = '0'.repeat(LINE_DIGITS);
  const bytes = new TextEncoder().encode(`6,${zeros},${zeros},-;${payload.text}\n`);
  if (bytes.length > LINE_MAX || payload.text.includes('\n')) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `a netconsole line is one line, and ${LINE_MAX} bytes with its header`);
  }
  return bytes;
}
