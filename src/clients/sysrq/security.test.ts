/**
 * Nobody gets in: 100,000 commands of somebody who hears everything, can hold back, change, repeat and make up whatever he likes, and
 * does not have the key; while they arrive, an operator goes about his work.
 */
import { describe, expect, it } from 'vitest';
import { Prng } from '../../base/prng.ts';
import { SYSRQ_FRAME_LEN, SysrqFrame, SysrqType, sysrqHostId } from '../../wire/sysrq_command.ts';
import { SYSRQ_REFUSALS } from './audit.ts';
import { hmac, SysrqRig } from './rig.fixture.ts';

const COUNT = Number(process.env.NETPOLL_SYSRQ_ATTACKS ?? 100_000);
const SEED = Number(process.env.NETPOLL_SYSRQ_SEED ?? 1);
/** What the operator wants is none of the keys that the attacker makes up. */
const OPERATOR_KEYS = 'hmpqtlw';
const ATTACKER_KEYS = 'bcosuefi';
const BATCH = 50;
const TAG = 88;

/** All that he has heard, and what he makes of it. */
class Attacker {
  readonly made: Record<string, number> = {};
  readonly heard: Uint8Array[] = [];
  /** Right commands that never arrived, because he kept them. */
  readonly held: Uint8Array[] = [];
  readonly #chance: Prng;

  constructor(seed: number) {
    this.#chance = new Prng(seed);
  }

  next(): Uint8Array {
    const kinds = ['garbage', 'forged', 'made up', 'replayed', 'truncated', 'longer', 'flipped', 'raised', 'reordered'];
    let kind = kinds[this.#chance.below(kinds.length)]!;
    if (this.heard.length === 0 && kind !== 'garbage') kind = 'made up';
    if (this.held.length === 0 && kind === 'reordered') kind = this.heard.length === 0 ? 'garbage' : 'replayed';
    this.made[kind] = (this.made[kind] ?? 0) + 1;
    const c = this.#chance;
    const old = kind === 'garbage' || kind === 'made up' ? new Uint8Array() : this.#any(this.heard);
    if (kind === 'reordered') return this.#any(this.held);
    if (kind === 'replayed') return old;
    if (kind === 'truncated') return old.slice(0, c.below(SYSRQ_FRAME_LEN));
    if (kind === 'longer') return Uint8Array.from([...old, ...this.#random(1 + c.below(40))]);
    if (kind === 'flipped') {
      for (let n = 1 + c.below(3), at = c.below(SYSRQ_FRAME_LEN); n > 0; n--, at = c.below(SYSRQ_FRAME_LEN)) {
        old[at]! ^= 1 << c.below(8);
      }
      // Two flips of one bit would be a replay.
      return old;
    }
    if (kind === 'raised') return this.#raised(old);
    if (kind === 'forged') return this.#forged(old);
    return kind === 'garbage' ? this.#random(c.below(200)) : this.#madeUp();
  }

  /** The newest boot, host and time, a counter that would do, a key of his, and a tag that he cannot make. */
  #forged(old: Uint8Array): Uint8Array {
    const frame = new SysrqFrame();
    frame.load(this.heard.at(-1)!, 0, SYSRQ_FRAME_LEN);
    const { counter } = frame;
    frame.bytes[5] = SysrqType.COMMAND;
    frame.key = this.#key();
    frame.bytes[7] = 0;
    frame.counter = counter + 1 + this.#chance.below(5);
    const dice = this.#chance.below(3);
    if (dice === 0) frame.seal(hmac('not the key'));
    else frame.bytes.set(dice === 1 ? this.#random(16) : old.slice(TAG, TAG + 16), TAG);
    return frame.bytes;
  }

  #raised(old: Uint8Array): Uint8Array {
    const frame = new SysrqFrame();
    frame.bytes.set(old);
    if (this.#chance.chance(0.7)) frame.counter += 1 + this.#chance.below(1000);
    if (this.#chance.chance(0.5)) frame.issuedMs += this.#chance.below(20_000);
    if (frame.type === SysrqType.COMMAND || this.#chance.chance(0.5)) {
      frame.bytes[5] = SysrqType.COMMAND;
      frame.bytes[7] = 0;
      frame.key = this.#key();
    }
    return frame.bytes;
  }

  #madeUp(): Uint8Array {
    const frame = new SysrqFrame().reset(this.#chance.chance(0.5) ? SysrqType.COMMAND : SysrqType.QUESTION);
    frame.setNonce(this.#random(16));
    frame.setHostId(sysrqHostId('host2')!);
    if (frame.type === SysrqType.COMMAND) {
      frame.setBootId(this.#random(16));
      frame.counter = this.#chance.below(100);
      frame.key = this.#key();
    }
    frame.seal(hmac(`guess ${this.#chance.below(1000)}`));
    return frame.bytes;
  }

  #key(): string {
    return ATTACKER_KEYS[this.#chance.below(ATTACKER_KEYS.length)]!;
  }

  #random(len: number): Uint8Array {
    return Uint8Array.from({ length: len }, () => this.#chance.below(256));
  }

  #any(from: readonly Uint8Array[]): Uint8Array {
    // Half of the time something new: that is what is most likely to be taken.
    const among = this.#chance.chance(0.5) ? Math.min(8, from.length) : from.length;
    return from[from.length - 1 - this.#chance.below(among)]!.slice();
  }
}

describe('SysRq over netconsole', () => {
  it(`executes none of ${COUNT} attacks, and the operator’s commands once each (seed ${SEED})`, {
    timeout: 60_000,
  }, () => {
    const again = `NETPOLL_SYSRQ_SEED=${SEED}`;
    const rig = new SysrqRig({ seed: SEED, burst: 1000, perSecond: 1000 });
    const attacker = new Attacker(SEED);
    // Commands of an earlier boot, with the same key, and for another host.
    const before = new SysrqRig({ seed: SEED + 1 });
    for (const each of [before.sender(), before.sender()]) {
      before.ask(each, each.question());
      for (const key of 'bco') attacker.heard.push(each.command(key).slice());
    }
    const chance = new Prng(SEED ^ 0xbeef);
    const sender = rig.sender();
    const wanted: string[] = [];
    let waits: Uint8Array | null = null;
    let asking = true;
    let sentAttacks = 0;
    for (let round = 0; sentAttacks < COUNT; round++) {
      const operatorAt = round % 4 === 0 ? chance.below(BATCH) : -1;
      for (let i = 0; i < BATCH && sentAttacks < COUNT; i++) {
        if (i === operatorAt) {
          if (waits === null) {
            asking = sender.machine === null || chance.chance(0.2);
            const key = OPERATOR_KEYS[chance.below(OPERATOR_KEYS.length)]!;
            waits = (asking ? sender.question() : sender.command(key)).slice();
            // Now and then he keeps a command that is on its way; the operator gives up and gives another one.
            if (!asking && attacker.held.length < 200 && chance.chance(0.1)) {
              attacker.held.push(waits);
              waits = sender.command(key).slice();
            }
            if (!asking) wanted.push(key);
          }
          attacker.heard.push(waits);
          rig.send(waits);
        }
        const from = chance.chance(0.5) ? '10.0.0.1' : '10.0.0.66';
        rig.send(attacker.next(), { from, sourcePort: 1 + chance.below(65535) });
        sentAttacks++;
      }
      rig.run(300_000);
      for (const each of rig.answers()) {
        attacker.heard.push(each);
        if (sender.hear(each) !== null) waits = null;
      }
      rig.log();
      // What was heard goes out of fashion.
      if (attacker.heard.length > 2000) attacker.heard.splice(0, 1000);
      rig.hand.heard.length = 0;
    }
    for (let tries = 0; waits !== null && tries < 100; tries++) {
      rig.send(waits);
      rig.run();
      for (const each of rig.answers()) if (sender.hear(each) !== null) waits = null;
    }
    // What he kept was replaced by a command with the same number: one of the two at most, and its counter is used up.
    expect(rig.obeyed, again).toEqual(wanted);
    expect(
      rig.obeyed.filter((key) => ATTACKER_KEYS.includes(key)),
      again,
    ).toEqual([]);
    expect(wanted.length, again).toBeGreaterThan(COUNT / 2000);
    const { counters } = rig.listener.audit;
    expect(counters.get('accepted'), again).toBe(wanted.length);
    for (const why of ['malformed', 'other_boot', 'replayed', 'forged'] as const) {
      expect(counters.get(why), `${again} ${why}`).toBeGreaterThan(COUNT / 100);
    }
    const done = ['questions', 'accepted', 'repeated', ...SYSRQ_REFUSALS] as const;
    const sum = done.reduce((total, name) => total + counters.get(name), 0);
    expect(sum, `${again}: every datagram is accounted for`).toBe(counters.get('received'));
    console.log(`sysrq attacks, seed ${SEED}: ${JSON.stringify({ made: attacker.made, counters: counters.toJSON() })}`);
  });
});
