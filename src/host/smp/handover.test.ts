/** Two CPUs in one thread: the rings between them, in any order of steps. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { Arena } from '../../skb/arena.ts';
import { skbAddFrag } from '../../skb/frags.ts';
import { SkbPool } from '../../skb/pool.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { CpuTable, TICKETS } from './cpu_table.ts';
import { HandoverSender, handoverReady, handoverSettled, settleHandover } from './handover.ts';
import { HANDOVER_RECEIVE } from './handover_entry.ts';
import { HandoverReceiver } from './handover_receiver.ts';

const SLOTS = 64;
const SLOT = 2048;

interface Cpu {
  readonly arena: Arena;
  readonly pool: SkbPool;
}

/** Shares of one memory, as the threads have them. */
function cpu(memory: ArrayBuffer, number: number): Cpu {
  const unused = [2 * SLOTS * SLOT, 2 * SLOTS * SLOT] as const;
  const arena = new Arena(memory, { slots: SLOTS, slotSize: SLOT, slotsAt: number * SLOTS * SLOT, unused });
  return { arena, pool: new SkbPool(arena, 2 * SLOTS) };
}

let a: Cpu;
let b: Cpu;
let table: CpuTable;
let sender: HandoverSender;
let receiver: HandoverReceiver;
let given: number;

beforeEach(() => setUp());

function setUp(): void {
  const memory = new ArrayBuffer(2 * SLOTS * SLOT);
  a = cpu(memory, 0);
  b = cpu(memory, 1);
  table = new CpuTable(2);
  given = 0;
  sender = new HandoverSender(table.pair(0, 1), a.arena);
  receiver = new HandoverReceiver(table.pair(0, 1), b.pool, () => {
    given++;
  });
}

function frame(serial: number, fragments = 0): SkBuff | null {
  const skb = a.pool.alloc(128);
  if (skb === null) return null;
  const at = skbPut(skb, 16);
  a.arena.view.setUint32(at, serial);
  skb.protocol = 0x86dd;
  skb.hash = 0xfedcba98;
  skb.l4Hash = true;
  skb.vlanTci = -1;
  skb.tstampUs = 1.7e15 + serial;
  skb.csum = 0xffffffff;
  skb.ipSummed = 2;
  skb.csumLevel = 1;
  skb.netpollSeen = true;
  a.pool.info.gsoType[skb.shinfo] = 16;
  a.pool.info.gsoSize[skb.shinfo] = 1400;
  a.pool.info.gsoSegs[skb.shinfo] = 45;
  for (let i = 0; i < fragments; i++) {
    const buf = a.arena.alloc();
    if (buf < 0) break;
    a.arena.view.setUint32(a.arena.start(buf), serial + i + 1);
    skbAddFrag(skb, buf, a.arena.start(buf), 4);
  }
  return skb;
}

describe('handing frames over', () => {
  test('a frame is read where it lies, with all that is known of it', () => {
    const skb = frame(7)!;
    const { data } = skb;
    expect(sender.send(skb, 3, HANDOVER_RECEIVE)).toBe(true);
    expect(a.pool.inUse).toBe(0);
    expect(a.arena.available).toBe(SLOTS - 1);
    expect(receiver.take()).toBeNull();
    sender.publish();
    const got = receiver.take()!;
    expect(receiver.device).toBe(3);
    expect(got.data).toBe(data);
    expect(b.arena.view.getUint32(got.data)).toBe(7);
    expect([got.len, got.protocol, got.hash, got.l4Hash, got.vlanTci, got.tstampUs, got.csum, got.ipSummed]).toEqual([
      16,
      0x86dd,
      0xfedcba98,
      true,
      -1,
      1.7e15 + 7,
      0xffffffff,
      2,
    ]);
    expect([got.csumLevel, got.netpollSeen]).toEqual([1, true]);
    const { gsoType, gsoSize, gsoSegs } = b.pool.info;
    expect([gsoType, gsoSize, gsoSegs].map((column) => column[got.shinfo])).toEqual([16, 1400, 45]);
    receiver.taken();
    b.pool.consume(got);
    receiver.publish();
    expect(given).toBe(1);
    sender.reap();
    expect(a.arena.available).toBe(SLOTS);
    expect(handoverSettled(table.pair(0, 1))).toBe(true);
  });

  test('fragments come with their frame, or not at all', () => {
    const skb = frame(100, 3)!;
    expect(sender.send(skb, 0, HANDOVER_RECEIVE)).toBe(true);
    sender.publish();
    const got = receiver.take()!;
    expect(got.len).toBe(16 + 12);
    expect(b.pool.info.nrFrags[got.shinfo]).toBe(3);
    receiver.taken();
    b.pool.consume(got);
    receiver.publish();
    sender.reap();
    expect(a.arena.available).toBe(SLOTS);
    sender.maxBacklog = 2;
    const wide = frame(200, 3)!;
    expect(sender.send(wide, 0, HANDOVER_RECEIVE)).toBe(false);
    a.pool.consume(wide);
    expect(a.arena.available).toBe(SLOTS);
  });

  test('a frame that somebody else reads is copied first', () => {
    const skb = frame(1)!;
    const tap = a.pool.clone(skb)!;
    const own = handoverReady(skb, false)!;
    expect(own.buf).not.toBe(tap.buf);
    expect(sender.send(own, 0, HANDOVER_RECEIVE)).toBe(true);
    a.pool.consume(tap);
    expect(a.arena.available).toBe(SLOTS - 1);
  });

  test('a frame in memory of another one is copied where that is asked for, the first piece of that memory too', () => {
    sender.send(frame(1)!, 0, HANDOVER_RECEIVE);
    sender.publish();
    const got = receiver.take()!;
    expect(got.buf).toBe(b.arena.slots);
    expect(handoverReady(got, false)).toBe(got);
    const own = handoverReady(got, true)!;
    expect(own.buf).toBeLessThan(b.arena.slots);
    expect(given).toBe(1);
  });

  test('a backlog of one more than its limit waits, as in Linux, and then there is no room', () => {
    sender.maxBacklog = 3;
    for (let serial = 0; serial < 4; serial++) expect(sender.send(frame(serial)!, 0, HANDOVER_RECEIVE)).toBe(true);
    expect(sender.full(1)).toBe(true);
    expect(sender.send(frame(4)!, 0, HANDOVER_RECEIVE)).toBe(false);
  });

  test('a CPU that dies leaves what it had not taken; what it had in hand is counted', () => {
    for (let serial = 0; serial < 5; serial++) sender.send(frame(serial)!, 1, HANDOVER_RECEIVE);
    sender.publish();
    const done = receiver.take()!;
    receiver.taken();
    b.pool.consume(done);
    receiver.publish();
    receiver.take();
    const back: number[] = [];
    const held = sender.takeBack(a.pool, (skb) => {
      back.push(a.arena.view.getUint32(skb.data));
      a.pool.consume(skb);
    });
    expect(back).toEqual([2, 3, 4]);
    expect(held).toBe(1);
    expect(sender.out).toBe(0);
    expect(a.arena.available).toBe(SLOTS);
    expect(handoverSettled(table.pair(0, 1))).toBe(true);
  });

  test('what a dead CPU had not taken comes back without its fragments’ memory being lost, also where no sk_buff is left', () => {
    sender.send(frame(10, 2)!, 1, HANDOVER_RECEIVE);
    const kept = frame(1)!;
    const clones: SkBuff[] = [];
    for (let clone = a.pool.clone(kept); clone !== null; clone = a.pool.clone(kept)) clones.push(clone);
    let back = 0;
    expect(sender.takeBack(a.pool, () => back++)).toBe(0);
    expect([back, sender.out]).toEqual([0, 0]);
    for (const clone of clones) a.pool.consume(clone);
    a.pool.consume(kept);
    expect(a.arena.available).toBe(SLOTS);
  });

  test('who comes up in a dead CPU’s place takes what is sent from then on, and nothing of before', () => {
    for (let serial = 0; serial < 3; serial++) sender.send(frame(serial)!, 1, HANDOVER_RECEIVE);
    sender.takeBack(a.pool, (skb) => a.pool.consume(skb));
    receiver = new HandoverReceiver(table.pair(0, 1), b.pool, () => {});
    expect(receiver.take()).toBeNull();
    sender.send(frame(9)!, 1, HANDOVER_RECEIVE);
    expect(sender.takeBack(a.pool, (skb) => a.pool.consume(skb))).toBe(0);
    expect(a.arena.available).toBe(SLOTS);
  });

  test('a sender that comes up in a dead one’s place does not take memory for its own that came back to that one', () => {
    sender.send(frame(1)!, 0, HANDOVER_RECEIVE);
    sender.publish();
    const got = receiver.take()!;
    receiver.taken();
    b.pool.consume(got);
    receiver.publish();
    sender = new HandoverSender(table.pair(0, 1), a.arena);
    sender.send(frame(2)!, 0, HANDOVER_RECEIVE);
    sender.reap();
    expect(sender.out).toBe(1);
  });

  test('nothing is owed once both sides are gone', () => {
    sender.send(frame(1)!, 0, HANDOVER_RECEIVE);
    sender.publish();
    expect(handoverSettled(table.pair(0, 1))).toBe(false);
    settleHandover(table.pair(0, 1));
    expect(handoverSettled(table.pair(0, 1))).toBe(true);
    expect(new HandoverReceiver(table.pair(0, 1), b.pool, () => {}).take()).toBeNull();
    expect(new HandoverSender(table.pair(0, 1), a.arena).returning).toBe(false);
  });

  test('property: whatever the order of steps, frames arrive once and in order, and all memory comes back', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('send' as const), fragments: fc.integer({ min: 0, max: 2 }) }),
      fc.record({
        kind: fc.constantFrom('publish' as const, 'take' as const, 'free' as const, 'give' as const, 'reap' as const),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.boolean(), (steps, dies) => {
        setUp();
        sender.maxBacklog = 20;
        const sent: number[] = [];
        const got: number[] = [];
        const kept: SkBuff[] = [];
        let serial = 0;
        for (const each of steps) {
          if (each.kind === 'send') {
            const skb = frame(serial, each.fragments);
            if (skb === null) continue;
            if (sender.send(skb, 0, HANDOVER_RECEIVE)) sent.push(serial);
            else a.pool.consume(skb);
            serial++;
          } else if (each.kind === 'take') {
            const skb = receiver.take();
            if (skb === null) continue;
            got.push(b.arena.view.getUint32(skb.data));
            kept.push(skb);
            receiver.taken();
          } else if (each.kind === 'free') {
            const skb = kept.shift();
            if (skb !== undefined) b.pool.consume(skb);
          } else if (each.kind === 'publish') sender.publish();
          else if (each.kind === 'give') receiver.publish();
          else sender.reap();
        }
        if (dies) {
          sender.takeBack(a.pool, (skb) => {
            got.push(a.arena.view.getUint32(skb.data));
            a.pool.consume(skb);
          });
        } else {
          sender.publish();
          for (let skb = receiver.take(); skb !== null; skb = receiver.take()) {
            got.push(b.arena.view.getUint32(skb.data));
            receiver.taken();
            b.pool.consume(skb);
          }
          for (const skb of kept) b.pool.consume(skb);
          receiver.publish();
          sender.reap();
        }
        expect(got).toEqual(sent);
        expect(sender.out).toBe(0);
        expect(a.arena.available).toBe(SLOTS);
        expect(a.pool.inUse).toBe(0);
        expect(handoverSettled(table.pair(0, 1))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('no more memory is out than there are tickets', () => {
    expect(TICKETS).toBeGreaterThan(1001);
    const many = TICKETS + 1;
    const memory = new ArrayBuffer(2 * many * SLOT);
    const unused = [memory.byteLength, memory.byteLength] as const;
    const share = (at: number, slots: number) => new Arena(memory, { slots, slotSize: SLOT, slotsAt: at, unused });
    const side = (arena: Arena, skbs: number): Cpu => ({ arena, pool: new SkbPool(arena, skbs) });
    a = side(share(0, many), 8);
    b = side(share(many * SLOT, 1), many);
    sender = new HandoverSender(table.pair(0, 1), a.arena);
    receiver = new HandoverReceiver(table.pair(0, 1), b.pool, () => {});
    const held: SkBuff[] = [];
    for (let serial = 0; serial < TICKETS; serial++) {
      expect(sender.send(frame(serial)!, 0, HANDOVER_RECEIVE)).toBe(true);
      sender.publish();
      held.push(receiver.take()!);
      receiver.taken();
      receiver.publish();
    }
    const more = frame(TICKETS)!;
    expect([sender.out, sender.full(1), sender.send(more, 0, HANDOVER_RECEIVE)]).toEqual([TICKETS, false, false]);
    b.pool.consume(held.pop()!);
    receiver.publish();
    expect(sender.send(more, 0, HANDOVER_RECEIVE)).toBe(true);
  });
});
