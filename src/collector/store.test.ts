import { describe, expect, it } from 'vitest';
import { newCollectorCounters } from './counters.ts';
import { Store } from './store.ts';
import { feedArrivals } from './streams.fixture.ts';

function filled(size: number, count: number): Store {
  const store = new Store(size, newCollectorCounters());
  const { messages } = feedArrivals(Array.from({ length: count }, (_, i) => [i, `${i % 8},${i},${i},-;Line ${i}\n`]));
  for (const message of messages) store.append(message, null);
  return store;
}

const ids = (store: Store, query: Parameters<Store['query']>[0]): number[] =>
  store.query(query).entries.map(({ id }) => id);

describe('store', () => {
  it('keeps the newest, and says how many a reader missed', () => {
    const store = filled(10, 25);
    expect([store.firstId, store.lastId]).toEqual([16, 25]);
    expect(ids(store, { limit: 100 })).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25]);
    expect(store.query({ since: 5, limit: 3 })).toMatchObject({ missed: 10, lastId: 25 });
    expect(ids(store, { since: 5, limit: 3 })).toEqual([16, 17, 18]);
    expect(store.tail(23, 100)).toMatchObject({ missed: 0 });
    expect(store.tail(25, 100).entries).toEqual([]);
  });

  it('keeps fewer messages when they are long', () => {
    const counters = newCollectorCounters();
    const store = new Store(100, counters, 1000);
    const { messages } = feedArrivals(Array.from({ length: 30 }, (_, i) => [i, `6,${i},${i},-;${'x'.repeat(99)}\n`]));
    for (const message of messages) store.append(message, null);
    expect([store.firstId, store.lastId]).toEqual([21, 30]);
    expect(ids(store, { limit: 100 }).length).toBe(10);
    expect(store.query({ since: 0, limit: 1 }).missed).toBe(20);
    expect(counters.get('store_evicted')).toBe(20);
  });

  it('is empty before the first message', () => {
    expect(filled(10, 0).query({ limit: 5 })).toEqual({ entries: [], missed: 0, lastId: 0 });
  });

  it('filters by level, host and text, and gives the newest or those before an id', () => {
    const store = filled(100, 40);
    expect(ids(store, { limit: 100, level: 0 })).toEqual([1, 9, 17, 25, 33]);
    expect(ids(store, { limit: 2, level: 0, newest: true })).toEqual([25, 33]);
    expect(ids(store, { limit: 2, level: 0, before: 25 })).toEqual([9, 17]);
    expect(ids(store, { limit: 100, text: 'LINE 3' }).length).toBe(11);
    expect(ids(store, { limit: 100, host: '10.0.0.2' })).toEqual([]);
    expect(store.hosts()).toMatchObject([{ host: '10.0.0.1', messages: 40 }]);
  });
});
