import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { World } from '../../sim/world.ts';
import {
  LACP_STATE_ACTIVITY,
  LACP_STATE_AGGREGATION,
  LACP_STATE_DEFAULTED,
  LACP_STATE_EXPIRED,
  LACP_STATE_SYNCHRONIZATION,
  LACP_STATE_TIMEOUT,
  Lacpdu,
} from '../../wire/lacp.ts';
import {
  AD_LONG_TIMEOUT_TICKS,
  AD_PORT_BEGIN,
  AD_PORT_CHURNED,
  AD_PORT_MATCHED,
  AD_PORT_SELECTED,
  AD_RX_CURRENT,
  AD_RX_DEFAULTED,
  AD_RX_EXPIRED,
  AD_RX_LACP_DISABLED,
  AD_RX_PORT_DISABLED,
  AD_SHORT_TIMEOUT_TICKS,
  type AdPort,
} from './ad_port.ts';
import { AdRig, type AdRigOptions } from './ad_rig.fixture.ts';
import { adRxMachine } from './ad_rx.ts';
import { AD_LACP_FAST, DUPLEX_HALF } from './bond.ts';

function newPort(options: AdRigOptions = {}): AdPort {
  return new AdRig(new World({ seed: 1 }), { slaves: 1, ...options }).port(0);
}

/** Ticks of this machine alone; the second one is the first without BEGIN. */
function ticks(port: AdPort, count: number): void {
  for (let i = 0; i < count; i++) {
    adRxMachine(port, null);
    port.vars &= ~AD_PORT_BEGIN;
  }
}

/** What a partner says who knows us, or does not. */
function pdu(port: AdPort, state = LACP_STATE_ACTIVITY | LACP_STATE_AGGREGATION, knowsUs = true): Lacpdu {
  const made = new Lacpdu();
  made.actor.system.set([2, 0, 0, 0, 0xbb, 0]);
  made.actor.systemPriority = 100;
  made.actor.key = 9;
  made.actor.port = 7;
  made.actor.portPriority = 255;
  made.actor.state = state;
  if (knowsUs) made.partner.copyFrom(port.actor);
  return made;
}

describe('the receive machine', () => {
  it('begins, waits for the partner for 3 s, assumes the defaults', () => {
    const port = newPort();
    ticks(port, 1);
    expect([port.rxState, port.vars & AD_PORT_CHURNED]).toEqual([AD_RX_PORT_DISABLED, AD_PORT_CHURNED]);
    ticks(port, 1);
    expect([port.rxState, port.rxTimer]).toEqual([AD_RX_EXPIRED, AD_SHORT_TIMEOUT_TICKS]);
    expect(port.actor.state & LACP_STATE_EXPIRED).toBe(LACP_STATE_EXPIRED);
    expect(port.partner.state).toBe(LACP_STATE_TIMEOUT);
    ticks(port, AD_SHORT_TIMEOUT_TICKS - 1);
    expect(port.rxState).toBe(AD_RX_EXPIRED);
    ticks(port, 1);
    expect(port.rxState).toBe(AD_RX_DEFAULTED);
    expect(port.actor.state & (LACP_STATE_EXPIRED | LACP_STATE_DEFAULTED)).toBe(LACP_STATE_DEFAULTED);
    expect([port.partner.state, port.vars & AD_PORT_MATCHED]).toEqual([0, AD_PORT_MATCHED]);
  });

  it.each([
    ['90 s', 0, AD_LONG_TIMEOUT_TICKS],
    ['3 s where it asked for haste', AD_LACP_FAST, AD_SHORT_TIMEOUT_TICKS],
  ])('believes a LACPDU for %s', (_how, lacpRate, timeout) => {
    const port = newPort({ lacpRate });
    ticks(port, 2);
    expect(adRxMachine(port, pdu(port))).toBe(true);
    expect([port.rxState, port.partner.port, port.partner.key]).toEqual([AD_RX_CURRENT, 7, 9]);
    ticks(port, timeout - 1);
    expect(port.rxState).toBe(AD_RX_CURRENT);
    ticks(port, 1);
    expect(port.rxState).toBe(AD_RX_EXPIRED);
    adRxMachine(port, pdu(port));
    expect([port.rxState, port.actor.state & LACP_STATE_EXPIRED]).toEqual([AD_RX_CURRENT, 0]);
  });

  it('takes the partner to be in sync only if it speaks of us, or stands alone', () => {
    const sync = LACP_STATE_AGGREGATION | LACP_STATE_SYNCHRONIZATION;
    const port = newPort();
    ticks(port, 2);
    adRxMachine(port, pdu(port, sync, false));
    expect(port.partner.state).toBe(LACP_STATE_AGGREGATION);
    adRxMachine(port, pdu(port, sync));
    expect(port.partner.state).toBe(sync);
    adRxMachine(port, pdu(port, LACP_STATE_SYNCHRONIZATION, false));
    expect(port.partner.state).toBe(LACP_STATE_SYNCHRONIZATION);
  });

  it('answers a partner that has a wrong idea of us, and only that', () => {
    const port = newPort();
    ticks(port, 2);
    adRxMachine(port, pdu(port, 5, false));
    expect(port.ntt).toBe(true);
    // A LACPDU ends EXPIRED, and the partner learns that in time: it need not be told at once.
    port.ntt = false;
    adRxMachine(port, pdu(port));
    expect(port.ntt).toBe(false);
    const slow = pdu(port);
    slow.partner.state ^= LACP_STATE_TIMEOUT;
    adRxMachine(port, slow);
    expect(port.ntt).toBe(true);
  });

  it.each(['key', 'port', 'portPriority', 'systemPriority'] as const)(
    'selects anew when its %s is another',
    (field) => {
      const port = newPort();
      ticks(port, 2);
      adRxMachine(port, pdu(port));
      port.vars |= AD_PORT_SELECTED;
      adRxMachine(port, pdu(port));
      expect(port.vars & AD_PORT_SELECTED).toBe(AD_PORT_SELECTED);
      const other = pdu(port);
      other.actor[field]++;
      adRxMachine(port, other);
      expect(port.vars & AD_PORT_SELECTED).toBe(0);
    },
  );

  it('is switched off by a half-duplex link', () => {
    const port = newPort({ duplex: DUPLEX_HALF });
    ticks(port, 2);
    expect(port.rxState).toBe(AD_RX_LACP_DISABLED);
    expect(port.partner.state & LACP_STATE_AGGREGATION).toBe(0);
  });

  it('disables the port while its link is down, whatever comes in', () => {
    const port = newPort();
    ticks(port, 2);
    adRxMachine(port, pdu(port));
    port.isEnabled = false;
    adRxMachine(port, pdu(port));
    expect([port.rxState, port.vars & AD_PORT_MATCHED]).toEqual([AD_RX_PORT_DISABLED, 0]);
    port.isEnabled = true;
    ticks(port, 1);
    expect(port.rxState).toBe(AD_RX_EXPIRED);
  });

  it('believes nothing of a LACPDU with its own system in it', () => {
    const port = newPort();
    ticks(port, 2);
    const own = pdu(port);
    own.actor.system.set(port.actor.system);
    expect(adRxMachine(port, own)).toBe(false);
    expect(port.partner.system).toEqual(new Uint8Array(6));
  });

  it('keeps its promises whatever happens', () => {
    const event = fc.oneof(
      fc.record({ kind: fc.constant('ticks' as const), count: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ kind: fc.constant('pdu' as const), state: fc.nat(255), knowsUs: fc.boolean() }),
      fc.record({ kind: fc.constant('link' as const), up: fc.boolean() }),
      fc.record({ kind: fc.constant('begin' as const) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.nat(1), (events, lacpRate) => {
        const port = newPort({ lacpRate });
        for (const each of events) {
          if (each.kind === 'ticks') ticks(port, each.count);
          else if (each.kind === 'pdu') adRxMachine(port, pdu(port, each.state, each.knowsUs));
          else if (each.kind === 'link') port.isEnabled = each.up;
          else port.vars |= AD_PORT_BEGIN;
          if (each.kind === 'link' || each.kind === 'begin') adRxMachine(port, null);
          check(port);
        }
      }),
    );
  });
});

function check(port: AdPort): void {
  const { rxState, actor, partner, vars } = port;
  const bit = (state: number, mask: number) => (state & mask) !== 0;
  expect(rxState).toBeGreaterThanOrEqual(AD_RX_PORT_DISABLED);
  if (!port.isEnabled) expect(rxState).toBe(AD_RX_PORT_DISABLED);
  if (rxState === AD_RX_EXPIRED) expect(bit(actor.state, LACP_STATE_EXPIRED)).toBe(true);
  if (rxState === AD_RX_CURRENT) expect(bit(actor.state, LACP_STATE_EXPIRED | LACP_STATE_DEFAULTED)).toBe(false);
  if (rxState === AD_RX_DEFAULTED) expect(bit(actor.state, LACP_STATE_DEFAULTED)).toBe(true);
  if (bit(partner.state, LACP_STATE_SYNCHRONIZATION)) expect(bit(vars, AD_PORT_MATCHED)).toBe(true);
  expect(port.rxTimer).toBeLessThanOrEqual(AD_LONG_TIMEOUT_TICKS);
  if (rxState === AD_RX_EXPIRED || rxState === AD_RX_CURRENT) expect(port.rxTimer).toBeGreaterThan(0);
}
