/**
 * What happens next in a simulated world: events ordered by virtual time, and among equals by the order in which they were
 * added, so that one seed gives one history.
 *
 * A binary heap over parallel arrays; adding and taking an event costs log n and no object.
 */
export class EventQueue {
  readonly #times: number[] = [];
  readonly #orders: number[] = [];
  readonly #actions: (() => void)[] = [];
  #nextOrder = 0;

  get length(): number {
    return this.#times.length;
  }

  /** Time of the next event in nanoseconds, or Infinity. */
  get nextNs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  add(atNs: number, action: () => void): void {
    let at = this.#times.length;
    const order = this.#nextOrder++;
    this.#times.push(atNs);
    this.#orders.push(order);
    this.#actions.push(action);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#times[parent]! <= atNs) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  /** Takes the next event's action; the queue must not be empty. */
  take(): () => void {
    const action = this.#actions[0]!;
    const last = this.#times.length - 1;
    this.#swap(0, last);
    this.#times.pop();
    this.#orders.pop();
    this.#actions.pop();
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= last) break;
      const right = left + 1;
      const child = right < last && this.#before(right, left) ? right : left;
      if (!this.#before(child, at)) break;
      this.#swap(at, child);
      at = child;
    }
    return action;
  }

  #before(a: number, b: number): boolean {
    const ta = this.#times[a]!;
    const tb = this.#times[b]!;
    return ta < tb || (ta === tb && this.#orders[a]! < this.#orders[b]!);
  }

  #swap(a: number, b: number): void {
    const time = this.#times[a]!;
    const order = this.#orders[a]!;
    const action = this.#actions[a]!;
    this.#times[a] = this.#times[b]!;
    this.#orders[a] = this.#orders[b]!;
    this.#actions[a] = this.#actions[b]!;
    this.#times[b] = time;
    this.#orders[b] = order;
    this.#actions[b] = action;
  }
}
