import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from './assert.ts';
import { List, type Listed } from './list.ts';

class Item implements Listed<Item> {
  readonly name: number;
  next: Item | null = null;
  prev: Item | null = null;
  list: object | null = null;

  constructor(name: number) {
    this.name = name;
  }
}

function names(list: List<Item>): number[] {
  const forward: number[] = [];
  for (let item = list.head; item !== null; item = item.next) forward.push(item.name);
  const backward: number[] = [];
  for (let item = list.tail; item !== null; item = item.prev) backward.push(item.name);
  expect(backward.reverse()).toEqual(forward);
  expect(list.length).toBe(forward.length);
  return forward;
}

describe('List', () => {
  it('behaves like two arrays under any sequence of operations, read from either end', () => {
    const operation = fc.record({
      what: fc.constantFrom('addTail', 'addHead', 'remove', 'shift', 'splice'),
      which: fc.nat(1),
      item: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 100 }), (operations) => {
        const items = Array.from({ length: 10 }, (_, i) => new Item(i));
        const lists = [new List<Item>(), new List<Item>()] as const;
        const model: [number[], number[]] = [[], []];
        for (const { what, which, item } of operations) {
          const at = which as 0 | 1;
          const on = model.findIndex((each) => each.includes(item));
          if (what === 'splice') {
            lists[at].spliceTail(lists[(1 - at) as 0 | 1]);
            model[at].push(...model[(1 - at) as 0 | 1].splice(0));
          } else if (what === 'shift') {
            expect(lists[at].shift()?.name).toBe(model[at].shift());
          } else if (what === 'remove') {
            if (on !== at) {
              expect(() => lists[at].remove(items[item]!)).toThrow(Bug);
              continue;
            }
            lists[at].remove(items[item]!);
            model[at].splice(model[at].indexOf(item), 1);
          } else if (on >= 0) {
            expect(() => lists[at][what as 'addTail' | 'addHead'](items[item]!)).toThrow(Bug);
          } else {
            lists[at][what as 'addTail' | 'addHead'](items[item]!);
            if (what === 'addTail') model[at].push(item);
            else model[at].unshift(item);
          }
          expect([names(lists[0]), names(lists[1])]).toEqual(model);
        }
      }),
    );
  });
});
