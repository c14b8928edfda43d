/**
 * What happens next in a simulated world: events ordered by virtual time, and among equals by the order in which they were
 * added, so that one seed gives one history.
 *
 * A binary heap over parallel arrays; adding and taking an event costs log n and no object. An event on its way through the
 * heap leaves a hole, and is written once, where it comes to rest.
 */
export class EventQueue {
  #times = new Float64Array(64);
  #orders = new Float64Array(64);
  readonly #actions: (() => void)[] = [];
  #length = 0;
  #nextOrder = 0;

  get length(): number {
    return this.#length;
  }

  /** Time of the next event in nanoseconds, or Infinity. */
  get nextNs(): number {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : this.#times[0]!;
  }

  add(atNs: number, action: () => void): void {
    if (this.#length === this.#times.length) this.#grow();
    const times = this.#times;
    const orders = this.#orders;
    const actions = this.#actions;
    let at = this.#length++;
    // The newest one has the greatest order: it passes only who is later.
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (times[parent]! <= atNs) break;
      times[at] = times[parent]!;
      orders[at] = orders[parent]!;
      actions[at] = actions[parent]!;
      at = parent;
    }
    times[at] = atNs;
    orders[at] = this.#nextOrder++;
    actions[at] = action;
  }

  /** Takes the next event's action; the queue must not be empty. */
  take(): () => void {
    const times = this.#times;
    const orders = this.#orders;
    const actions = this.#actions;
    const action = actions[0]!;
    const last = --this.#length;
    const time = times[last]!;
    const order = orders[last]!;
    const moved = actions.pop()!;
    if (last === 0) return action;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      const right = child + 1;
      if (right < last) {
        const tl = times[child]!;
        const tr = times[right]!;
        if (tr < tl || (tr === tl && orders[right]! < orders[child]!)) child = right;
      }
      const tc = times[child]!;
      if (tc > time || (tc === time && orders[child]! > order)) break;
      times[at] = tc;
      orders[at] = orders[child]!;
      actions[at] = actions[child]!;
      at = child;
    }
    times[at] = time;
    orders[at] = order;
    actions[at] = moved;
    return action;
  }

  #grow(): void {
    const times = new Float64Array(2 * this.#times.length);
    times.set(this.#times);
    this.#times = times;
    const orders = new Float64Array(times.length);
    orders.set(this.#orders);
    this.#orders = orders;
  }
}
