/**
 * What happens next in a simulated world: events ordered by virtual time, and among equals by the order in which they were
 * added, so that one seed gives one history.
 *
 *     front    the next one of all, if it is known          an event that comes before all others goes here, and leaves
 *     heap     the others, [times] [orders] [actions]        from here: most of what is added is soonest (a frame's end)
 *
 * A binary heap over parallel arrays; adding and taking an event costs log n and no object. An event on its way through the
 * heap leaves a hole, and is written once, where it comes to rest.
 */
const NOTHING = (): void => {};

export class EventQueue {
  #times = new Float64Array(64);
  #orders = new Float64Array(64);
  /** As long as the other two. */
  readonly #actions: (() => void)[] = new Array<() => void>(64).fill(NOTHING);
  /** Of the heap. */
  #length = 0;
  #nextOrder = 0;
  /** The event in front, which is before all of the heap; null: the heap's first one is the next. */
  #front: (() => void) | null = null;
  #frontNs = 0;
  #frontOrder = 0;

  get length(): number {
    return this.#front === null ? this.#length : this.#length + 1;
  }

  /** Time of the next event in nanoseconds, or Infinity. */
  get nextNs(): number {
    if (this.#front !== null) return this.#frontNs;
    return this.#length === 0 ? Number.POSITIVE_INFINITY : this.#times[0]!;
  }

  add(atNs: number, action: () => void): void {
    const order = this.#nextOrder++;
    if (this.#front !== null) {
      // Of two at one time the one that was there before goes first.
      if (atNs >= this.#frontNs) {
        this.#push(atNs, order, action);
        return;
      }
      this.#push(this.#frontNs, this.#frontOrder, this.#front);
    } else if (this.#length > 0 && atNs >= this.#times[0]!) {
      this.#push(atNs, order, action);
      return;
    }
    this.#front = action;
    this.#frontNs = atNs;
    this.#frontOrder = order;
  }

  /** Takes the next event's action; the queue must not be empty. */
  take(): () => void {
    const front = this.#front;
    if (front !== null) {
      this.#front = null;
      return front;
    }
    return this.#pop();
  }

  #push(atNs: number, order: number, action: () => void): void {
    if (this.#length === this.#times.length) this.#grow();
    const times = this.#times;
    const orders = this.#orders;
    const actions = this.#actions;
    let at = this.#length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const time = times[parent]!;
      if (time < atNs || (time === atNs && orders[parent]! < order)) break;
      times[at] = time;
      orders[at] = orders[parent]!;
      actions[at] = actions[parent]!;
      at = parent;
    }
    times[at] = atNs;
    orders[at] = order;
    actions[at] = action;
  }

  #pop(): () => void {
    const times = this.#times;
    const orders = this.#orders;
    const actions = this.#actions;
    const action = actions[0]!;
    const last = --this.#length;
    const time = times[last]!;
    const order = orders[last]!;
    const moved = actions[last]!;
    actions[last] = NOTHING;
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
    for (let i = this.#actions.length; i < times.length; i++) this.#actions.push(NOTHING);
  }
}
