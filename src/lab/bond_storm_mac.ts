/**
 * A MAC for simulated machines, where there is no secret to keep and no library to ask: SipHash-2-4 under two keys, 128 bits.
 *
 * The host world uses HMAC-SHA-256 (host/sysrq_mac.ts).
 */
import { SipHash } from '../wire/siphash.ts';
import type { SysrqMac } from '../wire/sysrq_command.ts';

/** `message` has to begin at the front of its buffer, as the bytes of a SysrqFrame do. */
export function simulatedMac(key: number): SysrqMac {
  const first = new SipHash(key, 1, 2, 3);
  const second = new SipHash(key, 5, 6, 7);
  return (message, len, tag) => {
    const words = new Int32Array(message.buffer, message.byteOffset, len >>> 2);
    const view = new DataView(tag.buffer, tag.byteOffset);
    view.setUint32(0, first.hash(words, len));
    view.setUint32(4, first.high >>> 0);
    view.setUint32(8, second.hash(words, len));
    view.setUint32(12, second.high >>> 0);
  };
}
