/**
 * The receive machine: what a port believes of its partner (IEEE 802.1AX 6.4.12; `ad_rx_machine`).
 *
 *                begin            link down
 *                  v                  v                     link up
 *            INITIALIZE ------> PORT_DISABLED ----------------------------+---------------------> LACP_DISABLED
 *                                                                         | LACP on                  LACP off (half duplex)
 *                      LACPDU                   LACPDU                    v
 *            CURRENT <--------- DEFAULTED <--------- EXPIRED <------------+
 *               |   ^                       3 s         |  ^
 *               |   +-----------------------------------+  |
 *               +------------------------------------------+
 *                 3 or 90 s without a LACPDU
 *
 * It runs at once when a LACPDU comes in, and in every tick.
 */
import {
  LACP_STATE_ACTIVITY,
  LACP_STATE_AGGREGATION,
  LACP_STATE_DEFAULTED,
  LACP_STATE_EXPIRED,
  LACP_STATE_SYNCHRONIZATION,
  LACP_STATE_TIMEOUT,
  type Lacpdu,
  type LacpParty,
} from '../../wire/lacp.ts';
import {
  AD_DUPLEX_KEY_MASK,
  AD_LONG_TIMEOUT_TICKS,
  AD_PORT_BEGIN,
  AD_PORT_CHURNED,
  AD_PORT_LACP_ENABLED,
  AD_PORT_MATCHED,
  AD_PORT_SELECTED,
  AD_RX_CURRENT,
  AD_RX_DEFAULTED,
  AD_RX_EXPIRED,
  AD_RX_INITIALIZE,
  AD_RX_LACP_DISABLED,
  AD_RX_PORT_DISABLED,
  AD_SHORT_TIMEOUT_TICKS,
  type AdPort,
  sameMac,
} from './ad_port.ts';

/** One step; `pdu` is what came in, null in a tick. False: the LACPDU is our own, the link leads back to us. */
export function adRxMachine(port: AdPort, pdu: Lacpdu | null): boolean {
  const last = port.rxState;
  port.rxState = nextState(port, pdu !== null);
  if (port.rxState === last && pdu === null) return true;
  switch (port.rxState) {
    case AD_RX_INITIALIZE:
      // Only a full-duplex port takes part in LACP.
      if ((port.actor.key & AD_DUPLEX_KEY_MASK) === 0) port.vars &= ~AD_PORT_LACP_ENABLED;
      else port.vars |= AD_PORT_LACP_ENABLED;
      port.vars &= ~AD_PORT_SELECTED;
      recordDefault(port);
      port.actor.state &= ~LACP_STATE_EXPIRED;
      port.rxState = AD_RX_PORT_DISABLED;
      forgetMatch(port);
      return true;
    case AD_RX_PORT_DISABLED:
      forgetMatch(port);
      return true;
    case AD_RX_LACP_DISABLED:
      port.vars &= ~AD_PORT_SELECTED;
      recordDefault(port);
      port.partner.state &= ~LACP_STATE_AGGREGATION;
      port.vars |= AD_PORT_MATCHED;
      port.actor.state &= ~LACP_STATE_EXPIRED;
      return true;
    case AD_RX_EXPIRED:
      // The partner is asked to speak up: it is assumed to listen every second.
      forgetMatch(port);
      port.partner.state |= LACP_STATE_TIMEOUT;
      port.rxTimer = AD_SHORT_TIMEOUT_TICKS;
      port.actor.state |= LACP_STATE_EXPIRED;
      port.vars |= AD_PORT_CHURNED;
      return true;
    case AD_RX_DEFAULTED:
      if (differs(port.partnerAdmin, port.partner)) port.vars &= ~AD_PORT_SELECTED;
      recordDefault(port);
      port.vars |= AD_PORT_MATCHED;
      port.actor.state &= ~LACP_STATE_EXPIRED;
      return true;
    case AD_RX_CURRENT:
      return pdu === null || takeIn(port, pdu);
    default:
      return true;
  }
}

function nextState(port: AdPort, heard: boolean): number {
  const state = port.rxState;
  if ((port.vars & AD_PORT_BEGIN) !== 0) {
    port.vars |= AD_PORT_CHURNED;
    return AD_RX_INITIALIZE;
  }
  if (!port.isEnabled) return AD_RX_PORT_DISABLED;
  if (heard && (state === AD_RX_EXPIRED || state === AD_RX_DEFAULTED || state === AD_RX_CURRENT)) {
    if (state !== AD_RX_CURRENT) port.vars |= AD_PORT_CHURNED;
    port.rxTimer = 0;
    return AD_RX_CURRENT;
  }
  if (port.rxTimer > 0 && --port.rxTimer === 0) {
    if (state === AD_RX_EXPIRED) return AD_RX_DEFAULTED;
    return state === AD_RX_CURRENT ? AD_RX_EXPIRED : state;
  }
  if (state !== AD_RX_PORT_DISABLED) return state;
  return (port.vars & AD_PORT_LACP_ENABLED) !== 0 ? AD_RX_EXPIRED : AD_RX_LACP_DISABLED;
}

/** A LACPDU of the partner. False: it has our own system's address, and nothing of it is believed. */
function takeIn(port: AdPort, pdu: Lacpdu): boolean {
  if (sameMac(pdu.actor.system, port.actor.system)) return false;
  if (differs(pdu.actor, port.partner)) port.vars &= ~AD_PORT_SELECTED;
  if (wantsAnswer(port.actor, pdu.partner)) port.ntt = true;
  recordPdu(port, pdu);
  const short = (port.actor.state & LACP_STATE_TIMEOUT) !== 0;
  port.rxTimer = short ? AD_SHORT_TIMEOUT_TICKS : AD_LONG_TIMEOUT_TICKS;
  port.actor.state &= ~LACP_STATE_EXPIRED;
  return true;
}

/** They name different ports, or one may share its traffic and the other not. (`__update_selected`, `__update_default_selected`) */
function differs(a: LacpParty, b: LacpParty): boolean {
  return !samePort(a, b) || ((a.state ^ b.state) & LACP_STATE_AGGREGATION) !== 0;
}

function samePort(a: LacpParty, b: LacpParty): boolean {
  return (
    a.port === b.port &&
    a.portPriority === b.portPriority &&
    sameMac(a.system, b.system) &&
    a.systemPriority === b.systemPriority &&
    a.key === b.key
  );
}

/** The partner does not know what we are now, so it is told. (`__update_ntt`) */
function wantsAnswer(actor: LacpParty, believed: LacpParty): boolean {
  const bits = LACP_STATE_ACTIVITY | LACP_STATE_TIMEOUT | LACP_STATE_SYNCHRONIZATION | LACP_STATE_AGGREGATION;
  return !samePort(actor, believed) || ((actor.state ^ believed.state) & bits) !== 0;
}

/** (`__record_pdu`, `__choose_matched`) */
function recordPdu(port: AdPort, pdu: Lacpdu): void {
  const alone = (pdu.actor.state & LACP_STATE_AGGREGATION) === 0;
  if (alone || !differs(pdu.partner, port.actor)) port.vars |= AD_PORT_MATCHED;
  else port.vars &= ~AD_PORT_MATCHED;
  port.partner.copyFrom(pdu.actor);
  port.actor.state &= ~LACP_STATE_DEFAULTED;
  // Its being in sync is about us only if it speaks of us.
  if ((port.vars & AD_PORT_MATCHED) === 0) port.partner.state &= ~LACP_STATE_SYNCHRONIZATION;
}

/** (`__record_default`) */
function recordDefault(port: AdPort): void {
  port.partner.copyFrom(port.partnerAdmin);
  port.actor.state |= LACP_STATE_DEFAULTED;
}

function forgetMatch(port: AdPort): void {
  port.vars &= ~AD_PORT_MATCHED;
  port.partner.state &= ~LACP_STATE_SYNCHRONIZATION;
}
