/**
 * The live tail: server-sent events, one cursor a client.
 *
 *   event: entries   id: INSTANCE.LASTID   data: {"entries":[...],"blocks":[...],"missed":0}
 *
 * 1. A client starts at the last `back` messages, or behind the Last-Event-ID that its browser sends when it reconnects.
 *    The instance part tells ids of an earlier process apart.
 * 2. It is woken at most every 40 ms, and reads from the store what came since, 500 messages and about 256 KiB at a time.
 * 3. The write waits until the client's socket takes more. Meanwhile nothing is queued for it: its cursor stays, and
 *    what falls out of the store in that time is told as `missed`. A client that takes nothing for 30 s is cut off.
 */

import type { SSEStreamingApi } from 'hono/streaming';
import type { CollectorCounters } from './counters.ts';
import type { Block } from './panic.ts';
import type { Entry, Store } from './store.ts';

const BATCH_MESSAGES = 500;
const BATCH_CHARS = 262144;
const COALESCE_MS = 40;
const STALL_MS = 30_000;
const HEARTBEAT_MS = 10_000;
const CLIENTS_MAX = 64;

/** Wakes all waiting clients, together and not too often. */
export class TailBell {
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;
  closed = false;

  ring(): void {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#ringNow();
    }, COALESCE_MS);
  }

  #ringNow(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  /** Resolves at the next ring, at the latest after the heartbeat's time. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, HEARTBEAT_MS);
      this.#waiting.add(wake);
      if (this.closed) wake();
    });
  }

  close(): void {
    this.closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ringNow();
  }
}

export class TailServer {
  readonly #store: Store;
  readonly #counters: CollectorCounters;
  readonly #instance: string;
  readonly #bell: TailBell;
  #clients = 0;

  constructor(store: Store, counters: CollectorCounters, instance: string, bell: TailBell) {
    this.#store = store;
    this.#counters = counters;
    this.#instance = instance;
    this.#bell = bell;
  }

  /** Takes a place for one client; false (and counted) when all are taken. Each place is given back by `serve`. */
  enter(): boolean {
    if (this.#clients >= CLIENTS_MAX) {
      this.#counters.count('tail_refused');
      return false;
    }
    this.#clients++;
    this.#counters.set('tail_clients', this.#clients);
    return true;
  }

  /** Id of the last message that the client has, from the header that browsers send, or `back` messages ago. */
  cursor(lastEventId: string | undefined, back: number): number {
    const [instance, id] = lastEventId?.split('.') ?? [];
    if (instance === this.#instance && id !== undefined && /^[0-9]{1,15}$/.test(id)) {
      return Math.min(Number(id), this.#store.lastId);
    }
    return Math.max(this.#store.firstId - 1, this.#store.lastId - back);
  }

  /** Serves one client until it goes away, stalls, or the server closes. */
  async serve(stream: SSEStreamingApi, from: number): Promise<void> {
    let cursor = from;
    let first = true;
    // Who is gone gives its place back at once, not at the next message.
    stream.onAbort(() => this.#bell.ring());
    try {
      while (!stream.aborted && !stream.closed && !this.#bell.closed) {
        if (cursor >= this.#store.lastId && !first) {
          await this.#bell.wait();
          if (cursor >= this.#store.lastId) await this.#write(stream, ': still here\n\n');
          continue;
        }
        first = false;
        const { entries, missed } = this.#store.tail(cursor, BATCH_MESSAGES);
        const batch = fitting(entries);
        if (missed > 0) this.#counters.count('tail_skipped', missed);
        cursor = batch.at(-1)?.id ?? Math.max(cursor, this.#store.lastId);
        const data = JSON.stringify({ entries: batch, blocks: this.#blocksOf(batch), missed });
        await this.#write(stream, `event: entries\nid: ${this.#instance}.${cursor}\ndata: ${data}\n\n`);
      }
    } finally {
      this.#clients--;
      this.#counters.set('tail_clients', this.#clients);
    }
  }

  #blocksOf(entries: readonly Entry[]): Block[] {
    const ids = new Set(entries.map((entry) => entry.block));
    return [...ids].flatMap((id) => (id === null ? [] : (this.#store.block(id) ?? [])));
  }

  /** Writes, and waits until the client takes it; cuts off one that does not. */
  async #write(stream: SSEStreamingApi, text: string): Promise<void> {
    const stall = setTimeout(() => {
      this.#counters.count('tail_cut_off');
      stream.abort();
    }, STALL_MS);
    try {
      await stream.write(text);
    } finally {
      clearTimeout(stall);
    }
  }
}

/** The first entries whose texts are about 256 KiB together; at least one. */
function fitting(entries: readonly Entry[]): Entry[] {
  let chars = 0;
  const end = entries.findIndex((entry) => {
    chars += entry.text.length + 200;
    return chars > BATCH_CHARS;
  });
  return entries.slice(0, end < 0 ? entries.length : Math.max(1, end));
}
