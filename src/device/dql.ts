// hot
/**
 * Dynamic queue limits: how many bytes a transmit queue may have in the hardware, found out by watching it (`struct dql`).
 *
 *     sent ----- queued, not completed yet ----- completed
 *              limit grows when the hardware ran dry although the stack had more,
 *              and shrinks by what it never needed for a second
 *
 * Counts are unsigned 32-bit and wrap, and are compared by their difference, as the kernel does. Bytes throughout.
 */
import { assert } from '../base/assert.ts';

const UINT_MAX = 0xffffffff;
/** Half of what a difference can say, and some room. (`DQL_MAX_LIMIT`) */
export const DQL_MAX_LIMIT = Math.floor(UINT_MAX / 2) - Math.floor(UINT_MAX / 16);
const SLACK_HOLD_NS = 1e9;

/** How much `a` is ahead of `b`, or 0. */
function ahead(a: number, b: number): number {
  const difference = (a - b) | 0;
  return Math.max(difference, 0);
}

export class Dql {
  numQueued = 0;
  numCompleted = 0;
  limit = 0;
  minLimit = 0;
  maxLimit = DQL_MAX_LIMIT;
  /** How long slack is watched before the limit goes down. */
  slackHoldNs = SLACK_HOLD_NS;
  #adjLimit = 0;
  #lastObject = 0;
  #prevNumQueued = 0;
  #prevOvlimit = 0;
  #prevLastObject = 0;
  #lowestSlack = UINT_MAX;
  #slackStartNs = 0;

  /** Bytes that may still be queued; negative: over the limit. (`dql_avail`) */
  get available(): number {
    return (this.#adjLimit - this.numQueued) | 0;
  }

  /** Bytes in the hardware. */
  get inflight(): number {
    return (this.numQueued - this.numCompleted) >>> 0;
  }

  /** `bytes` go to the hardware. (`dql_queued`) */
  queued(bytes: number): void {
    this.#lastObject = bytes;
    this.numQueued = (this.numQueued + bytes) >>> 0;
  }

  /** `bytes` have left it; called once a completion round, at `nowNs`. (`dql_completed`) */
  completed(bytes: number, nowNs: number): void {
    const queued = this.numQueued;
    const before = this.numCompleted;
    assert(bytes <= (queued - before) >>> 0, 'no more completes than was sent');
    const completed = (before + bytes) >>> 0;
    let limit = this.limit;
    let overLimit = ahead(queued - before, limit);
    const inProgress = (queued - completed) >>> 0;
    const wasInProgress = (this.#prevNumQueued - before) >>> 0;
    const allOfBefore = ((completed - this.#prevNumQueued) | 0) >= 0;
    if ((overLimit > 0 && inProgress === 0) || (this.#prevOvlimit > 0 && allOfBefore)) {
      // The hardware ran dry while the limit held frames back: what it sent beyond the last round would have fitted.
      limit += ahead(completed, this.#prevNumQueued) + this.#prevOvlimit;
      this.#watchSlack(nowNs);
    } else if (inProgress > 0 && wasInProgress > 0 && !allOfBefore) {
      // Busy throughout: what of the limit was not needed for that?
      const unused = ahead(limit + this.#prevOvlimit, 2 * bytes);
      const lastObject = this.#prevOvlimit > 0 ? ahead(this.#prevLastObject, this.#prevOvlimit) : 0;
      const slack = Math.max(unused, lastObject);
      if (slack < this.#lowestSlack) this.#lowestSlack = slack;
      if (nowNs > this.#slackStartNs + this.slackHoldNs) {
        limit = ahead(limit, this.#lowestSlack);
        this.#watchSlack(nowNs);
      }
    }
    limit = Math.min(Math.max(limit, this.minLimit), this.maxLimit);
    if (limit !== this.limit) {
      this.limit = limit;
      overLimit = 0;
    }
    this.#adjLimit = (limit + completed) >>> 0;
    this.#prevOvlimit = overLimit;
    this.#prevLastObject = this.#lastObject;
    this.numCompleted = completed;
    this.#prevNumQueued = queued;
  }

  /** The ring was emptied without completions; the limits that were set stay. (`dql_reset`) */
  reset(nowNs: number): void {
    this.limit = 0;
    this.numQueued = 0;
    this.numCompleted = 0;
    this.#adjLimit = 0;
    this.#lastObject = 0;
    this.#prevNumQueued = 0;
    this.#prevOvlimit = 0;
    this.#prevLastObject = 0;
    this.#watchSlack(nowNs);
  }

  #watchSlack(nowNs: number): void {
    this.#slackStartNs = nowNs;
    this.#lowestSlack = UINT_MAX;
  }
}
