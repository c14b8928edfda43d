/**
 * HMAC-SHA-256 as the MAC of SysRq commands, and secrets from the operating system.
 *
 * Synchronous: works while the event loop stands still, and after a panic.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { SetupError } from '../base/status.ts';
import { SYSRQ_KEY_MIN, SYSRQ_TAG_LEN, type SysrqMac } from '../wire/sysrq_command.ts';

/** The MAC under `key`, which is copied. Throws SetupError `ERR_NETPOLL_SYSRQ_KEY` for one shorter than 16 bytes. */
export function hmacSha256(key: Uint8Array): SysrqMac {
  if (key.length < SYSRQ_KEY_MIN) {
    throw new SetupError('ERR_NETPOLL_SYSRQ_KEY', `a sysrq key has at least ${SYSRQ_KEY_MIN} bytes, not ${key.length}`);
  }
  const secret = Uint8Array.from(key);
  return (message, len, tag) => {
    const digest = createHmac('sha256', secret).update(message.subarray(0, len)).digest();
    for (let i = 0; i < SYSRQ_TAG_LEN; i++) tag[i] = digest[i]!;
  };
}

/** Fills `out` with bytes that nobody can guess: nonces, boot ids, new keys. */
export function randomFill(out: Uint8Array): void {
  out.set(randomBytes(out.length));
}
