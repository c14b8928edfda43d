/**
 * The last messages, in memory: a ring with ids that only grow.
 *
 *   id 1 ...... evicted ...... |firstId ............ lastId|        slot = id % size
 *
 * Readers keep the last id that they have seen and ask for what came since; a reader that was away for too long learns
 * how many it missed. That makes the live tail a cursor a client: a slow client costs no memory.
 */

import type { CollectorCounters } from './counters.ts';
import type { Message } from './message.ts';
import type { Block } from './panic.ts';

/** A message with its place in the store, and the report that it belongs to. */
export interface Entry extends Message {
  readonly id: number;
  /** Id of its block (see panic.ts), or null. */
  readonly block: number | null;
}

export interface Query {
  /** Only ids above this. */
  readonly since?: number | undefined;
  /** Only ids below this (for pages backwards; implies `newest`). */
  readonly before?: number | undefined;
  readonly limit: number;
  /** The last `limit` matches instead of the first ones. */
  readonly newest?: boolean | undefined;
  readonly host?: string | undefined;
  /** Only this level and more urgent ones; messages without a level pass. */
  readonly level?: number | undefined;
  /** Substring of the text, any case. */
  readonly text?: string | undefined;
  /** Only messages of this block. */
  readonly block?: number | undefined;
}

export interface HostSummary {
  readonly host: string;
  messages: number;
  lastReceived: string;
  release: string | null;
  /** Reports of each kind. */
  warnings: number;
  oopses: number;
  panics: number;
}

/** Characters of text and dictionaries kept, whatever the number of messages: about 256 MiB. */
const CHARS_MAX = 128 * 1024 * 1024;
const HOSTS_MAX = 4096;
const BLOCKS_MAX = 500;

export class Store {
  readonly #ring: (Entry | undefined)[];
  readonly #counters: CollectorCounters;
  readonly #hosts = new Map<string, HostSummary>();
  readonly #blocks = new Map<number, Block>();
  readonly #charsMax: number;
  #chars = 0;
  #firstId = 1;
  #lastId = 0;

  /** `size`: messages kept at most; `charsMax`: their characters. */
  constructor(size: number, counters: CollectorCounters, charsMax = CHARS_MAX) {
    this.#charsMax = charsMax;
    this.#ring = new Array<Entry | undefined>(Math.max(1, size));
    this.#counters = counters;
  }

  /** Id of the newest message; 0 before the first. */
  get lastId(): number {
    return this.#lastId;
  }

  /** Id of the oldest message kept. */
  get firstId(): number {
    return this.#firstId;
  }

  /** Adds a message; the oldest go when the ring is full, or too many characters are in it. */
  append(message: Message, block: Block | null): Entry {
    this.#chars += charsOf(message);
    const full = (): boolean => this.#lastId - this.#firstId + 1 >= this.#ring.length || this.#chars > this.#charsMax;
    while (this.#firstId <= this.#lastId && full()) this.#evict();
    const entry: Entry = { id: ++this.#lastId, block: block?.id ?? null, ...message };
    this.#ring[entry.id % this.#ring.length] = entry;
    if (block !== null && !this.#blocks.has(block.id)) this.#addBlock(block);
    this.#countHost(message);
    return entry;
  }

  #evict(): void {
    const slot = this.#firstId++ % this.#ring.length;
    const oldest = this.#ring[slot];
    if (oldest !== undefined) this.#chars -= charsOf(oldest);
    this.#ring[slot] = undefined;
    this.#counters.count('store_evicted');
  }

  #addBlock(block: Block): void {
    this.#blocks.set(block.id, block);
    for (const id of this.#blocks.keys()) {
      if (this.#blocks.size <= BLOCKS_MAX) break;
      this.#blocks.delete(id);
    }
  }

  #countHost(message: Message): void {
    let host = this.#hosts.get(message.host);
    if (host === undefined) {
      for (const oldest of this.#hosts.keys()) {
        if (this.#hosts.size < HOSTS_MAX) break;
        this.#hosts.delete(oldest);
      }
      host = { host: message.host, messages: 0, lastReceived: '', release: null, warnings: 0, oopses: 0, panics: 0 };
      this.#hosts.set(message.host, host);
    }
    host.messages++;
    host.lastReceived = message.received;
    host.release = message.release ?? host.release;
  }

  /** Entries that match, in order, and how many ids after `since` are gone already. Bound: the ring. */
  query(query: Query): { entries: Entry[]; missed: number; lastId: number } {
    const since = query.since ?? this.firstId - 1;
    const missed = Math.max(0, Math.min(this.firstId, this.#lastId + 1) - 1 - since);
    const from = Math.max(since + 1, this.firstId);
    const to = Math.min(this.#lastId, (query.before ?? Number.POSITIVE_INFINITY) - 1);
    const backwards = query.newest === true || query.before !== undefined;
    const text = query.text?.toLowerCase();
    const entries: Entry[] = [];
    for (let i = 0; i <= to - from && entries.length < query.limit; i++) {
      const entry = this.#ring[(backwards ? to - i : from + i) % this.#ring.length];
      if (entry !== undefined && matches(entry, query, text)) entries.push(entry);
    }
    if (backwards) entries.reverse();
    return { entries, missed, lastId: this.#lastId };
  }

  /** The entries behind `cursor`, without a filter, at most `limit`: the live tail. */
  tail(cursor: number, limit: number): { entries: Entry[]; missed: number } {
    return this.query({ since: cursor, limit });
  }

  hosts(): HostSummary[] {
    const all = [...this.#hosts.values()].map((host) => ({ ...host, warnings: 0, oopses: 0, panics: 0 }));
    const byName = new Map(all.map((host) => [host.host, host]));
    for (const block of this.#blocks.values()) {
      const host = byName.get(block.host);
      if (host === undefined) continue;
      if (block.kind === 'panic') host.panics++;
      else if (block.kind === 'oops') host.oopses++;
      else host.warnings++;
    }
    return all;
  }

  /** The reports found, oldest first; at most 500. */
  blocks(): Block[] {
    return [...this.#blocks.values()];
  }

  block(id: number): Block | null {
    return this.#blocks.get(id) ?? null;
  }
}

function charsOf(message: Message): number {
  let chars = message.text.length;
  for (const [key, value] of Object.entries(message.dict)) chars += key.length + value.length;
  return chars;
}

function matches(entry: Entry, query: Query, text: string | undefined): boolean {
  if (query.host !== undefined && entry.host !== query.host) return false;
  if (query.level !== undefined && entry.level !== null && entry.level > query.level) return false;
  if (query.block !== undefined && entry.block !== query.block) return false;
  return text === undefined || entry.text.toLowerCase().includes(text);
}
