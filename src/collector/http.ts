/**
 * The collector's page and its API, on 127.0.0.1 unless told otherwise.
 *
 *   GET /                         the page, and its /assets/*
 *   GET /api/messages?since|before|limit|newest|host|level|text|block     {"entries":[...],"missed":n,"lastId":n}
 *   GET /api/hosts                {"hosts":[...]}
 *   GET /api/blocks               {"blocks":[...]}      warnings, oopses and panics found
 *   GET /api/counters             {"name":n,...}
 *   GET /api/tail?back=n          server-sent events (http_tail.ts)
 *   GET /metrics                  the counters for Prometheus
 *
 * Read only: no route changes anything. Whatever the wire brought is data in JSON, never markup; the page may load and
 * connect to nothing but this server (Content-Security-Policy). On a loopback address only requests that name a loopback
 * host are answered, so that a foreign page cannot read the log by pointing its own name here.
 */

import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { SetupError } from '../base/status.ts';
import type { CollectorCounters } from './counters.ts';
import { loadPage } from './http_page.ts';
import { TailBell, TailServer } from './http_tail.ts';
import type { Query, Store } from './store.ts';

export interface HttpOptions {
  readonly store: Store;
  readonly counters: CollectorCounters;
  readonly address: string;
  readonly port: number;
  readonly pageDir?: string | undefined;
}

export interface HttpServer {
  readonly url: string;
  /** Tells that the store has new messages. Cheap; call it for each. */
  wake(): void;
  close(): Promise<void>;
}

const LIMIT_MAX = 5000;
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

/** Starts serving. Throws SetupError: ERR_NETPOLL_PAGE_NOT_BUILT, ERR_NETPOLL_HTTP_LISTEN (the address is taken or not ours). */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const bell = new TailBell();
  const app = routes(options, bell);
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16384 }, getRequestListener(app.fetch));
  server.maxConnections = 256;
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const shown = options.address.includes(':') ? `[${options.address}]` : options.address;
  return {
    url: `http://${shown}:${port}/`,
    wake: () => bell.ring(),
    close: () => {
      bell.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

function listen(server: Server, { address, port }: HttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message;
      reject(
        new SetupError('ERR_NETPOLL_HTTP_LISTEN', `cannot serve the page on ${address}:${port}: ${why}`, { cause }),
      );
    });
    server.listen(port, address, () => resolve());
  });
}

function routes({ store, counters, address, pageDir }: HttpOptions, bell: TailBell): Hono {
  const page = loadPage(pageDir);
  const tails = new TailServer(store, counters, randomBytes(6).toString('hex'), bell);
  const app = new Hono();

  app.use(async (c, next) => {
    if (isLoopback(address) && !isLoopback(hostName(c.req.header('host')))) {
      return c.text('This page is served to localhost only.\n', 403);
    }
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
    if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store');
  });

  app.get('/api/messages', (c) => {
    const query = readQuery(c.req.query());
    return typeof query === 'string' ? c.json({ error: query }, 400) : c.json(store.query(query));
  });
  app.get('/api/hosts', (c) => c.json({ hosts: store.hosts() }));
  app.get('/api/blocks', (c) => c.json({ blocks: store.blocks() }));
  app.get('/api/counters', (c) => c.json(counters.toJSON()));
  app.get('/api/tail', (c) => {
    const back = readNumber(c.req.query('back'), 100_000);
    if (back === 'bad') return c.json({ error: 'back is not a number' }, 400);
    if (!tails.enter()) return c.json({ error: 'too many live tails' }, 503);
    const from = tails.cursor(c.req.header('last-event-id'), back ?? 1000);
    return streamSSE(c, (stream) => tails.serve(stream, from));
  });
  app.get('/metrics', (c) => c.text(metrics(counters)));

  app.get('*', (c) => {
    const file = page.get(c.req.path);
    if (file === undefined) return c.text('Not found.\n', 404);
    const cache = file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache';
    return c.body(file.body, 200, { 'Content-Type': file.type, 'Cache-Control': cache });
  });
  app.onError((error, c) => c.text(`Internal error: ${error.message}\n`, 500));
  return app;
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:[0-9]+$/, '').replace(/^\[|\]$/g, '');
}

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || /^127(?:\.[0-9]{1,3}){3}$/.test(name);
}

/** A whole number from 0 to `max` (larger ones become `max`), undefined where absent, 'bad' otherwise. */
function readNumber(text: string | undefined, max: number): number | undefined | 'bad' {
  if (text === undefined || text === '') return undefined;
  return /^[0-9]{1,15}$/.test(text) ? Math.min(Number(text), max) : 'bad';
}

/** The query, or what is wrong with it. */
function readQuery(given: Record<string, string>): Query | string {
  const bounds = {
    since: Number.MAX_SAFE_INTEGER,
    before: Number.MAX_SAFE_INTEGER,
    limit: LIMIT_MAX,
    level: 7,
    block: 2 ** 53,
  };
  const numbers: Partial<Record<keyof typeof bounds, number>> = {};
  for (const [name, max] of Object.entries(bounds) as [keyof typeof bounds, number][]) {
    const value = readNumber(given[name], max);
    if (value === 'bad') return `${name} is not a number`;
    if (value !== undefined) numbers[name] = value;
  }
  const { host, text, newest } = given;
  if ((host?.length ?? 0) > 64 || (text?.length ?? 0) > 256) return 'host or text is too long';
  return {
    ...numbers,
    limit: numbers.limit ?? 1000,
    newest: newest === '1' || newest === 'true',
    ...(host === undefined || host === '' ? {} : { host }),
    ...(text === undefined || text === '' ? {} : { text }),
  };
}

const GAUGES: ReadonlySet<string> = new Set(['sources', 'tail_clients']);

function metrics(counters: CollectorCounters): string {
  return Object.entries(counters.toJSON())
    .map(([name, value]) => {
      const full = `netpoll_collector_${name}${GAUGES.has(name) ? '' : '_total'}`;
      return `# TYPE ${full} ${GAUGES.has(name) ? 'gauge' : 'counter'}\n${full} ${value}\n`;
    })
    .join('');
}
