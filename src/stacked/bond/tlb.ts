// hot
/**
 * balance-tlb: transmit load balancing. Conversations are hashed into 256 entries; each has a slave, the one with the most room left
 * when its first frame came.
 *
 *     room of a slave = its speed - what its entries sent in the last round (8 bits a byte)
 *     every 10 s: what an entry sent becomes its load, and all choose anew, so that loads even out
 *
 * Frames that cannot be balanced (multicast, neighbour discovery, not IP) go by the active slave and count as its load. A frame that
 * leaves by another slave carries that slave's address, else the switch would see the active one's on two ports.
 * With tlb_dynamic_lb off there is no table: usableSlaves by hash. Answers to bond_tlb_xmit, tlb_choose_channel, bond_do_alb_xmit.
 */
import { pskbExpandHead } from '../../skb/copy.ts';
import { type SkBuff, skbHeaderCloned } from '../../skb/sk_buff.ts';
import { ETH_ALEN, ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { TLB_NULL_INDEX, TLB_REBALANCE_INTERVAL, type TlbTable } from './alb_info.ts';
import { type Bonding, bondSlaveCanTx, type Slave } from './bond.ts';
import { bondDevQueueXmit, bondTxDrop } from './dev_queue_xmit.ts';
import { bondXmitHash } from './hash.ts';
import { isNeighbourDiscovery } from './xmit_hash.ts';

const MBIT = 1 << 20;

/** Consumes the frame; a transmit status. */
export function bondTlbXmit(bond: Bonding, skb: SkBuff): number {
  return bondDoAlbXmit(bond, skb, bondXmitTlbSlaveGet(bond, skb));
}

/** Null: not to be balanced, or nobody can send. */
export function bondXmitTlbSlaveGet(bond: Bonding, skb: SkBuff): Slave | null {
  if ((skb.arena.bytes[skb.data]! & 1) !== 0) return null;
  if (skb.protocol !== ETH_P_IP && (skb.protocol !== ETH_P_IPV6 || isNeighbourDiscovery(skb))) return null;
  if (bond.params.tlbDynamicLb) return tlbChooseChannel(bond, bondXmitHash(bond, skb) & 0xff, skb.len);
  return tlbUsableSlave(bond, skb);
}

/** Without the table: by hash. */
export function tlbUsableSlave(bond: Bonding, skb: SkBuff): Slave | null {
  const { usableSlaves } = bond;
  const count = usableSlaves.length;
  return count === 0 ? null : usableSlaves[bondXmitHash(bond, skb) % count]!;
}

/** The slave of entry `index`, chosen now if it has none; `len` bytes are counted for it. */
export function tlbChooseChannel(bond: Bonding, index: number, len: number): Slave | null {
  const table = bond.alb?.tx ?? null;
  if (table === null) return null;
  let slave = table.txSlave[index] ?? null;
  if (slave === null) {
    slave = tlbGetLeastLoadedSlave(bond);
    if (slave === null) return null;
    const info = slave.tlb!;
    table.txSlave[index] = slave;
    table.next[index] = info.head;
    info.head = index;
    info.load += table.loadHistory[index]!;
  }
  table.txBytes[index]! += len;
  return slave;
}

/** Who has the most room; the first of several. */
function tlbGetLeastLoadedSlave(bond: Bonding): Slave | null {
  const { slaves } = bond;
  let best: Slave | null = null;
  let most = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < slaves.length; i++) {
    const slave = slaves[i]!;
    if (!bondSlaveCanTx(slave) || slave.tlb === null) continue;
    const room = Math.max(slave.speed, 0) * MBIT - slave.tlb.load * 8;
    if (room <= most) continue;
    most = room;
    best = slave;
  }
  return best;
}

/** Sends by `slave`; null: by the active one. Consumes the frame; a transmit status. */
export function bondDoAlbXmit(bond: Bonding, skb: SkBuff, slave: Slave | null): number {
  const { tlbDynamicLb } = bond.params;
  const active = bond.currActiveSlave;
  if (slave === null && tlbDynamicLb && bond.alb !== null) bond.alb.unbalancedLoad += skb.len;
  const by = slave ?? active;
  if (by === null) return bondTxDrop(bond, skb);
  if (!bondSlaveCanTx(by)) {
    if (tlbDynamicLb) tlbClearSlave(bond, by, false);
    return bondTxDrop(bond, skb);
  }
  if (by !== active && !setSource(skb, by.dev.devAddr)) return bondTxDrop(bond, skb);
  return bondDevQueueXmit(bond, skb, by.dev);
}

/** False: the header is shared and there is no memory for one of our own. */
function setSource(skb: SkBuff, mac: Uint8Array): boolean {
  if (skbHeaderCloned(skb) && !pskbExpandHead(skb, 0, 0)) return false;
  const { bytes } = skb.arena;
  const at = skb.data + ETH_ALEN;
  for (let i = 0; i < ETH_ALEN; i++) bytes[at + i] = mac[i]!;
  return true;
}

/** The slave has no entries any more; what they sent becomes their load, with `saveLoad`. (`tlb_clear_slave`) */
export function tlbClearSlave(bond: Bonding, slave: Slave, saveLoad: boolean): void {
  const table = bond.alb?.tx ?? null;
  const info = slave.tlb;
  if (info === null) return;
  let index = info.head;
  while (table !== null && index !== TLB_NULL_INDEX) {
    const next = table.next[index]!;
    tlbInitTableEntry(table, index, saveLoad);
    index = next;
  }
  info.head = TLB_NULL_INDEX;
  info.load = 0;
}

function tlbInitTableEntry(table: TlbTable, index: number, saveLoad: boolean): void {
  if (saveLoad) {
    table.loadHistory[index] = 1 + Math.floor(table.txBytes[index]! / TLB_REBALANCE_INTERVAL);
    table.txBytes[index] = 0;
  }
  table.txSlave[index] = null;
  table.next[index] = TLB_NULL_INDEX;
}

/** All entries choose anew; the active slave starts with what could not be balanced. */
export function tlbRebalance(bond: Bonding): void {
  const { alb, slaves } = bond;
  if (alb === null) return;
  for (let i = 0; i < slaves.length; i++) {
    const slave = slaves[i]!;
    tlbClearSlave(bond, slave, true);
    if (slave !== bond.currActiveSlave || slave.tlb === null) continue;
    slave.tlb.load = Math.floor(alb.unbalancedLoad / TLB_REBALANCE_INTERVAL);
    alb.unbalancedLoad = 0;
  }
}
