/**
 * Whatever happens to links and LACPDUs: once it is over, both ends agree within the timers' bound. 500 worlds, each with its
 * own number of links, rates, losses and events; a failure names its seed (and NETPOLL_SEED=n runs that one).
 *
 *     a: slave i  ==link i==  b: slave i      an event cuts or mends a link at one end, or at both; takes a slave out and in
 *                                             again; LACPDUs get lost, and arrive late and twice
 */
import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import { ad3BindSlave, ad3StateMachineHandler } from './ad_3ad.ts';
import { AD_RX_CURRENT, AD_TICK_NS, sameMac } from './ad_port.ts';
import { AdRig, type AdRigOptions, type Sent } from './ad_rig.fixture.ts';
import { ad3UnbindSlave } from './ad_unbind.ts';
import { AD_LACP_FAST, AD_LACP_SLOW, BOND_AD_BANDWIDTH, BOND_AD_COUNT, BOND_AD_STABLE, BOND_LINK_UP } from './bond.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';

const SEEDS = 500;
/**
 * What was believed of the partner is forgotten (3 s, 90 if it may be slow), then what is assumed of it (3 s); a port that has
 * heard nobody speaks every 30 s; two seconds of waiting; and the limiter of 0.3 s thrice.
 */
const FAST_BOUND_S = 3 + 3 + 30 + 2 + 1;
const SLOW_BOUND_S = 90 + 3 + 30 + 2 + 1;

class Chaos {
  readonly world: World;
  readonly ends: readonly [AdRig, AdRig];
  readonly links: number;
  readonly slow: boolean;
  #loss: number;
  readonly #late: number;

  constructor(seed: number) {
    this.world = new World({ seed });
    const { prng } = this.world;
    this.links = 1 + prng.below(4);
    this.#loss = prng.below(60) / 100;
    this.#late = prng.below(80) * 1e6;
    const rates = [prng.below(2), prng.below(2)];
    this.slow = rates.includes(AD_LACP_SLOW);
    const adSelect = [BOND_AD_STABLE, BOND_AD_BANDWIDTH, BOND_AD_COUNT][prng.below(3)]!;
    const passive = prng.below(4);
    const end = (which: number): AdRig => {
      const options: AdRigOptions = {
        mac: [2, 0, 0, 0, 0xaa + which, 0],
        slaves: this.links,
        lacpRate: rates[which]! === AD_LACP_FAST ? AD_LACP_FAST : AD_LACP_SLOW,
        lacpActive: passive !== which,
        coupledControl: prng.below(2) === 0,
        adSelect,
      };
      return new AdRig(this.world, options);
    };
    this.ends = [end(0), end(1)];
    for (const [i, from] of this.ends.entries()) from.onSend = (sent) => this.#carry(this.ends[1 - i]!, from, sent);
  }

  up(link: number): boolean {
    return this.ends.every((end) => end.bond.slaves[link]!.link === BOND_LINK_UP);
  }

  /** Ticks of both ends, at different times. */
  run(seconds: number): void {
    for (let i = 0; i < seconds * 10; i++) {
      for (const end of this.ends) {
        ad3StateMachineHandler(end.bond);
        this.world.runFor(AD_TICK_NS / 2);
      }
    }
  }

  rage(): void {
    const { prng } = this.world;
    for (let event = 3 + prng.below(10); event > 0; event--) {
      this.#event(prng.below(this.links));
      this.run(prng.below(prng.below(2) === 0 ? 3 : 25));
    }
    this.#loss = 0;
  }

  #event(link: number): void {
    const { prng } = this.world;
    const end = this.ends[prng.below(2)]!;
    const kind = prng.below(5);
    if (kind === 0) for (const each of this.ends) each.setLink(link, false);
    else if (kind === 1) for (const each of this.ends) each.setLink(link, true);
    else if (kind === 2) end.setLink(link, prng.below(2) === 0);
    else if (kind === 3) this.#loss = prng.below(100) / 100;
    else this.#renew(end, link);
  }

  /** Released and enslaved again: a new port, with the next number. */
  #renew(end: AdRig, link: number): void {
    const slave = end.bond.slaves[link]!;
    const last = Math.max(...end.bond.slaves.map(({ ad }) => ad!.actor.port));
    ad3UnbindSlave(slave);
    ad3BindSlave(slave);
    slave.ad!.actor.port = last + 1;
    slave.ad!.isEnabled = slave.link === BOND_LINK_UP;
    bondUpdateSlaveArr(end.bond);
  }

  #carry(to: AdRig, from: AdRig, { slave, bytes }: Sent): void {
    const { prng } = this.world;
    if (from.bond.slaves[slave]!.link !== BOND_LINK_UP || prng.chance(this.#loss)) return;
    for (let copies = prng.chance(0.05) ? 2 : 1; copies > 0; copies--) {
      this.world.after(prng.below(this.#late + 1), () => {
        if (to.bond.slaves[slave]!.link === BOND_LINK_UP) to.hear(slave, bytes);
      });
    }
  }
}

/** Why the ends do not agree; '' if they do. */
function disagreement({ ends, links, up }: Chaos, isUp: (link: number) => boolean = up): string {
  const whole = Array.from({ length: links }, (_, link) => link).filter(isUp);
  for (const [i, end] of ends.entries()) {
    const other = ends[1 - i]!;
    for (const link of whole) {
      const port = end.bond.slaves[link]!.ad!;
      const theirs = other.bond.slaves[link]!.ad!;
      const at = `end ${i}, link ${link}: `;
      if (port.rxState !== AD_RX_CURRENT) return `${at}receive machine in state ${port.rxState}`;
      if (!sameMac(port.partner.system, theirs.actor.system)) return `${at}wrong partner`;
      if (port.partner.port !== theirs.actor.port || port.partner.key !== theirs.actor.key) return `${at}wrong port`;
      if (port.partner.state !== theirs.actor.state) return `${at}${port.partner.state} is ${theirs.actor.state}`;
    }
    if (whole.length === 0) continue;
    const usable = end.bond.usableSlaves.map((slave) => end.bond.slaves.indexOf(slave));
    if (usable.join() !== whole.join()) return `end ${i} uses ${usable} of ${whole}`;
    if (new Set(usable.map((link) => end.bond.slaves[link]!.ad!.aggregator)).size !== 1) return `end ${i}: aggregators`;
  }
  return '';
}

describe('two ends', () => {
  it(`agree again after link events, losses and renewals, in ${SEEDS} worlds`, () => {
    const only = process.env.NETPOLL_SEED;
    const seeds = only === undefined ? Array.from({ length: SEEDS }, (_, i) => i + 1) : [Number(only)];
    let agreed = 0;
    for (const seed of seeds) {
      const chaos = new Chaos(seed);
      chaos.rage();
      chaos.run(chaos.slow ? SLOW_BOUND_S : FAST_BOUND_S);
      expect(
        disagreement(chaos, (link) => chaos.up(link)),
        `seed ${seed}`,
      ).toBe('');
      agreed++;
    }
    expect(agreed).toBe(seeds.length);
  }, 120_000);
});
