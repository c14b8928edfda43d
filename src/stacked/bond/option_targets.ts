/**
 * Addresses as options: whom the ARP monitor asks, over IPv4 (`arp_ip_target`) and IPv6 (`ns_ip6_target`), at most 16 of each,
 * added by `+address` and taken away by `-address`; and the system's address in LACPDUs (`ad_actor_system`).
 */
import { Errno } from '../../base/status.ts';
import { Loglevel } from '../../machine/printk.ts';
import { parseIpv4, parseIpv6, parseMac, printIpv4, printIpv6 } from '../../wire/address.ts';
import { ad3UpdateAdActorSettings } from './ad_3ad.ts';
import { BOND_MAX_ARP_TARGETS, BOND_MAX_NS_TARGETS, type Bonding } from './bond.ts';
import { bondPrintk } from './slave_state.ts';

const BROADCAST = 0xffffffff;

/** One kind of target. */
interface Targets<T> {
  readonly kind: 'ARP' | 'NS';
  readonly max: number;
  readonly of: (bond: Bonding) => T[];
  readonly parse: (text: string) => T | null;
  readonly print: (target: T) => string;
  readonly allowed: (target: T) => boolean;
  readonly same: (a: T, b: T) => boolean;
  /** Where the first of them stands in `slave.targetLastArpRxNs`. */
  readonly base: (bond: Bonding) => number;
}

const ARP: Targets<number> = {
  kind: 'ARP',
  max: BOND_MAX_ARP_TARGETS,
  of: (bond) => bond.params.arpTargets,
  parse: parseIpv4,
  print: printIpv4,
  allowed: (target) => target !== 0 && target !== BROADCAST,
  same: (a, b) => a === b,
  base: () => 0,
};

const NS: Targets<Uint8Array> = {
  kind: 'NS',
  max: BOND_MAX_NS_TARGETS,
  of: (bond) => bond.params.nsTargets,
  parse: parseIpv6,
  print: (target) => printIpv6(target),
  allowed: (target) => target[0] !== 0xff && target.some((byte) => byte !== 0),
  same: (a, b) => a.every((byte, i) => byte === b[i]),
  base: (bond) => bond.params.arpTargets.length,
};

/** (`bond_option_arp_ip_targets_set`) */
function setTarget<T>(bond: Bonding, targets: Targets<T>, text: string): number {
  const word = text.trim();
  const command = word[0];
  const target = targets.parse(word.slice(1));
  if (target === null) {
    bondPrintk(bond, Loglevel.ERR, `invalid ${targets.kind} target specified`);
    return -Errno.EPERM;
  }
  if (command !== '+' && command !== '-') {
    const why = 'no command found in arp_ip_targets file - use +<addr> or -<addr>';
    bondPrintk(bond, Loglevel.ERR, why);
    return -Errno.EPERM;
  }
  return command === '-' ? remove(bond, targets, target) : add(bond, targets, target);
}

function add<T>(bond: Bonding, targets: Targets<T>, target: T): number {
  const list = targets.of(bond);
  const refuse = (why: string): number => {
    bondPrintk(bond, Loglevel.ERR, why);
    return -Errno.EINVAL;
  };
  const shown = targets.print(target);
  if (!targets.allowed(target)) return refuse(`invalid ${targets.kind} target ${shown} specified for addition`);
  if (list.some((each) => targets.same(each, target)))
    return refuse(`${targets.kind} target ${shown} is already present`);
  if (list.length >= targets.max) return refuse(`${targets.kind} target table is full!`);
  const at = targets.base(bond) + list.length;
  list.push(target);
  const now = bond.net.machine.executive.now();
  for (const slave of bond.slaves) slave.targetLastArpRxNs.splice(at, 0, now);
  bondPrintk(bond, Loglevel.DEBUG, `Adding ${targets.kind} target ${shown}`);
  return 0;
}

function remove<T>(bond: Bonding, targets: Targets<T>, target: T): number {
  const list = targets.of(bond);
  const shown = targets.print(target);
  const at = list.findIndex((each) => targets.same(each, target));
  if (at < 0) {
    bondPrintk(bond, Loglevel.ERR, `unable to remove nonexistent ${targets.kind} target ${shown}`);
    return -Errno.EINVAL;
  }
  if (list.length === 1 && bond.params.arpInterval > 0) {
    bondPrintk(bond, Loglevel.WARNING, `Removing last ${targets.kind.toLowerCase()} target with arp_interval on`);
  }
  const slot = targets.base(bond) + at;
  list.splice(at, 1);
  for (const slave of bond.slaves) slave.targetLastArpRxNs.splice(slot, 1);
  bondPrintk(bond, Loglevel.DEBUG, `Removing ${targets.kind} target ${shown}`);
  return 0;
}

/** Not a group, not zero. (`bond_option_ad_actor_system_set`) */
function setAdActorSystem(bond: Bonding, text: string): number {
  const mac = parseMac(text.trim());
  if (mac === null || (mac[0]! & 1) !== 0 || mac.every((byte) => byte === 0)) {
    bondPrintk(bond, Loglevel.ERR, 'Invalid ad_actor_system MAC address.');
    return -Errno.EINVAL;
  }
  bond.params.adActorSystem.set(mac);
  ad3UpdateAdActorSettings(bond);
  return 0;
}

/** By the option's name. */
export const BOND_TARGET_SETTERS: Readonly<Record<string, (bond: Bonding, text: string) => number>> = {
  arp_ip_target: (bond, text) => setTarget(bond, ARP, text),
  ns_ip6_target: (bond, text) => setTarget(bond, NS, text),
  ad_actor_system: setAdActorSystem,
};
