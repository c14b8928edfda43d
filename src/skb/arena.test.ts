import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { Arena, createArena } from './arena.ts';

describe('Arena', () => {
  it('gives slots that do not overlap, and -1 with a count when there is none', () => {
    const arena = createArena(4, 256);
    const bufs = [arena.alloc(), arena.alloc(), arena.alloc(), arena.alloc()];
    expect(new Set(bufs.map((buf) => arena.start(buf)))).toEqual(new Set([0, 256, 512, 768]));
    expect(arena.alloc()).toBe(-1);
    expect([arena.exhausted, arena.available]).toEqual([1, 0]);
  });

  it('counts references as a model does, under any sequence of taking and releasing', () => {
    const operation = fc.tuple(fc.constantFrom('alloc', 'get', 'release'), fc.nat(7));
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const arena = createArena(8, 64);
        const refs = new Array<number>(8).fill(0);
        for (const [what, buf] of operations) {
          if (what === 'alloc') {
            const got = arena.alloc();
            expect(got >= 0).toBe(refs.includes(0));
            if (got >= 0) {
              expect(refs[got]).toBe(0);
              refs[got] = 1;
            }
          } else if (refs[buf] === 0) {
            if (what === 'get') expect(() => arena.get(buf)).toThrow(Bug);
          } else {
            arena[what as 'get' | 'release'](buf);
            refs[buf]! += what === 'get' ? 1 : -1;
          }
          expect(Array.from({ length: 8 }, (_, i) => arena.refs(i))).toEqual(refs);
          expect(arena.available).toBe(refs.filter((each) => each === 0).length);
        }
      }),
    );
  });

  it('raises when a buffer is released twice', () => {
    const arena = createArena(2);
    const buf = arena.alloc();
    arena.release(buf);
    expect(() => arena.release(buf)).toThrow(Bug);
  });

  it('refuses a buffer that does not hold the slots', () => {
    expect(() => new Arena(new ArrayBuffer(100), { slots: 2, slotSize: 64 })).toThrow(Bug);
  });
});

describe('regions of an arena', () => {
  const arenaWithTail = () => new Arena(new ArrayBuffer(4 * 64 + 10 * 32 + 40), { slots: 4, slotSize: 64 });

  it('take aligned memory behind the slots, until there is no more', () => {
    const arena = arenaWithTail();
    const first = arena.reserve(100, 64);
    const second = arena.reserve(64, 128);
    expect([first, second]).toEqual([256, 384]);
    expect(arena.reserve(1000, 1)).toBe(-1);
    expect(arena.reserve(8, 8)).toBe(448);
  });

  it('have handles behind the slots’, and give a frame back to their port at its last release', () => {
    const arena = arenaWithTail();
    const back: number[] = [];
    const at = arena.reserve(4 * 32, 32);
    const first = arena.addRegion(at, 4 * 32, 32, (buf) => back.push(buf));
    const other: number[] = [];
    const second = arena.addRegion(arena.reserve(64, 32), 64, 32, (buf) => other.push(buf));
    expect([first, second]).toEqual([4, 8]);
    expect([arena.start(first), arena.start(first + 3), arena.start(second + 1)]).toEqual([at, at + 96, at + 160]);

    arena.adopt(first + 2);
    expect(() => arena.adopt(first + 2)).toThrow(Bug);
    arena.get(first + 2);
    arena.release(first + 2);
    expect(back).toEqual([]);
    arena.release(first + 2);
    expect(back).toEqual([first + 2]);
    arena.adopt(second);
    arena.release(second);
    expect(other).toEqual([second]);
    expect(arena.available).toBe(4);
  });

  it('keep the references that exist when another region is added', () => {
    const arena = arenaWithTail();
    const buf = arena.alloc();
    arena.get(buf);
    arena.addRegion(arena.reserve(32, 32), 32, 32, () => {});
    expect(arena.refs(buf)).toBe(2);
  });
});
