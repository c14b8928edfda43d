import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { corporaDir, goldenDir, hasCorpora } from '../../test/golden/netconsole/read_capture.ts';
import type { Message } from './message.ts';
import { type Block, PanicFinder } from './panic.ts';
import { feedArrivals, feedCapture } from './streams.fixture.ts';

/** Blocks found in messages, each with its texts. */
function find(messages: readonly Message[]): { block: Block; texts: string[] }[] {
  const finder = new PanicFinder();
  const found = new Map<number, { block: Block; texts: string[] }>();
  for (const message of messages) {
    const block = finder.message(message, Date.parse(message.received) * 1000);
    if (block === null) continue;
    const entry = found.get(block.id) ?? { block, texts: [] };
    found.set(block.id, entry);
    entry.texts.push(message.text);
  }
  return [...found.values()];
}

const lines = (...texts: [number, string][]): Message[] =>
  feedArrivals(texts.map(([usec, text], i) => [usec / 1000, `4,${i},${usec},-;${text}\n`])).messages;

describe('a block', () => {
  it('is a whole recorded panic, oops and all, and nothing before', () => {
    const found = find(feedCapture(join(goldenDir, 'oops_panic-k61.pcap.gz'), 6667).messages);
    expect(found.length).toBe(1);
    const { block, texts } = found[0]!;
    expect(block).toMatchObject({
      kind: 'panic',
      title: 'Kernel panic - not syncing: Fatal exception',
      lines: 64,
      open: false,
    });
    expect(texts[0]).toBe('BUG: kernel NULL pointer dereference, address: 0000000000000000');
    expect(texts.at(-1)).toBe('Rebooting in 2 seconds..');
  });

  it('ends with the end of the trace when life goes on', () => {
    const found = find(
      lines([1, 'Oops: 0000 [#1]'], [2, 'RIP: 0010:f'], [3, '---[ end trace 0 ]---'], [4, 'eth0: link up']),
    );
    expect(found.map(({ block, texts }) => [block.kind, block.open, texts.length])).toEqual([['oops', false, 3]]);
  });

  it('ends when the sender was silent for a second of its time', () => {
    const found = find(
      lines([1, 'INFO: task x:1 blocked for more than 120 seconds.'], [2, 'Call Trace:'], [2_000_003, 'later']),
    );
    expect(found.map(({ block, texts }) => [block.kind, texts.length])).toEqual([['warning', 2]]);
  });

  it('takes the title of the line that says most', () => {
    const found = find(
      lines([1, '------------[ cut here ]------------'], [2, 'WARNING: CPU: 0 PID: 1 at f.c:1 g+0x1/0x2'], [3, 'x']),
    );
    expect(found[0]!.block.title).toMatch(/^WARNING: CPU/);
  });

  it('is not opened by ordinary lines', () => {
    const ordinary = lines([1, 'usb 1-1: debug: oops not'], [2, 'Debugging bug: no'], [3, 'panic=2'], [4, 'RIP: x']);
    expect(find(ordinary)).toEqual([]);
  });
});

describe('recorded crashes (corpora)', () => {
  const cases: [string, Block['kind'][]][] = [
    ['panic', ['panic']],
    ['sysrq_c', ['panic']],
    ['oops_panic', ['panic']],
    ['bug', ['oops']],
    ['exec_null', ['oops']],
    ['div', ['oops']],
    ['warn', ['warning']],
    ['softlock', ['oops']],
    ['refcount', ['warning']],
    ['init_kill', ['panic']],
    ['talk', []],
  ];

  // A 7.2 kernel's netconsole (nbcon, printed from a thread) is silent from the panic on: its captures end before.
  const silent = new Set(['panic', 'sysrq_c', 'oops_panic', 'init_kill']);
  for (const kernel of ['k61', 'k72']) {
    it.skipIf(!hasCorpora).each(cases)(
      `${kernel} %s, meant to give %j (skipped where NETPOLL_CORPORA is absent)`,
      (name, kinds) => {
        const dir = join(corporaDir, 'crashes', kernel, name);
        expect(readdirSync(dir)).toContain('nc.pcap.gz');
        const found = find(feedCapture(join(dir, 'nc.pcap.gz'), 6667).messages);
        expect([...new Set(found.map(({ block }) => block.kind))]).toEqual(
          kernel === 'k72' && silent.has(name) ? [] : kinds,
        );
      },
    );
  }
});
