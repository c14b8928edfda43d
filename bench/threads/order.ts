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

/** What came of one drain. */
export interface Drained {
  readonly frames: number;
  readonly seconds: number;
  /** Of the process, all threads, during the drain. */
  readonly cpuSeconds: number;
  /** Of the receiving thread that had most to do, on a processor: what the drain takes where each thread has one for itself. */
  readonly busiestSeconds: number;
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

/** Words that all threads see. */
export const GATE = 0;
export const DONE = 16;
export const WORDS = 16 * 8;
