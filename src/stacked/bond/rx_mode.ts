/**
 * What a bond wants to receive, its slaves must: promiscuity, groups and further addresses. The active slave where there is one, all
 * slaves otherwise; of 802.3ad each also the group of slow protocols. Addresses only while the bond is up.
 *
 *     bond0.mc --> slave.groups --> eth0.mc       every slave remembers what it was given, so this may be called
 *     bond0.uc --> slave.unicasts --> eth0.uc     whenever something has changed
 *
 * Answers to bond_set_rx_mode, bond_change_rx_flags, bond_hw_addr_swap, bond_hw_addr_flush.
 */
import type { HwAddrList } from '../../device/dev_addr_lists.ts';
import { IFF_ALLMULTI, IFF_PROMISC, IFF_UP, type NetDevice } from '../../device/net_device.ts';
import { devMcAdd, devMcDel, devSetAllmulti, devSetPromiscuity, devUcAdd, devUcDel } from '../../device/rx_mode.ts';
import { slowMulticast } from '../../wire/lacp.ts';
import { BOND_MODE_8023AD, type Bonding, bondUsesPrimary, type Slave } from './bond.ts';

/** `up`: the bond is, or is about to be; absent: its flags say so. */
export function bondSyncRxMode(bond: Bonding, up: boolean = (bond.dev.flags & IFF_UP) !== 0): void {
  const { flags, mc, uc } = bond.dev;
  for (const slave of bond.slaves) {
    const concerned = !bondUsesPrimary(bond) || slave === bond.currActiveSlave;
    give(slave, concerned && (flags & IFF_PROMISC) !== 0, concerned && (flags & IFF_ALLMULTI) !== 0);
    const groups = addresses(concerned && up ? mc : null);
    if (up && bond.params.mode === BOND_MODE_8023AD) add(groups, slowMulticast());
    change(slave.dev, slave.groups, groups, devMcAdd, devMcDel);
    change(slave.dev, slave.unicasts, addresses(concerned && up ? uc : null), devUcAdd, devUcDel);
  }
}

/** A slave that leaves is as it was. */
export function bondForgetRxMode(slave: Slave): void {
  give(slave, false, false);
  change(slave.dev, slave.groups, new Map(), devMcAdd, devMcDel);
  change(slave.dev, slave.unicasts, new Map(), devUcAdd, devUcDel);
}

function give(slave: Slave, promisc: boolean, allmulti: boolean): void {
  if (slave.promisc !== promisc && devSetPromiscuity(slave.dev, promisc ? 1 : -1) === 0) slave.promisc = promisc;
  if (slave.allmulti !== allmulti && devSetAllmulti(slave.dev, allmulti ? 1 : -1) === 0) slave.allmulti = allmulti;
}

/** By their bytes. */
type Addresses = Map<string, Uint8Array>;

function addresses(list: HwAddrList | null): Addresses {
  const out: Addresses = new Map();
  if (list !== null) for (const { addr } of list) add(out, addr);
  return out;
}

function add(to: Addresses, addr: Uint8Array): void {
  to.set(addr.join(), addr.slice());
}

type Change = (dev: NetDevice, addr: Uint8Array) => number;

/** Makes `has` equal to `wanted`. */
function change(dev: NetDevice, has: Addresses, wanted: Addresses, put: Change, take: Change): void {
  for (const [key, addr] of [...has]) {
    if (wanted.has(key)) continue;
    has.delete(key);
    take(dev, addr);
  }
  for (const [key, addr] of wanted) {
    if (has.has(key)) continue;
    has.set(key, addr);
    put(dev, addr);
  }
}
