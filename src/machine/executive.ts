/**
 * The Executive: what a world (sim or host) gives a machine besides memory and ports. Time, being called again, and
 * waiting with everything off.
 *
 * Between them, `requestTurn` and `spin` are the two ways in which time passes for our code: the first gives the thread
 * back (process context, ksoftirqd's next run), the second does not (netpoll's busy wait while the machine is wedged).
 */
export interface Executive {
  /** Monotonic nanoseconds since the machine started (a double: exact to 104 days). */
  now(): number;
  /**
   * now(), into `clockNs`. What a function gives back as a double is a number on V8's heap unless it is inlined, and a field is none: the
   * data path reads the clock by this.
   */
  readClock(): void;
  /** What readClock() has read last. */
  readonly clockNs: number;
  /** Wall-clock microseconds since 1970 (a double). For the time stamps of frames and records, nothing else. */
  wallUs(): number;
  /** Asks that `machine.turn()` be called soon, once, after other callbacks of the thread had their chance. */
  requestTurn(): void;
  /** Asks that `machine.turn()` be called at or after `atNs`; the earliest request wins. */
  requestTurnAt(atNs: number): void;
  /**
   * Busy wait of at most `ns` nanoseconds with interrupts off. In sim it moves the virtual clock and steps the hardware;
   * on host it waits in ppoll() on the ports' descriptors, and returns early if one became ready.
   */
  spin(ns: number): void;
}
