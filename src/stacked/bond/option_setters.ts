/**
 * Options that are numbers, and what else happens when one changes. The value has been checked (options.ts). 0, or a negative
 * errno.
 *
 *     miimon, arp_interval     exclude each other; updelay, downdelay and peer_notif_delay are multiples of miimon
 *     mode                     802.3ad, balance-tlb and -alb need miimon
 */
import { Errno } from '../../base/status.ts';
import { IFF_UP } from '../../device/net_device.ts';
import { Loglevel } from '../../machine/printk.ts';
import { ad3UpdateAdActorSettings, ad3UpdateLacpActive, ad3UpdateLacpRate, ad3UpdateUserPortKey } from './ad_3ad.ts';
import { bondArpRcv } from './arp_monitor.ts';
import {
  BOND_ARP_VALIDATE_NONE,
  BOND_MODE_ALB,
  type Bonding,
  type BondParams,
  bondIsActiveSlave,
  bondModeUsesArp,
} from './bond.ts';
import { bondSetCarrier } from './carrier.ts';
import { bondArmArpMonitor, bondArmMiiMonitor } from './monitors.ts';
import { bondOptName } from './option_table.ts';
import { bondSelectActiveSlave } from './select_active.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';
import { bondPrintk } from './slave_state.ts';

type Setter = (bond: Bonding, value: number) => number;
type NumberField = { [K in keyof BondParams]: BondParams[K] extends number ? K : never }[keyof BondParams];
type SwitchField = { [K in keyof BondParams]: BondParams[K] extends boolean ? K : never }[keyof BondParams];

export const BOND_MIIMON_DEFAULT_MS = 100;

/** Just stored; `after` makes it so. */
function number(field: NumberField, after: (bond: Bonding) => void = () => {}): Setter {
  return (bond, value) => {
    bond.params[field] = value;
    after(bond);
    return 0;
  };
}

function onOff(field: SwitchField, after: (bond: Bonding) => void = () => {}): Setter {
  return (bond, value) => {
    bond.params[field] = value !== 0;
    after(bond);
    return 0;
  };
}

function reselect(bond: Bonding): void {
  bond.blockNetpollTx++;
  bondSelectActiveSlave(bond);
  bond.blockNetpollTx--;
}

/** (`bond_option_mode_set`) */
function setMode(bond: Bonding, mode: number): number {
  const { params } = bond;
  if (!bondModeUsesArp(mode)) {
    if (params.arpInterval > 0) {
      const name = bondOptName('mode', mode);
      bondPrintk(bond, Loglevel.DEBUG, `${name} mode is incompatible with arp monitoring, start mii monitoring`);
      params.arpInterval = 0;
    }
    if (params.miimon === 0) params.miimon = BOND_MIIMON_DEFAULT_MS;
  }
  if (mode === BOND_MODE_ALB) params.tlbDynamicLb = true;
  params.arpValidate = BOND_ARP_VALIDATE_NONE;
  params.mode = mode;
  return 0;
}

/** (`bond_option_miimon_set`) */
function setMiimon(bond: Bonding, ms: number): number {
  const { params, dev } = bond;
  params.miimon = ms;
  if (ms > 0 && params.arpInterval > 0) {
    const why = 'MII monitoring cannot be used with ARP monitoring - disabling ARP monitoring...';
    bondPrintk(bond, Loglevel.DEBUG, why);
    params.arpInterval = 0;
    params.arpValidate = BOND_ARP_VALIDATE_NONE;
  }
  if ((dev.flags & IFF_UP) === 0) return 0;
  bond.miiWork?.cancel();
  if (ms > 0) {
    bond.arpWork?.cancel();
    bondArmMiiMonitor(bond, 0);
  }
  return 0;
}

/** (`bond_option_arp_interval_set`) */
function setArpInterval(bond: Bonding, ms: number): number {
  const { params, dev } = bond;
  params.arpInterval = ms;
  if (ms > 0 && params.miimon > 0) {
    const why = 'ARP monitoring cannot be used with MII monitoring. Disabling MII monitoring';
    bondPrintk(bond, Loglevel.DEBUG, why);
    params.miimon = 0;
  }
  if (ms > 0 && params.arpTargets.length === 0 && params.nsTargets.length === 0) {
    const why = 'ARP monitoring has been set up, but no ARP targets have been specified';
    bondPrintk(bond, Loglevel.DEBUG, why);
  }
  if ((dev.flags & IFF_UP) === 0) return 0;
  bond.arpWork?.cancel();
  if (ms === 0) {
    bond.recvProbe = null;
    return 0;
  }
  bond.recvProbe = bondArpRcv;
  bond.miiWork?.cancel();
  bondArmArpMonitor(bond, 0);
  return 0;
}

/** In ticks of miimon, rounded down. (`_bond_option_delay_set`) */
function delay(name: string, field: 'updelay' | 'downdelay' | 'peerNotifDelay'): Setter {
  return (bond, ms) => {
    const { miimon } = bond.params;
    if (miimon === 0) {
      bondPrintk(bond, Loglevel.ERR, `Unable to set ${name} as MII monitoring is disabled`);
      return -Errno.EPERM;
    }
    const ticks = Math.floor(ms / miimon);
    if (ms % miimon !== 0) {
      const why = `${name} (${ms}) is not a multiple of miimon (${miimon}), value rounded to ${ticks * miimon} ms`;
      bondPrintk(bond, Loglevel.WARNING, why);
    }
    bond.params[field] = ticks;
    return 0;
  };
}

/** Backups begin, or cease, to receive for the bond. (`bond_option_all_slaves_active_set`) */
function setAllSlavesActive(bond: Bonding, value: number): number {
  bond.params.allSlavesActive = value !== 0;
  for (const slave of bond.slaves) if (!bondIsActiveSlave(slave)) slave.inactive = value === 0;
  return 0;
}

/** By the option's name. */
export const BOND_NUMBER_SETTERS: Readonly<Record<string, Setter>> = {
  mode: setMode,
  packets_per_slave: number('packetsPerSlave'),
  xmit_hash_policy: number('xmitPolicy'),
  arp_validate: number('arpValidate'),
  arp_all_targets: number('arpAllTargets'),
  fail_over_mac: number('failOverMac'),
  arp_interval: setArpInterval,
  arp_missed_max: number('missedMax'),
  miimon: setMiimon,
  updelay: delay('updelay', 'updelay'),
  downdelay: delay('downdelay', 'downdelay'),
  peer_notif_delay: delay('peer_notif_delay', 'peerNotifDelay'),
  lacp_rate: number('lacpRate', ad3UpdateLacpRate),
  lacp_active: onOff('lacpActive', ad3UpdateLacpActive),
  min_links: number('minLinks', bondSetCarrier),
  ad_select: number('adSelect'),
  num_grat_arp: number('numPeerNotif'),
  num_unsol_na: number('numPeerNotif'),
  primary_reselect: number('primaryReselect', reselect),
  use_carrier: onOff('useCarrier'),
  all_slaves_active: setAllSlavesActive,
  resend_igmp: number('resendIgmp'),
  lp_interval: number('lpInterval'),
  tlb_dynamic_lb: onOff('tlbDynamicLb', bondUpdateSlaveArr),
  ad_actor_sys_prio: number('adActorSysPrio', ad3UpdateAdActorSettings),
  ad_user_port_key: number('adUserPortKey', ad3UpdateUserPortKey),
  coupled_control: onOff('coupledControl'),
  broadcast_neighbor: onOff('broadcastNeigh'),
};
