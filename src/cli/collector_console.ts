/**
 * A collector at a terminal: messages to stdout, the page, the clock, the end. Used by `collect` and by `start`.
 */

import { SetupError } from '../base/status.ts';
import { type Collector, type CollectorOptions, createCollector, jsonLine, textOutput } from '../collector/index.ts';
import { note } from './terminal.ts';

export interface ConsoleOptions {
  readonly jsonl: boolean;
  /** `ADDRESS:PORT` of the page; null: no page. */
  readonly http: string | null;
  /** Wall-clock microseconds; null for captures, whose datagrams bring their own time. */
  readonly wallUs: (() => number) | null;
}

export interface CollectorConsole {
  readonly collector: Collector;
  /** To be called with the time of each datagram, before the collector gets it: keeps the collector's clock. */
  readonly onDatagram: (receivedUs: number) => void;
  /** Gives out everything that waits, closes the page. */
  close(): Promise<void>;
}

/** Bytes that stdout may be behind before messages are left out there (they stay in the store); counted and told. */
const STDOUT_BACKLOG_MAX = 64 << 20;

/** Starts; the page's address goes to stderr. Throws SetupError. */
export async function createCollectorConsole(options: ConsoleOptions): Promise<CollectorConsole> {
  const page = options.http === null ? null : parseHttp(options.http);
  const collectorOptions: CollectorOptions = page === null ? {} : { httpAddress: page.address };
  const collector = createCollector(collectorOptions);
  const text = textOutput();
  let leftOut = 0;
  collector.onMessage((message, block) => {
    if (process.stdout.writableLength > STDOUT_BACKLOG_MAX) leftOut++;
    else process.stdout.write(options.jsonl ? jsonLine(message) : text(message, block));
  });
  if (page !== null) note(`page        ${await collector.startHttp(page.port)}`);

  const clock = options.wallUs === null ? captureClock(collector) : wallClock(collector, options.wallUs);

  return {
    collector,
    onDatagram: clock.onDatagram,
    async close() {
      collector.flush(clock.stop());
      await collector.close();
      if (leftOut > 0) note(`${leftOut} messages were not printed: whoever reads stdout was too slow`);
    },
  };
}

/** What has the collector's time-outs looked at; stop() gives the time at the end. */
interface Clock {
  readonly onDatagram: (receivedUs: number) => void;
  readonly stop: () => number;
}

/** Time passes as the datagrams of a capture say. */
function captureClock(collector: Collector): Clock {
  let nowUs = 0;
  return {
    onDatagram(receivedUs) {
      nowUs = Math.max(nowUs, receivedUs);
      if ((collector.nextTimeoutUs() ?? Number.POSITIVE_INFINITY) <= nowUs) collector.tick(nowUs);
    },
    stop: () => nowUs,
  };
}

/** Time passes by itself: a timer for the earliest time-out, looked at again in the turn after a datagram. */
function wallClock(collector: Collector, wallUs: () => number): Clock {
  let timer: NodeJS.Timeout | undefined;
  let timerAtUs = Number.POSITIVE_INFINITY;
  let looking: NodeJS.Immediate | undefined;
  const look = (): void => {
    looking = undefined;
    const nextUs = collector.nextTimeoutUs() ?? Number.POSITIVE_INFINITY;
    if (nextUs >= timerAtUs) return;
    clearTimeout(timer);
    timerAtUs = nextUs;
    timer = setTimeout(fire, Math.max(1, Math.ceil((nextUs - wallUs()) / 1000))).unref();
  };
  const fire = (): void => {
    timerAtUs = Number.POSITIVE_INFINITY;
    collector.tick(wallUs());
    look();
  };
  return {
    onDatagram() {
      looking ??= setImmediate(look);
    },
    stop() {
      clearTimeout(timer);
      clearImmediate(looking);
      return wallUs();
    },
  };
}

function parseHttp(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? /^()()(\d{1,5})$/.exec(text);
  const port = match === null ? 65536 : Number(match[3]);
  if (match === null || port > 65535) {
    throw new SetupError('ERR_NETPOLL_LISTEN', `--http ${text}: give ADDRESS:PORT, for example 127.0.0.1:8080`);
  }
  return { address: match[1] || match[2] || '127.0.0.1', port };
}
