/**
 * What the log shows: entries in, chunks of items out.
 *
 *   entry -- of a report? --> its card: one item, at the place of the report's first line, however others interleave
 *        \-- else          --> a row
 *
 * Items stand in chunks of 50 (a card is a chunk of its own), so that the view draws only chunks near the window. The
 * list of chunks is a signal; a chunk that grows bumps its own version, and nothing else is drawn again.
 *
 * A filter shows a report whole or not at all: it passes if any of its lines does.
 */

import { batch, computed, type Signal, signal } from '@preact/signals';
import type { Block } from '../../src/collector/panic.ts';
import type { Entry } from '../../src/collector/store.ts';
import { printableText } from '../../src/wire/netconsole_text.ts';

export interface RowItem {
  readonly kind: 'row';
  readonly entry: Entry;
}
export interface GapItem {
  readonly kind: 'gap';
  readonly missed: number;
}
export interface ReportItem {
  readonly kind: 'report';
  readonly report: Report;
}
export type Item = RowItem | GapItem | ReportItem;

export interface Chunk {
  readonly key: string;
  readonly items: Item[];
  readonly version: Signal<number>;
  lastId: number;
}

/** A report of the kernel with the lines that are here. */
export interface Report {
  readonly id: number;
  readonly block: Signal<Block>;
  readonly entries: Entry[];
  readonly open: Signal<boolean>;
  chunk: Chunk | null;
  /** Its missing lines have been asked for. */
  asked: boolean;
}

/** Entries kept in the page; the server has more. */
const ENTRIES_MAX = 20_000;
const TRIM = 4_000;
const REPORTS_MAX = 100;
const CHUNK_ITEMS = 50;

export const host = signal<string | null>(null);
/** Least urgent level shown. */
export const level = signal(7);
export const text = signal('');

export const chunks = signal<readonly Chunk[]>([]);
export const reports = signal<readonly Report[]>([]);
/** Rows and cards' lines shown, and all entries kept. */
export const shown = signal(0);
export const kept = signal(0);
/** Messages that came while the log did not follow. */
export const unseen = signal(0);
export const follow = signal(true);

export const worst = computed(() => reports.value.findLast((report) => report.block.value.kind === 'panic') ?? null);

let entries: (Entry | GapItem)[] = [];
let byId = new Map<number, Report>();

/** The text as it may be shown: no control characters, no turns of direction. */
export function visibleText(entry: Entry): string {
  return printableText(entry.text, true);
}

function passes(entry: Entry): boolean {
  if (host.value !== null && entry.host !== host.value) return false;
  if (entry.level !== null && entry.level > level.value) return false;
  return text.value === '' || visibleText(entry).toLowerCase().includes(text.value.toLowerCase());
}

/** Reports of which not all lines are here: they began before the log that the page was given. */
export function incomplete(): Report[] {
  return reports.value.filter((report) => !report.asked && report.entries.length < report.block.value.lines);
}

/** Takes all lines of a report, from the store of the server: its card stands where its first line belongs. */
export function complete(report: Report, all: readonly Entry[]): void {
  if (all.length <= report.entries.length) return;
  batch(() => {
    report.entries.splice(0, report.entries.length, ...all);
    if (report.chunk !== null) chunks.value = chunks.value.filter((chunk) => chunk !== report.chunk);
    report.chunk = null;
    if (!all.some(passes)) return;
    const chunk: Chunk = {
      key: `report-${report.id}`,
      items: [{ kind: 'report', report }],
      version: signal(0),
      lastId: all[0]!.id,
    };
    const at = chunks.value.findIndex((other) => other.lastId > chunk.lastId);
    report.chunk = chunk;
    chunks.value = at < 0 ? [...chunks.value, chunk] : chunks.value.toSpliced(at, 0, chunk);
  });
}

/** Adds a batch from the server. */
export function add(batchEntries: readonly Entry[], blocks: readonly Block[], missed: number): void {
  batch(() => {
    for (const block of blocks) noteBlock(block);
    if (missed > 0) addGap(missed);
    for (const entry of batchEntries) {
      entries.push(entry);
      if (entry.block !== null) byId.get(entry.block)?.entries.push(entry);
      show(entry);
    }
    if (!follow.value) unseen.value += batchEntries.length;
    if (entries.length > ENTRIES_MAX) trim();
    kept.value = entries.length;
  });
}

/** Takes what the server knows of a report. */
export function noteBlock(block: Block): void {
  const known = byId.get(block.id);
  if (known !== undefined) {
    known.block.value = block;
    return;
  }
  const report: Report = {
    id: block.id,
    block: signal(block),
    entries: [],
    open: signal(true),
    chunk: null,
    asked: false,
  };
  byId.set(block.id, report);
  reports.value = [...reports.value, report];
}

function addGap(missed: number): void {
  const gap: GapItem = { kind: 'gap', missed };
  entries.push(gap);
  place(gap, 0);
}

function show(entry: Entry): void {
  if (!passes(entry)) {
    const grown = entry.block === null ? null : (byId.get(entry.block)?.chunk ?? null);
    if (grown !== null) bump(grown, entry.id, 1);
    return;
  }
  const report = entry.block === null ? undefined : byId.get(entry.block);
  if (report === undefined) {
    place({ kind: 'row', entry }, entry.id);
    shown.value++;
  } else if (report.chunk !== null) {
    bump(report.chunk, entry.id, 1);
  } else {
    report.chunk = newChunk(`report-${report.id}`, { kind: 'report', report }, report.entries.at(-1)?.id ?? entry.id);
    shown.value += report.entries.length;
  }
}

function bump(chunk: Chunk, id: number, lines: number): void {
  chunk.lastId = id;
  chunk.version.value++;
  shown.value += lines;
}

function place(item: Item, id: number): void {
  const last = chunks.value.at(-1);
  if (last === undefined || last.items.length >= CHUNK_ITEMS || last.items[0]?.kind === 'report') {
    newChunk(`rows-${serial++}`, item, id);
    return;
  }
  last.items.push(item);
  last.lastId = Math.max(last.lastId, id);
  last.version.value++;
}

let serial = 0;

function newChunk(key: string, item: Item, id: number): Chunk {
  const chunk: Chunk = { key, items: [item], version: signal(0), lastId: id };
  chunks.value = [...chunks.value, chunk];
  return chunk;
}

/** Forgets the oldest entries, and the chunks of which none is left. */
function trim(): void {
  entries = entries.slice(TRIM);
  const first = entries.find((entry): entry is Entry => 'id' in entry)?.id ?? 0;
  chunks.value = chunks.value.filter((chunk) => chunk.lastId >= first || chunk.items[0]?.kind === 'report');
  // Reports outlive the lines around them, but not without end.
  for (const old of reports.value.slice(0, -REPORTS_MAX)) {
    byId.delete(old.id);
    chunks.value = chunks.value.filter((chunk) => chunk !== old.chunk);
  }
  reports.value = reports.value.slice(-REPORTS_MAX);
}

/** Shows all entries anew; to be called when a filter has changed. */
export function refilter(): void {
  batch(() => {
    chunks.value = [];
    shown.value = 0;
    unseen.value = 0;
    for (const report of byId.values()) report.chunk = null;
    const first = entries.find((entry): entry is Entry => 'id' in entry)?.id ?? 0;
    // Reports older than the lines kept stand before them.
    for (const report of byId.values()) {
      const line = report.entries.find(passes);
      if (line !== undefined && (report.entries[0]?.id ?? first) < first) show(line);
    }
    for (const entry of entries) {
      if ('kind' in entry) place(entry, 0);
      else if (entry.block === null || byId.get(entry.block)?.chunk == null) show(entry);
    }
  });
}

/** Forgets everything: the server is another process now. */
export function clear(): void {
  batch(() => {
    entries = [];
    byId = new Map();
    reports.value = [];
    kept.value = 0;
    refilter();
  });
}
