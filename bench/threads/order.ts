/** What the main thread of the bench tells its CPUs. */
export interface Order {
  /** CPUs with a queue. */
  readonly on: readonly number[];
  /** CPUs that the queue's frames are steered to. */
  readonly rps: readonly number[];
  /** False: frames are freed by the handler. */
  readonly parse: boolean;
  /** Frames in the ring that another CPU holds before the next ones are copied. */
  readonly heldMax: number;
}

/** So many threads that are no CPUs (plain.ts) parse the same datagrams, from their own memory. */
export interface PlainOrder {
  readonly plain: number;
}

/** What came of one drain. */
export interface Drained {
  readonly frames: number;
  /** From the gate's opening to the last frame. */
  readonly seconds: number;
  /** Of the process, all threads, during the drain. */
  readonly cpuSeconds: number;
  /** Of the thread that had most to do, on a processor: what the drain takes where each thread has one for itself. */
  readonly busiestSeconds: number;
  /** Of all frames, those of the thread that had most. */
  readonly largestShare: number;
  /** What the sender needed before, and what was sent. */
  readonly sendSeconds: number;
  readonly sent: number;
  /** For want of room in a backlog. */
  readonly dropped: number;
  readonly doorbells: number;
}

export const SEND_SIDE = 'flood0';
export const RECEIVE_SIDE = 'rx0';
export const PORT = 6666;
/** So long that blocks are full, whatever the generator's rate. */
export const RETIRE_MS = 60;
/** Of a drain: enough for a third of a second, so that threads that wake up are no part of it. */
export const FRAMES = 90_000;
/** Machines that send: so many that a hash deals them out evenly. The collector keeps 1,024 apart. */
export const SOURCES = 1000;

/** Words that all threads see: the gate, and what each CPU has done. */
export const GATE = 0;
export const DONE = 16;
export const WORDS = 16 * 8;

/** A thread's clock stands still in `ends` (a Float64Array, 8 to a thread) at its last frame. Nanoseconds, one clock for all threads. */
export const ENDS = 8;
export const THREADS = 5;

export function clockNs(): number {
  const [seconds, ns] = process.hrtime();
  return seconds * 1e9 + ns;
}
