// hot
/**
 * Which slave of a bond a frame leaves by: one function for each mode.
 *
 *     balance-rr, active-backup: a slave whose queue_id is the frame's queue goes first
 *     0 balance-rr -> xmit_roundrobin.ts     2 balance-xor, 4 802.3ad -> xmit_hash.ts     5 balance-tlb -> tlb.ts
 *     1 active-backup -> the active slave    3 broadcast -> xmit_broadcast.ts             6 balance-alb -> alb_xmit.ts
 *
 * All consume the frame and end in bondDevQueueXmit (a slave's queue, or its netpoll), or in a counted drop. Called with the
 * slaves as they are; who changes them does so in process context. Answers to __bond_start_xmit.
 */
import type { SkBuff } from '../../skb/sk_buff.ts';
import { bondAlbXmit } from './alb_xmit.ts';
import {
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  type Bonding,
  bondSlaveIsUp,
  type Slave,
} from './bond.ts';
import { bondDevQueueXmit, bondTxDrop } from './dev_queue_xmit.ts';
import { bondTlbXmit } from './tlb.ts';
import { bondXmitBroadcast } from './xmit_broadcast.ts';
import { bond3adXorXmit, bondShouldBroadcastNeighbor } from './xmit_hash.ts';
import { bondXmitRoundrobin } from './xmit_roundrobin.ts';

/** Sends the frame by the bond's mode. A transmit status; the frame is consumed, whatever it is. */
export function bondXmit(bond: Bonding, skb: SkBuff): number {
  if (bond.slaves.length === 0) return bondTxDrop(bond, skb);
  const { mode } = bond.params;
  if (mode === BOND_MODE_ROUNDROBIN || mode === BOND_MODE_ACTIVEBACKUP) {
    const slave = bondSlaveOverride(bond, skb);
    if (slave !== null) return bondDevQueueXmit(bond, skb, slave.dev);
  }
  switch (mode) {
    case BOND_MODE_ROUNDROBIN:
      return bondXmitRoundrobin(bond, skb);
    case BOND_MODE_ACTIVEBACKUP:
      return bondXmitActivebackup(bond, skb);
    case BOND_MODE_8023AD:
      if (bondShouldBroadcastNeighbor(bond, skb)) return bondXmitBroadcast(bond, skb, bond.usableSlaves);
      return bond3adXorXmit(bond, skb);
    case BOND_MODE_XOR:
      return bond3adXorXmit(bond, skb);
    case BOND_MODE_BROADCAST:
      return bondXmitBroadcast(bond, skb);
    case BOND_MODE_TLB:
      return bondTlbXmit(bond, skb);
    case BOND_MODE_ALB:
      return bondAlbXmit(bond, skb);
    default:
      return bondTxDrop(bond, skb);
  }
}

/** (`bond_xmit_activebackup`) */
export function bondXmitActivebackup(bond: Bonding, skb: SkBuff): number {
  const slave = bond.currActiveSlave;
  return slave === null ? bondTxDrop(bond, skb) : bondDevQueueXmit(bond, skb, slave.dev);
}

/** The slave that users tied to the frame's queue, if that can send; null: the mode chooses. (`bond_slave_override`) */
function bondSlaveOverride(bond: Bonding, skb: SkBuff): Slave | null {
  if (skb.queueMapping === 0) return null;
  const { slaves } = bond;
  for (let i = 0; i < slaves.length; i++) {
    const slave = slaves[i]!;
    if (slave.queueId !== skb.queueMapping) continue;
    return bondSlaveIsUp(slave) && slave.link === BOND_LINK_UP ? slave : null;
  }
  return null;
}
