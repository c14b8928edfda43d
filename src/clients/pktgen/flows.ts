// hot
/**
 * Flows of a pktgen: each keeps its destination for `flowlen` frames, then another one begins in its place.
 *
 *     FLOW_SEQ: flow 0 to its end, then flow 1, ...        else: every frame is of a flow that is drawn
 *
 * Answers to: f_pick and f_seen of net/core/pktgen.c.
 */
import type { Prng } from '../../base/prng.ts';

export class PktgenFlows {
  /** Flows that have begun. */
  begun = 0;
  readonly #flowlen: number;
  readonly #inOrder: boolean;
  readonly #count: Float64Array;
  readonly #daddr: Uint32Array;
  readonly #seen: Uint8Array;
  #current = 0;

  /** `flowlen` 0: they never end. */
  constructor(flows: number, flowlen: number, inOrder: boolean) {
    this.#flowlen = flowlen;
    this.#inOrder = inOrder;
    this.#count = new Float64Array(flows);
    this.#daddr = new Uint32Array(flows);
    this.#seen = new Uint8Array(flows);
  }

  /** Chooses the flow of the next frame. True: it has a destination; false: it wants one (set `daddr`). */
  pick(prng: Prng): boolean {
    const flows = this.#count.length;
    let flow = this.#inOrder ? this.#current : prng.below(flows);
    if (this.#flowlen > 0 && this.#count[flow]! >= this.#flowlen) {
      this.#count[flow] = 0;
      this.#seen[flow] = 0;
      if (this.#inOrder) flow = flow + 1 === flows ? 0 : flow + 1;
    }
    this.#current = flow;
    this.#count[flow]!++;
    return this.#seen[flow] === 1;
  }

  get daddr(): number {
    return this.#daddr[this.#current]!;
  }

  set daddr(value: number) {
    this.#daddr[this.#current] = value;
    this.#seen[this.#current] = 1;
    this.begun++;
  }
}
