/**
 * IEEE 802.3ad (LACP): two systems agree which of the links between them carry traffic together. The rest of the bond calls
 * in here, and in ad_recv.ts and ad_unbind.ts.
 *
 *     LACPDU ------> receive
 *                       |  what the partner says                      every 100 ms, for each port in the order of slaves:
 *                       v
 *                    selection --> which aggregator, which is active     receive, periodic, selection, mux, transmit, churn
 *                       v
 *                    mux -------> may this slave carry traffic?
 *                       v
 *     LACPDU <------ transmit <-- periodic
 *
 * Only the tick sends LACPDUs, and only the tick and link changes select. So what one port learns is acted on in the order of
 * slaves, and a run with the same events is the same run.
 */
import { netifRunning } from '../../device/net_device.ts';
import { LACP_STATE_ACTIVITY, LACP_STATE_TIMEOUT } from '../../wire/lacp.ts';
import { adAggSelection } from './ad_agg_selection.ts';
import { ad3SetCarrier } from './ad_carrier.ts';
import { adChurnMachine } from './ad_churn.ts';
import { adDisablePort } from './ad_enable.ts';
import { adUpdateActorKeys } from './ad_keys.ts';
import { adMuxMachine } from './ad_mux.ts';
import { adPeriodicMachine } from './ad_periodic.ts';
import { AD_AGG_SELECTION_TICKS, AD_PORT_BEGIN, AdBondInfo, AdPort, adOf } from './ad_port.ts';
import { adPortSelection } from './ad_port_selection.ts';
import { adRxMachine } from './ad_rx.ts';
import { adTxMachine } from './ad_tx.ts';
import { AD_LACP_FAST, type Bonding, type Slave } from './bond.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';

/** The bond gets its first slave: our system is known from here on. (`bond_3ad_initialize`) */
export function ad3Initialize(bond: Bonding): void {
  bond.ad = new AdBondInfo();
  nameSystem(bond);
}

/** The slave gets a port and an aggregator. It is in the bond's list, the last one. (`bond_3ad_bind_slave`) */
export function ad3BindSlave(slave: Slave): void {
  const { bond } = slave;
  const ad = bond.ad;
  if (ad === null || slave.ad !== null) return;
  let number = 1;
  for (const other of bond.slaves) if (other.ad !== null) number = other.ad.actor.port + 1;
  const port = new AdPort(slave, number, ++ad.aggregatorIdentifier, bond.params);
  slave.ad = port;
  port.actor.system.set(ad.system);
  port.actor.systemPriority = ad.systemPriority;
  adUpdateActorKeys(port, false);
  adDisablePort(port);
}

/** Ports may not carry traffic for another 8 s: others that belong to them may still come. (`bond_3ad_initiate_agg_selection`) */
export function ad3InitiateAggSelection(bond: Bonding, ticks: number = AD_AGG_SELECTION_TICKS): void {
  if (bond.ad !== null) bond.ad.aggSelectTimer = ticks;
}

/** One tick, of 100 ms. Bound: the slaves. (`bond_3ad_state_machine_handler`) */
export function ad3StateMachineHandler(bond: Bonding): void {
  const { ad, slaves } = bond;
  if (ad === null || slaves.length === 0) return;
  if (ad.aggSelectTimer > 0 && --ad.aggSelectTimer === 0) {
    const first = slaves[0]!.ad;
    if (first !== null) adAggSelection(first);
    ad3SetCarrier(bond);
  }
  for (let i = 0; i < slaves.length; i++) {
    const port = slaves[i]!.ad;
    if (port === null) continue;
    adRxMachine(port, null);
    adPeriodicMachine(port);
    adPortSelection(port);
    adMuxMachine(port);
    adTxMachine(port);
    adChurnMachine(port);
    port.vars &= ~AD_PORT_BEGIN;
  }
  updateArray(bond);
}

/** The slave's link came or went: `slave.link` says so already. (`bond_3ad_handle_link_change`) */
export function ad3HandleLinkChange(slave: Slave, up: boolean): void {
  const port = slave.ad;
  if (port === null) return;
  port.isEnabled = up;
  adUpdateActorKeys(port, !up);
  adAggSelection(port);
  adOf(port).arrayStale = true;
  updateArray(slave.bond);
}

/** The slave's speed or duplex is another. (`bond_3ad_adapter_speed_duplex_changed`) */
export function ad3AdapterSpeedDuplexChanged(slave: Slave): void {
  if (slave.ad !== null) adUpdateActorKeys(slave.ad, false);
}

/** lacp_rate was set: how often the partners have to speak. (`bond_3ad_update_lacp_rate`) */
export function ad3UpdateLacpRate(bond: Bonding): void {
  setActorState(bond, LACP_STATE_TIMEOUT, bond.params.lacpRate === AD_LACP_FAST);
}

/** lacp_active was set: do we speak unasked? (`bond_3ad_update_lacp_active`) */
export function ad3UpdateLacpActive(bond: Bonding): void {
  setActorState(bond, LACP_STATE_ACTIVITY, bond.params.lacpActive);
}

/** ad_actor_sys_prio, ad_actor_system or the bond's address was set; every partner is told. (`bond_3ad_update_ad_actor_settings`) */
export function ad3UpdateAdActorSettings(bond: Bonding): void {
  const { ad } = bond;
  if (ad === null) return;
  nameSystem(bond);
  for (const { ad: port } of bond.slaves) {
    if (port === null) continue;
    port.actor.system.set(ad.system);
    port.actor.systemPriority = ad.systemPriority;
    port.ntt = true;
  }
}

/** ad_user_port_key was set, which takes a bond that is down: the keys of ports that have a link hold it. */
export function ad3UpdateUserPortKey(bond: Bonding): void {
  for (const { ad: port } of bond.slaves) if (port !== null) adUpdateActorKeys(port, !port.isEnabled);
}

/** actor_port_prio of a slave was set: it is told, and with ad_select actor_port_prio another aggregator may be better. */
export function ad3UpdatePortPriority(slave: Slave): void {
  const port = slave.ad;
  if (port === null) return;
  port.actor.portPriority = slave.portPriority;
  port.ntt = true;
  if (!netifRunning(slave.bond.dev)) return;
  adAggSelection(port);
  updateArray(slave.bond);
}

function nameSystem(bond: Bonding): void {
  const { params, dev } = bond;
  const ad = bond.ad!;
  ad.systemPriority = params.adActorSysPrio;
  ad.system.set(params.adActorSystem.some((byte) => byte !== 0) ? params.adActorSystem : dev.devAddr);
}

function setActorState(bond: Bonding, bit: number, on: boolean): void {
  for (const { ad: port } of bond.slaves) {
    if (port === null) continue;
    if (on) port.actor.state |= bit;
    else port.actor.state &= ~bit;
  }
}

function updateArray(bond: Bonding): void {
  if (!bond.ad!.arrayStale) return;
  bond.ad!.arrayStale = false;
  bondUpdateSlaveArr(bond);
}
