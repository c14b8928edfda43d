import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collector, createCollector } from './collector.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0));
const dir = mkdtempSync(join(tmpdir(), 'collector-page-'));
let collector: Collector;
let url: string;

beforeAll(async () => {
  mkdirSync(join(dir, 'assets'));
  writeFileSync(join(dir, 'index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(dir, 'assets', 'a-123.js'), 'export {};');
  writeFileSync(join(dir, 'secret.key'), 'no');
  collector = createCollector({ messagesMax: 1000, pageDir: dir, limits: { reorderUs: 0 } });
  url = await collector.startHttp(0);
});

afterAll(async () => {
  await collector.close();
  rmSync(dir, { recursive: true });
});

let seq = 0;
function feed(count: number, text = 'line', host = '10.0.0.1'): void {
  for (let i = 0; i < count; i++)
    collector.datagram(host, 1, 6666, ascii(`4,${seq},${seq++},-;${text} ${i}\n`), 1e15 + seq);
}

/** Events of a tail until `enough`. */
async function tail(path: string, enough: (text: string) => boolean): Promise<string> {
  const response = await fetch(new URL(path, url));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!enough(text)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text;
}

describe('collector', () => {
  it('calls listeners once a message, and survives one that throws', () => {
    const seen: string[] = [];
    const off = [
      collector.onMessage(() => {
        throw new Error('listener');
      }),
      collector.onMessage((message) => seen.push(message.text)),
    ];
    feed(2, 'listened');
    for (const remove of off) remove();
    feed(1, 'after');
    expect(seen).toEqual(['listened 0', 'listened 1']);
    expect(collector.counters.get('listener_errors')).toBe(2);
  });

  it('says what to do when the page is not built, and when the port is taken', async () => {
    await expect(createCollector({ pageDir: '/nonexistent' }).startHttp(0)).rejects.toMatchObject({
      code: 'ERR_NETPOLL_PAGE_NOT_BUILT',
      message: expect.stringContaining('npm run build'),
    });
    const taken = Number(new URL(url).port);
    await expect(createCollector({ pageDir: dir }).startHttp(taken)).rejects.toMatchObject({
      code: 'ERR_NETPOLL_HTTP_LISTEN',
    });
  });
});

describe('http', () => {
  const get = async (path: string): Promise<Response> => await fetch(new URL(path, url));

  it('serves the page with headers that let it load nothing foreign', async () => {
    const page = await get('/');
    expect(await page.text()).toContain('<title>page</title>');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await get('/assets/a-123.js')).headers.get('cache-control')).toContain('immutable');
  });

  it.each(['/secret.key', '/../package.json', '/assets/', '/nothing'])('does not serve %s', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  it('answers queries, and refuses bad ones', async () => {
    feed(5, 'Query me', '10.9.9.9');
    const body = (await (await get('/api/messages?host=10.9.9.9&text=QUERY&limit=2&newest=1')).json()) as {
      entries: { text: string }[];
    };
    expect(body.entries.map(({ text }) => text)).toEqual(['Query me 3', 'Query me 4']);
    expect((await get('/api/messages?limit=-1')).status).toBe(400);
    expect((await get(`/api/messages?text=${'x'.repeat(300)}`)).status).toBe(400);
    const { hosts } = (await (await get('/api/hosts')).json()) as { hosts: { host: string; messages: number }[] };
    expect(hosts.find(({ host }) => host === '10.9.9.9')?.messages).toBe(5);
    expect(((await (await get('/api/counters')).json()) as { datagrams: number }).datagrams).toBeGreaterThan(4);
    expect(await (await get('/metrics')).text()).toMatch(/^netpoll_collector_datagrams_total [0-9]+$/m);
  });

  it('answers only requests that name this machine', async () => {
    const status = await new Promise((resolve) => {
      request(new URL('/api/hosts', url), { headers: { host: 'evil.example' } }, (res) => {
        res.resume();
        resolve(res.statusCode);
      }).end();
    });
    expect(status).toBe(403);
  });

  it('tails live, and goes on behind the last event of the same process', async () => {
    feed(3, 'before');
    setTimeout(() => feed(2, 'live'), 100);
    const text = await tail('/api/tail?back=3', (got) => got.includes('live 1'));
    expect(text.match(/"text":"[a-z]+ [0-9]"/g)).toEqual(
      ['before 0', 'before 1', 'before 2', 'live 0', 'live 1'].map((t) => `"text":"${t}"`),
    );
    const id = /id: ([0-9a-f]+\.[0-9]+)\n/.exec(text.slice(text.lastIndexOf('id: ')))![1]!;
    feed(1, 'missed');
    const again = await fetch(new URL('/api/tail', url), { headers: { 'last-event-id': id } });
    const reader = again.body!.getReader();
    const chunk = new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
    expect(chunk.match(/"text":"[a-z]+ [0-9]"/g)).toEqual(['"text":"missed 0"']);
  });

  it('does not queue for a client that does not read: it skips, and says how much', async () => {
    const { port } = new URL(url);
    const slow = connect(Number(port), '127.0.0.1');
    slow.write('GET /api/tail?back=0 HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => slow.once('data', resolve));
    slow.pause();
    const big = 'z'.repeat(900);
    for (let round = 0; round < 30; round++) {
      feed(1000, big);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await new Promise<void>((resolve) => {
      let carried = '';
      slow.on('data', (chunk) => {
        const text = carried + chunk.toString('latin1');
        if (/"missed":[1-9]/.test(text)) resolve();
        carried = text.slice(-20);
      });
      slow.resume();
    });
    slow.destroy();
    expect(collector.counters.get('tail_skipped')).toBeGreaterThan(0);
  });
});
