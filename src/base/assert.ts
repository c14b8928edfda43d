/**
 * Assertions that stay on in production, and the error they raise.
 *
 * Answers to the kernel's BUG_ON: the caller broke a contract, so nothing after this line can be trusted. Bad input is
 * never a reason to assert; it is counted or reported (see status.ts).
 */

/** A broken contract inside this program. Never raised for input from outside. */
export class Bug extends Error {
  readonly code = 'ERR_NETPOLL_BUG';

  constructor(what: string) {
    super(`BUG: ${what}`);
    this.name = 'Bug';
  }
}

/** Raises `Bug` unless `condition` holds. `what` names the rule that was broken, as a sentence. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Bug(what);
}
