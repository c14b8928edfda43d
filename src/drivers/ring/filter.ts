/**
 * The card's address filter: which frames it takes off the wire.
 *
 *     broadcast                          always
 *     its own address, PROMISC           unicast
 *     16 exact entries                   further unicast addresses, and groups
 *     ALLMULTI                           every group
 *
 * The entries are registers, two for an address: four bytes, and the last two in the upper half. Zero: not in use.
 */
import { isMulticastMac } from '../../wire/eth.ts';
import {
  FILTER_ENTRIES,
  REG_FILTER,
  REG_MAC_HIGH,
  REG_RX_MODE,
  RX_MODE_ALLMULTI,
  RX_MODE_PROMISC,
} from './registers.ts';

/** The two registers of an address. */
export function macHigh(mac: Uint8Array): number {
  return ((mac[0]! << 24) | (mac[1]! << 16) | (mac[2]! << 8) | mac[3]!) >>> 0;
}
export function macLow(mac: Uint8Array): number {
  return ((mac[4]! << 24) | (mac[5]! << 16)) >>> 0;
}

/** True if the card takes a frame with this destination, which is at the start of `bytes`. */
export function filterTakes(regs: Uint32Array, bytes: Uint8Array): boolean {
  const mode = regs[REG_RX_MODE]!;
  if ((mode & RX_MODE_PROMISC) !== 0) return true;
  const high = macHigh(bytes);
  const low = macLow(bytes);
  if (high === 0xffffffff && low === 0xffff0000) return true;
  if ((mode & RX_MODE_ALLMULTI) !== 0 && isMulticastMac(bytes, 0)) return true;
  if (regs[REG_MAC_HIGH] === high && regs[REG_MAC_HIGH + 1] === low) return true;
  for (let entry = 0; entry < FILTER_ENTRIES; entry++) {
    if (regs[REG_FILTER + 2 * entry] === high && regs[REG_FILTER + 2 * entry + 1] === low && (high | low) !== 0)
      return true;
  }
  return false;
}
