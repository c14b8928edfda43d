/**
 * The collector, put together. It is a client of the engine: somebody else receives, this turns datagrams into messages.
 *
 *   datagram() --> Streams --> PanicFinder --> Store --> listeners (jsonl, terminal)
 *                                                   \--> page (http.ts, loaded when asked for)
 *
 * It owns no socket but the page's, no timer and no clock. The caller passes time in, calls `tick` when `nextTimeoutUs`
 * says so, and `flush` when no more datagrams will come (the end of a capture).
 */

import { type CollectorCounters, newCollectorCounters } from './counters.ts';
import type { HttpServer } from './http.ts';
import type { Message } from './message.ts';
import { type Block, PanicFinder } from './panic.ts';
import { type Entry, Store } from './store.ts';
import { defaultStreamsLimits, Streams, type StreamsLimits } from './streams.ts';

/** Called once a message, during `datagram`, `tick` or `flush`. What it throws is counted, and goes no further. */
export type MessageListener = (message: Message, block: Block | null, entry: Entry) => void;

export interface CollectorOptions {
  /** Messages kept in memory; default 100,000. */
  readonly messagesMax?: number;
  readonly limits?: Partial<StreamsLimits>;
  /** Address that the page listens on; default 127.0.0.1. */
  readonly httpAddress?: string;
  /** Folder of the built page; default: the package's own. */
  readonly pageDir?: string;
}

export interface Collector {
  readonly counters: CollectorCounters;
  readonly store: Store;
  /** Takes one UDP payload; `bytes` is read during the call only. Never throws. */
  datagram(srcAddress: string, srcPort: number, dstPort: number, bytes: Uint8Array, receivedUs: number): void;
  /** Takes a message that somebody else's streams have made, another thread's; counted there. Never throws. */
  message(message: Message, receivedUs: number): void;
  /** Gives out what has waited long enough (same clock as `receivedUs`). */
  tick(nowUs: number): void;
  /** When to call `tick` next, or null. Ask again after each `datagram` and `tick`. */
  nextTimeoutUs(): number | null;
  /** Gives out everything that waits for fragments, order or the end of a line. */
  flush(nowUs: number): void;
  /** Adds a listener; returns the function that removes it. */
  onMessage(listener: MessageListener): () => void;
  /** Serves the page and its API; resolves to its URL. Port 0: any free one. Throws SetupError: ERR_NETPOLL_PAGE_NOT_BUILT, ERR_NETPOLL_HTTP_LISTEN. */
  startHttp(port: number): Promise<string>;
  /** Ends the page's connections. Messages that wait are not given out: call `flush` before. */
  close(): Promise<void>;
}

export function createCollector(options: CollectorOptions = {}): Collector {
  const counters = newCollectorCounters();
  const store = new Store(options.messagesMax ?? 100_000, counters);
  const panics = new PanicFinder();
  const listeners = new Set<MessageListener>();
  let server: HttpServer | null = null;
  let nowUs = 0;

  const deliver = (message: Message): void => {
    const block = panics.message(message, nowUs);
    const entry = store.append(message, block);
    for (const listener of listeners) {
      try {
        listener(message, block, entry);
      } catch {
        counters.count('listener_errors');
      }
    }
    server?.wake();
  };
  const streams = new Streams({ ...defaultStreamsLimits, ...options.limits }, counters, deliver);

  return {
    counters,
    store,
    datagram(srcAddress, srcPort, dstPort, bytes, receivedUs) {
      nowUs = receivedUs;
      streams.datagram(srcAddress, srcPort, dstPort, bytes, receivedUs);
    },
    message(message, receivedUs) {
      nowUs = receivedUs;
      deliver(message);
    },
    tick(atUs) {
      nowUs = atUs;
      streams.tick(atUs);
    },
    nextTimeoutUs: () => streams.nextTimeoutUs(),
    flush(atUs) {
      nowUs = atUs;
      streams.flush(atUs);
    },
    onMessage(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
    async startHttp(port) {
      const { startHttp } = await import('./http.ts');
      server = await startHttp({
        store,
        counters,
        port,
        address: options.httpAddress ?? '127.0.0.1',
        pageDir: options.pageDir,
      });
      return server.url;
    },
    async close() {
      const closing = server;
      server = null;
      await closing?.close();
    },
  };
}
