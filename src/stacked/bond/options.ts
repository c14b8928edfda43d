/**
 * Options by name and text, as in sysfs and on the command line: asked, refused, set.
 *
 *     bondSetOption(bond, 'mode', 'active-backup')  -->  0, or a negative errno and the kernel's line in the log
 *
 *  1. the option exists; the mode has it (-EACCES); no slaves (-ENOTEMPTY) or down (-EBUSY) where it wants that
 *  2. the value exists, by number or name (-EINVAL)
 *  3. its setter: option_setters.ts (numbers), option_targets.ts (ARP and NS targets), option_slaves.ts (slaves by name)
 *
 * Answers to __bond_opt_set, bond_opt_check_deps, bond_opt_error_interpret. Process context.
 */
import { Errno } from '../../base/status.ts';
import { IFF_UP } from '../../device/net_device.ts';
import { Loglevel } from '../../machine/printk.ts';
import { printIpv4, printIpv6, printMac } from '../../wire/address.ts';
import { BOND_MODE_8023AD, type Bonding, type BondParams, bondUsesPrimary } from './bond.ts';
import { BOND_NUMBER_SETTERS } from './option_setters.ts';
import { BOND_SLAVE_SETTERS } from './option_slaves.ts';
import {
  BOND_OPTIONS,
  type BondOptionName,
  type BondOptionSpec,
  bondOptionSpec,
  bondOptName,
  bondOptParse,
} from './option_table.ts';
import { BOND_TARGET_SETTERS } from './option_targets.ts';
import { bondPrintk } from './slave_state.ts';

const RAW_SETTERS: Readonly<Record<string, (bond: Bonding, text: string) => number>> = {
  ...BOND_TARGET_SETTERS,
  ...BOND_SLAVE_SETTERS,
};

/** 0, or a negative errno with the reason in the log; -ENOENT: there is no such option. */
export function bondSetOption(bond: Bonding, name: string, text: string): number {
  const spec = bondOptionSpec(name);
  if (spec === undefined) {
    bondPrintk(bond, Loglevel.ERR, `no option ${name}`);
    return -Errno.ENOENT;
  }
  const refused = checkDeps(bond, spec);
  if (refused < 0) return explain(bond, name, spec, refused, text);
  const raw = RAW_SETTERS[name];
  if (raw !== undefined) return explain(bond, name, spec, raw(bond, text), text);
  const value = bondOptParse(spec, text);
  const error = value === undefined ? -Errno.EINVAL : BOND_NUMBER_SETTERS[name]!(bond, value);
  return explain(bond, name, spec, error, text);
}

/** Several at once, `mode=active-backup miimon=100`; `mode` first, the others in order. The first error ends it and is returned. */
export function bondSetOptions(bond: Bonding, text: string): number {
  const pairs = text.split(/\s+/).filter((each) => each !== '');
  pairs.sort((a, b) => Number(b.startsWith('mode=')) - Number(a.startsWith('mode=')));
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    const error = bondSetOption(bond, at < 0 ? pair : pair.slice(0, at), at < 0 ? '' : pair.slice(at + 1));
    if (error < 0) return error;
  }
  return 0;
}

function checkDeps(bond: Bonding, spec: BondOptionSpec): number {
  if (spec.modes !== undefined && !spec.modes.includes(bond.params.mode)) return -Errno.EACCES;
  if (spec.noSlaves === true && bond.slaves.length > 0) return -Errno.ENOTEMPTY;
  if (spec.ifDown === true && (bond.dev.flags & IFF_UP) !== 0) return -Errno.EBUSY;
  return 0;
}

/** Says why it was refused, and returns `error`. */
function explain(bond: Bonding, name: string, spec: BondOptionSpec, error: number, text: string): number {
  const say = (why: string) => bondPrintk(bond, Loglevel.ERR, `option ${name}: ${why}`);
  if (error === -Errno.EINVAL) {
    say(`invalid value (${text.split('\n', 1)[0]})`);
    if (spec.max !== undefined) say(`allowed values ${spec.min ?? 0} - ${spec.max}`);
  } else if (error === -Errno.EACCES) {
    const { mode } = bond.params;
    say(`mode dependency failed, not supported in mode ${bondOptName('mode', mode)}(${mode})`);
  } else if (error === -Errno.ENOTEMPTY) {
    say('unable to set because the bond device has slaves');
  } else if (error === -Errno.EBUSY) {
    say('unable to set because the bond device is up');
  } else if (error === -Errno.ENODEV) {
    say(`interface ${text.split('\n', 1)[0]} does not exist!`);
  }
  return error;
}

/** As sysfs shows it: a name and its number, a number, a list; undefined: no such option. */
export function bondGetOption(bond: Bonding, name: string): string | undefined {
  const { params } = bond;
  switch (name) {
    case 'updelay':
      return String(params.updelay * params.miimon);
    case 'downdelay':
      return String(params.downdelay * params.miimon);
    case 'peer_notif_delay':
      return String(params.peerNotifDelay * params.miimon);
    case 'arp_ip_target':
      return params.arpTargets.map(printIpv4).join(' ');
    case 'ns_ip6_target':
      return params.nsTargets.map((target) => printIpv6(target)).join(' ');
    case 'ad_actor_system':
      return params.mode === BOND_MODE_8023AD ? printMac(params.adActorSystem) : '';
    case 'ad_actor_sys_prio':
      return params.mode === BOND_MODE_8023AD ? String(params.adActorSysPrio) : '';
    case 'ad_user_port_key':
      return params.mode === BOND_MODE_8023AD ? String(params.adUserPortKey) : '';
    case 'primary':
      return bond.primarySlave?.dev.name ?? '';
    case 'active_slave':
      return (bondUsesPrimary(bond) && bond.currActiveSlave?.dev.name) || '';
    case 'slaves':
      return bond.slaves.map((slave) => slave.dev.name).join(' ');
    case 'queue_id':
      return bond.slaves.map((slave) => `${slave.dev.name}:${slave.queueId}`).join(' ');
    case 'prio':
      return bond.slaves.map((slave) => `${slave.dev.name}:${slave.prio}`).join(' ');
    case 'actor_port_prio':
      return bond.slaves.map((slave) => `${slave.dev.name}:${slave.portPriority}`).join(' ');
  }
  if (bondOptionSpec(name) === undefined) return undefined;
  const field = NUMBER_FIELDS[name]!;
  const value = Number(params[field]);
  const shown = bondOptName(name as BondOptionName, value);
  const { max }: BondOptionSpec = BOND_OPTIONS[name as BondOptionName];
  // Ranges and most switches are shown by number, choices by name and number.
  const plain = max !== undefined || name === 'use_carrier' || PLAIN_SWITCHES.includes(name);
  return plain ? String(value) : `${shown} ${value}`;
}

const PLAIN_SWITCHES: readonly string[] = ['all_slaves_active', 'tlb_dynamic_lb'];

/** Where an option's number is kept. */
const NUMBER_FIELDS: Readonly<Record<string, keyof BondParams>> = {
  mode: 'mode',
  packets_per_slave: 'packetsPerSlave',
  xmit_hash_policy: 'xmitPolicy',
  arp_validate: 'arpValidate',
  arp_all_targets: 'arpAllTargets',
  arp_interval: 'arpInterval',
  arp_missed_max: 'missedMax',
  fail_over_mac: 'failOverMac',
  miimon: 'miimon',
  lacp_rate: 'lacpRate',
  lacp_active: 'lacpActive',
  min_links: 'minLinks',
  ad_select: 'adSelect',
  num_grat_arp: 'numPeerNotif',
  num_unsol_na: 'numPeerNotif',
  primary_reselect: 'primaryReselect',
  use_carrier: 'useCarrier',
  all_slaves_active: 'allSlavesActive',
  resend_igmp: 'resendIgmp',
  lp_interval: 'lpInterval',
  tlb_dynamic_lb: 'tlbDynamicLb',
  coupled_control: 'coupledControl',
  broadcast_neighbor: 'broadcastNeigh',
};
