import { beforeEach, describe, expect, it } from 'vitest';
import type { Block } from '../../src/collector/panic.ts';
import type { Entry } from '../../src/collector/store.ts';
import {
  add,
  chunks,
  clear,
  complete,
  follow,
  host,
  incomplete,
  kept,
  level,
  refilter,
  reports,
  shown,
  text,
  unseen,
  worst,
} from './log.ts';

let id = 0;
function entry(fields: Partial<Entry> = {}): Entry {
  id++;
  const plain = { host: 'a', received: '', seq: null, level: 6, facility: 0, usec: null, cont: null, release: null };
  return { id, block: null, ...plain, text: `line ${id}`, dict: {}, format: 'basic', ...fields };
}
const block = (fields: Partial<Block> = {}): Block => ({
  id: 1,
  host: 'a',
  kind: 'oops',
  title: 'Oops',
  received: '',
  lines: 0,
  open: true,
  ...fields,
});

/** What is on the page: row texts, `[...]` for a card, `+n` for a gap. */
function onPage(): string[] {
  return chunks.value
    .flatMap((chunk) => chunk.items)
    .map((item) => {
      if (item.kind === 'row') return item.entry.text;
      return item.kind === 'gap' ? `+${item.missed}` : `[${item.report.entries.map((line) => line.text).join(' ')}]`;
    });
}

beforeEach(() => {
  host.value = null;
  level.value = 7;
  text.value = '';
  follow.value = true;
  clear();
  id = 0;
});

describe('the log', () => {
  it('puts the lines of a report into one card, where it began, though another host speaks between', () => {
    add([entry(), entry({ block: 1, text: 'o1' }), entry({ host: 'b' })], [block()], 0);
    add([entry({ block: 1, text: 'o2' }), entry()], [block({ kind: 'panic', title: 'Kernel panic' })], 0);
    expect(onPage()).toEqual(['line 1', '[o1 o2]', 'line 3', 'line 5']);
    expect(worst.value?.block.value.title).toBe('Kernel panic');
    expect([shown.value, kept.value]).toEqual([5, 5]);
  });

  it('shows a report whole when one of its lines passes the filters, else not at all', () => {
    add(
      [entry({ block: 1, text: 'a needle' }), entry({ block: 1, text: 'o2', level: 0 }), entry(), entry({ level: 4 })],
      [block()],
      0,
    );
    text.value = 'NEEDLE';
    refilter();
    expect(onPage()).toEqual(['[a needle o2]']);
    text.value = '';
    level.value = 4;
    refilter();
    expect(onPage()).toEqual(['[a needle o2]', 'line 4']);
    host.value = 'b';
    refilter();
    expect(onPage()).toEqual([]);
    host.value = null;
    level.value = 7;
    refilter();
    expect(onPage()).toEqual(['[a needle o2]', 'line 3', 'line 4']);
    expect(shown.value).toBe(4);
  });

  it('takes the lines of a report that began before the log', () => {
    id = 10;
    add([entry({ block: 1, text: 'o3' }), entry()], [block({ lines: 3 })], 0);
    expect(incomplete().map((report) => report.id)).toEqual([1]);
    const all = ['o1', 'o2', 'o3'].map((line, i) => entry({ id: i + 9, block: 1, text: line }));
    complete(reports.value[0]!, all);
    expect(onPage()).toEqual(['[o1 o2 o3]', 'line 12']);
    refilter();
    expect(onPage()).toEqual(['[o1 o2 o3]', 'line 12']);
  });

  it('says where messages were skipped, and counts what came while it did not follow', () => {
    add([entry()], [], 0);
    follow.value = false;
    add([entry(), entry()], [], 7);
    expect(onPage()).toEqual(['line 1', '+7', 'line 2', 'line 3']);
    expect(unseen.value).toBe(2);
  });

  it('keeps 20,000 messages, and reports for longer', () => {
    add([entry({ block: 1, text: 'old' })], [block({ lines: 1 })], 0);
    for (let round = 0; round < 50; round++)
      add(
        Array.from({ length: 500 }, () => entry()),
        [],
        0,
      );
    expect(kept.value).toBeLessThanOrEqual(20_000);
    expect(kept.value).toBeGreaterThan(15_000);
    expect(onPage()[0]).toBe('[old]');
    refilter();
    expect(onPage()[0]).toBe('[old]');
    expect(onPage().length).toBe(kept.value + 1);
  });
});
