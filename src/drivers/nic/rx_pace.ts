// hot
/**
 * One queue's part of interrupt moderation by the nic driver (nic_coalesce.ts): its rate, and how long its interrupt stays away.
 *
 * Before each completion it sets napi_defer_hard_irqs and gro_flush_timeout of the queue's napi instance, which do the rest. The clock is
 * read once a completion, and only where moderation is adaptive.
 */
import { coalesceRxUsecs } from '../../device/coalesce.ts';
import type { NapiStruct } from '../../device/napi_struct.ts';
import type { Executive } from '../../machine/executive.ts';
import type { RxCoalesce } from './nic_coalesce.ts';

/** A rate is that of so long a time, at least. */
const SAMPLE_NS = 500_000;

/** One queue's part: its rate, and how long its interrupt stays away. */
export class RxPace {
  /** Microseconds; 0: it is unmasked at once. */
  usecs = 0;
  readonly #coalesce: RxCoalesce;
  readonly #napi: NapiStruct;
  readonly #executive: Executive;
  /** When the sample began, and the frames that the instance had taken by then. */
  #sinceNs = 0;
  #sinceWork = 0;
  #ours = false;

  constructor(coalesce: RxCoalesce, napi: NapiStruct, executive: Executive) {
    this.#coalesce = coalesce;
    this.#napi = napi;
    this.#executive = executive;
  }

  /** A poll has brought `work` frames, found no more, and is about to complete. */
  polled(work: number): void {
    const coalesce = this.#coalesce;
    if (!coalesce.active) {
      if (this.#ours) this.#leave();
      return;
    }
    if (coalesce.params.adaptiveRx) this.#sample(work);
    else this.usecs = coalesce.params.rxUsecs;
    const napi = this.#napi;
    if (this.usecs === 0) {
      if (this.#ours) this.#leave();
      return;
    }
    this.#ours = true;
    napi.deferHardIrqs = 1;
    napi.groFlushTimeoutNs = this.usecs * 1000;
  }

  #sample(work: number): void {
    this.#executive.readClock();
    const now = this.#executive.clockNs;
    const ns = now - this.#sinceNs;
    if (ns < SAMPLE_NS) return;
    // This poll's frames are not in the instance's count yet.
    const total = this.#napi.work + work;
    this.usecs = coalesceRxUsecs(this.#coalesce.params, ((total - this.#sinceWork) * 1e9) / ns);
    this.#sinceNs = now;
    this.#sinceWork = total;
  }

  /** Back to what the device says. */
  #leave(): void {
    const napi = this.#napi;
    this.#ours = false;
    this.usecs = 0;
    napi.deferCount = 0;
    napi.deferHardIrqs = napi.dev.napiDeferHardIrqs;
    napi.groFlushTimeoutNs = napi.dev.groFlushTimeoutNs;
  }
}
