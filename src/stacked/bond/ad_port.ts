/**
 * 802.3ad: what a bond, a slave's port and an aggregator know.
 *
 *     Bonding.ad = AdBondInfo          our system: priority, address; the aggregators' numbers; the waiting time at the start
 *     Slave.ad   = AdPort              actor (what we say of it), partner (what was heard), its five machines' states
 *                    .own              the aggregator that came with the port; ports of any slave may be in it
 *                    .aggregator       the one that this port is in
 *
 * The machines are functions over a port, one a file (ad_rx, ad_periodic, ad_mux, ad_tx, ad_churn), run for every port every
 * 100 ms by ad3StateMachineHandler (ad_3ad.ts). Which ports belong together, and which aggregator carries the traffic:
 * ad_port_selection.ts, ad_agg_selection.ts. All timers count ticks of 100 ms.
 */
import { Counters } from '../../base/counters.ts';
import { LACP_STATE_ACTIVITY, LACP_STATE_AGGREGATION, LACP_STATE_TIMEOUT, LacpParty } from '../../wire/lacp.ts';
import { AD_LACP_FAST, type BondParams, type Slave } from './bond.ts';

export const AD_TICK_NS = 100_000_000;
export const AD_TICKS_A_SECOND = 10;
const seconds = (n: number): number => n * AD_TICKS_A_SECOND;

/** Between two LACPDUs that nobody asked for. */
export const AD_FAST_PERIODIC_TICKS: number = seconds(1);
export const AD_SLOW_PERIODIC_TICKS: number = seconds(30);
/** Without a word from the partner, what it said is no longer believed. */
export const AD_SHORT_TIMEOUT_TICKS: number = seconds(3);
export const AD_LONG_TIMEOUT_TICKS: number = seconds(90);
/** An end that is not in sync after so long churns. */
export const AD_CHURN_TICKS: number = seconds(60);
/** A port waits for others that may want to join the same aggregator. */
export const AD_WAIT_WHILE_TICKS: number = seconds(2);
/** A new bond carries nothing until its ports had so long to find each other. */
export const AD_AGG_SELECTION_TICKS: number = seconds(8);
/** At most three LACPDUs a second leave a port. */
export const AD_TX_TICKS: number = Math.floor(AD_TICKS_A_SECOND / 3);

/** Bits of `port.vars`. */
export const AD_PORT_BEGIN = 0x1;
export const AD_PORT_LACP_ENABLED = 0x2;
/** The port has an aggregator that suits what it knows now. */
export const AD_PORT_SELECTED = 0x8;
export const AD_PORT_STANDBY = 0x10;
/** Every port of its aggregator has waited long enough; this port has. */
export const AD_PORT_READY = 0x20;
export const AD_PORT_READY_N = 0x40;
/** The partner says of us what we say. */
export const AD_PORT_MATCHED = 0x80;
/** The churn detection starts again. */
export const AD_PORT_CHURNED = 0x100;

/** Values of `port.rxState`. */
export const AD_RX_NONE = 0;
export const AD_RX_INITIALIZE = 1;
export const AD_RX_PORT_DISABLED = 2;
export const AD_RX_LACP_DISABLED = 3;
export const AD_RX_EXPIRED = 4;
export const AD_RX_DEFAULTED = 5;
export const AD_RX_CURRENT = 6;

/** Values of `port.periodicState`. */
export const AD_PERIODIC_NONE = 0;
export const AD_NO_PERIODIC = 1;
export const AD_FAST_PERIODIC = 2;
export const AD_SLOW_PERIODIC = 3;
export const AD_PERIODIC_TX = 4;

/** Values of `port.muxState`. COLLECTING and DISTRIBUTING only with independent control. */
export const AD_MUX_NONE = 0;
export const AD_MUX_DETACHED = 1;
export const AD_MUX_WAITING = 2;
export const AD_MUX_ATTACHED = 3;
export const AD_MUX_COLLECTING = 4;
export const AD_MUX_DISTRIBUTING = 5;
export const AD_MUX_COLLECTING_DISTRIBUTING = 6;

/** Values of the churn states, and their names in /proc/net/bonding. */
export const AD_CHURN_MONITOR = 0;
export const AD_CHURN = 1;
export const AD_NO_CHURN = 2;
export const AD_CHURN_NAMES = ['monitoring', 'churned', 'none'] as const;

/** Part of a port's key: bit 0 full duplex, 1 to 5 a code of the speed, the rest the user's. */
export const AD_DUPLEX_KEY_MASK = 0x1;

/** Slow frames of a port, and of all ports of a bond. (`struct bond_3ad_stats`) */
export const AD_STATS = [
  'lacpdu_rx',
  'lacpdu_tx',
  'lacpdu_unknown_rx',
  'lacpdu_illegal_rx',
  'marker_rx',
  'marker_tx',
  'marker_resp_rx',
  'marker_resp_tx',
  'marker_unknown_rx',
] as const;
export type AdStat = (typeof AD_STATS)[number];

/** What 802.3ad keeps for a bond. (`struct ad_bond_info`) */
export class AdBondInfo {
  /** Our system, as LACPDUs name it. */
  systemPriority = 0;
  readonly system = new Uint8Array(6);
  /** Number of the last aggregator. */
  aggregatorIdentifier = 0;
  /** Ticks until ports may collect and distribute. */
  aggSelectTimer = AD_AGG_SELECTION_TICKS;
  /** Who may carry traffic has changed: what transmit chooses from is built again. */
  arrayStale = false;
  readonly stats: Counters<AdStat> = new Counters(AD_STATS);
}

/** Ports that lead to the same system and may share traffic. (`struct aggregator`) */
export class Aggregator {
  readonly id: number;
  /** It has one port, which cannot share (half duplex). */
  isIndividual = false;
  actorKey = 0;
  partnerKey = 0;
  partnerSystemPriority = 0;
  /** All zero: nobody answers. */
  readonly partnerSystem = new Uint8Array(6);
  /** The one that carries the traffic. */
  isActive = false;
  /** Its ports, the last that joined first. */
  readonly ports: AdPort[] = [];

  constructor(id: number) {
    this.id = id;
  }
}

/** What 802.3ad keeps for a slave. (`struct port`, `struct ad_slave_info`) */
export class AdPort {
  readonly slave: Slave;
  readonly own: Aggregator;
  aggregator: Aggregator | null = null;
  /** What we say of the port. `actor.port` is its number, from 1 in the order of enslaving. */
  readonly actor = new LacpParty();
  /** What is assumed of a partner that says nothing, and what is believed of it now. */
  readonly partnerAdmin = new LacpParty();
  readonly partner = new LacpParty();
  /** The link is up. */
  isEnabled = true;
  vars = AD_PORT_BEGIN | AD_PORT_LACP_ENABLED;
  /** There is need to transmit. */
  ntt = false;
  rxState = AD_RX_NONE;
  rxTimer = 0;
  periodicState = AD_PERIODIC_NONE;
  periodicTimer = 0;
  muxState = AD_MUX_NONE;
  muxTimer = 0;
  txTimer = AD_TX_TICKS;
  churnActorState = AD_CHURN_MONITOR;
  churnActorTimer = 0;
  churnActorCount = 0;
  churnPartnerState = AD_CHURN_MONITOR;
  churnPartnerTimer = 0;
  churnPartnerCount = 0;
  readonly stats: Counters<AdStat> = new Counters(AD_STATS);

  /** A port that begins; its own aggregator has the number `id`. (`ad_initialize_port`, `ad_initialize_agg`) */
  constructor(slave: Slave, number: number, id: number, params: BondParams) {
    this.slave = slave;
    this.own = new Aggregator(id);
    this.actor.port = number;
    this.actor.portPriority = slave.portPriority;
    this.actor.state = LACP_STATE_AGGREGATION;
    if (params.lacpActive) this.actor.state |= LACP_STATE_ACTIVITY;
    if (params.lacpRate === AD_LACP_FAST) this.actor.state |= LACP_STATE_TIMEOUT;
    this.partnerAdmin.systemPriority = 0xffff;
    this.partnerAdmin.key = 1;
    this.partnerAdmin.port = 1;
    this.partnerAdmin.portPriority = 0xff;
    this.partner.copyFrom(this.partnerAdmin);
  }
}

/** 802.3ad of the port's bond; there is one as long as there are ports. */
export function adOf(port: AdPort): AdBondInfo {
  return port.slave.bond.ad!;
}

/** The ports of a bond's slaves, in the order of enslaving. */
export function adPorts(port: AdPort): AdPort[] {
  const ports: AdPort[] = [];
  for (const { ad } of port.slave.bond.slaves) if (ad !== null) ports.push(ad);
  return ports;
}

/** The aggregator that carries the bond's traffic. (`__get_active_agg`) */
export function activeAggregator(port: AdPort): Aggregator | null {
  for (const { own } of adPorts(port)) if (own.isActive) return own;
  return null;
}

/** Ports whose link is up. (`__agg_active_ports`) */
export function activePorts(aggregator: Aggregator): number {
  let count = 0;
  for (const port of aggregator.ports) if (port.isEnabled) count++;
  return count;
}

/** Somebody answers. (`__agg_has_partner`) */
export function hasPartner(aggregator: Aggregator): boolean {
  return aggregator.partnerSystem.some((byte) => byte !== 0);
}

export function sameMac(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 6; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The aggregator has nobody any more. (`ad_clear_agg`) */
export function clearAggregator(aggregator: Aggregator): void {
  aggregator.isIndividual = false;
  aggregator.actorKey = 0;
  aggregator.partnerKey = 0;
  aggregator.partnerSystemPriority = 0;
  aggregator.partnerSystem.fill(0);
  aggregator.isActive = false;
  aggregator.ports.length = 0;
}
