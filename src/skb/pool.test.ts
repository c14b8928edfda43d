import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bug } from '../base/assert.ts';
import { createArena } from './arena.ts';
import { DROP_REASONS, DropReason } from './drop_reason.ts';
import { NET_SKB_PAD, SkbPool } from './pool.ts';
import { SkbQueue } from './queue.ts';
import { HEADER_UNSET, type SkBuff, skbCloned, skbHeadroom, skbPut, skbShared, skbTailroom } from './sk_buff.ts';

const pool = (slots = 8, size = 16) => new SkbPool(createArena(slots, 256), size);

describe('SkbPool', () => {
  it('gives empty frames: no headroom from alloc, NET_SKB_PAD for a device', () => {
    const p = pool();
    const skb = p.alloc(100)!;
    expect([skb.len, skbHeadroom(skb), skb.users, skb.dev]).toEqual([0, 0, 1, null]);
    expect(skbTailroom(skb)).toBeGreaterThanOrEqual(100);
    const dev = { name: 'eth0', ifindex: 3 };
    const forDevice = p.allocForDevice(dev, 100)!;
    expect([skbHeadroom(forDevice), forDevice.dev]).toEqual([NET_SKB_PAD, dev]);
  });

  it('gives a recycled frame without anything of its last life', () => {
    const p = pool(1, 1);
    const skb = p.alloc(10)!;
    skbPut(skb, 10);
    Object.assign(skb, { protocol: 0x800, pktType: 3, ipSummed: 1, csum: 9, vlanTci: 5, hash: 7, priority: 1 });
    Object.assign(skb, { macHeader: 1, networkHeader: 2, transportHeader: 3, skbIif: 4, napiId: 8, tstampUs: 1e15 });
    skb.cloned = true;
    p.consume(skb);
    const next = p.alloc(10)!;
    expect(next).toBe(skb);
    expect(next).toMatchObject({ len: 0, protocol: 0, pktType: 0, ipSummed: 0, csum: 0, vlanTci: -1, hash: 0 });
    expect(next).toMatchObject({ priority: 0, skbIif: 0, napiId: 0, tstampUs: 0, cloned: false, dev: null });
    expect([next.macHeader, next.networkHeader, next.transportHeader]).toEqual(new Array(3).fill(HEADER_UNSET));
  });

  it('fails with null and a count, and leaks nothing, when slots, objects or a slot’s size run out', () => {
    const noSlots = pool(1, 4);
    expect([noSlots.alloc(1) !== null, noSlots.alloc(1), noSlots.exhausted]).toEqual([true, null, 1]);
    const noObjects = pool(4, 1);
    expect([noObjects.alloc(1) !== null, noObjects.alloc(1), noObjects.exhausted]).toEqual([true, null, 1]);
    expect(noObjects.arena.available).toBe(3);
    expect([pool().alloc(257), pool().allocForDevice(null, 256)]).toEqual([null, null]);
  });

  it('counts drops by reason and consumed frames not at all, at the last reference', () => {
    const p = pool();
    const skb = p.get(p.alloc(1)!);
    expect(skbShared(skb)).toBe(true);
    p.kfree(skb, DropReason.NO_SOCKET);
    expect([p.drops.get('NO_SOCKET'), p.inUse]).toEqual([0, 1]);
    p.kfree(skb, DropReason.NO_SOCKET);
    p.consume(p.alloc(1)!);
    p.kfree(p.alloc(1)!);
    expect([p.drops.get('NO_SOCKET'), p.drops.get('NOT_SPECIFIED'), p.inUse]).toEqual([1, 1, 0]);
  });

  it('raises when a frame is freed twice, freed while queued, or named when it is not alive', () => {
    const p = pool();
    const skb = p.alloc(1)!;
    const queue = new SkbQueue(1);
    queue.queueTail(skb);
    expect(() => p.consume(skb)).toThrow(Bug);
    const other = p.alloc(1)!;
    expect(p.byId(other.id)).toBe(other);
    p.consume(other);
    expect(() => p.consume(other)).toThrow(Bug);
    expect(() => p.byId(other.id)).toThrow(Bug);
    expect(() => p.byId(99)).toThrow(Bug);
  });

  it('runs a destructor once, at the end, and not for clones', () => {
    const p = pool();
    const ended: number[] = [];
    const skb = p.alloc(1)!;
    skb.destructor = (each) => ended.push(each.id);
    const copy = p.clone(skb)!;
    expect(copy.destructor).toBeNull();
    p.consume(copy);
    expect(ended).toEqual([]);
    p.consume(skb);
    expect(ended).toEqual([skb.id]);
  });

  it('names every drop reason once', () => {
    expect(new Set(DROP_REASONS).size).toBe(DROP_REASONS.length);
    expect(DropReason.CPU_BACKLOG).toBe(DROP_REASONS.indexOf('CPU_BACKLOG'));
  });
});

describe('clones', () => {
  it('share the bytes and have their own geometry; both are cloned until one is left', () => {
    const p = pool();
    const skb = p.alloc(10)!;
    skbPut(skb, 10);
    expect(skbCloned(skb)).toBe(false);
    const copy = p.clone(skb)!;
    expect([copy.buf, copy.data, copy.len, copy.users]).toEqual([skb.buf, skb.data, 10, 1]);
    expect([skbCloned(skb), skbCloned(copy)]).toEqual([true, true]);
    copy.len = 4;
    expect(skb.len).toBe(10);
    p.consume(skb);
    expect([skbCloned(copy), p.arena.available]).toEqual([false, 7]);
    p.consume(copy);
    expect([p.inUse, p.arena.available]).toEqual([0, 8]);
  });

  it('keep memory and objects accounted for, under any sequence of alloc, clone, get and free', () => {
    const operation = fc.tuple(fc.constantFrom('alloc', 'clone', 'get', 'kfree', 'consume'), fc.nat());
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
        const p = pool(4, 10);
        const held: SkBuff[] = [];
        for (const [what, n] of operations) {
          const at = held.length === 0 ? -1 : n % held.length;
          if (what === 'alloc') {
            const skb = p.alloc(10);
            if (skb !== null) held.push(skb);
          } else if (at < 0) continue;
          else if (what === 'clone') {
            const copy = p.clone(held[at]!);
            if (copy !== null) held.push(copy);
          } else if (what === 'get') held.push(p.get(held[at]!));
          else p[what as 'kfree' | 'consume'](held.splice(at, 1)[0]!);
          expect(p.inUse).toBe(new Set(held).size);
          expect(p.arena.available).toBe(4 - new Set(held.map((skb) => skb.buf)).size);
          for (const skb of held) expect(skb.users).toBe(held.filter((each) => each === skb).length);
        }
        for (const skb of held) p.consume(skb);
        expect([p.inUse, p.arena.available]).toEqual([0, 4]);
      }),
    );
  });
});

describe('SkbQueue', () => {
  it('is first in first out up to its limit; what comes back goes to the head, limit or not', () => {
    const p = pool();
    const [a, b, c] = [p.alloc(1)!, p.alloc(1)!, p.alloc(1)!];
    const queue = new SkbQueue(2);
    expect([queue.queueTail(a), queue.queueTail(b), queue.queueTail(c)]).toEqual([true, true, false]);
    queue.queueHead(c);
    expect([queue.length, queue.peek()]).toEqual([3, c]);
    expect([queue.dequeue(), queue.dequeue(), queue.dequeue(), queue.dequeue()]).toEqual([c, a, b, null]);
  });

  it('moves all of another queue behind its own, and drops everything with a reason', () => {
    const p = pool();
    const [first, second] = [new SkbQueue(1), new SkbQueue(9)];
    const frames = [p.alloc(1)!, p.alloc(1)!, p.alloc(1)!] as const;
    first.queueTail(frames[0]);
    second.queueTail(frames[1]);
    second.queueTail(frames[2]);
    first.splice(second);
    expect([first.length, second.length, first.peek()]).toEqual([3, 0, frames[0]]);
    first.purge(DropReason.QUEUE_PURGE);
    expect([first.length, p.inUse, p.drops.get('QUEUE_PURGE')]).toEqual([0, 0, 3]);
  });
});
