// hot
/**
 * balance-rr: each slave in turn, packets_per_slave frames at a time (0: by chance).
 *
 *     every CPU counts its own frames; the first one has number 1, so it takes the second slave
 *     IGMP keeps to one slave, so that the switch sees a group's members where it sends the group to
 *
 * Answers to bond_xmit_roundrobin, bond_rr_gen_slave_id, bond_get_slave_by_id.
 */
import { type SkBuff, skbHeadlen } from '../../skb/sk_buff.ts';
import { ETH_P_IP } from '../../wire/eth.ts';
import { IPPROTO_IGMP, IPV4_HLEN, ipv4Protocol } from '../../wire/ipv4.ts';
import { type Bonding, bondSlaveCanTx, type Slave } from './bond.ts';
import { bondDevQueueXmit, bondTxDrop } from './dev_queue_xmit.ts';
import { networkAt } from './flow_ip.ts';

/** Consumes the frame; a transmit status. */
export function bondXmitRoundrobin(bond: Bonding, skb: SkBuff): number {
  const slave = bondXmitRoundrobinSlaveGet(bond, skb);
  return slave === null ? bondTxDrop(bond, skb) : bondDevQueueXmit(bond, skb, slave.dev);
}

/** Whose turn it is; null: nobody can send. */
export function bondXmitRoundrobinSlaveGet(bond: Bonding, skb: SkBuff): Slave | null {
  if (isIgmp(skb)) return bond.currActiveSlave ?? bondGetSlaveById(bond, 0);
  const count = bond.slaves.length;
  return count === 0 ? null : bondGetSlaveById(bond, bondRrGenSlaveId(bond) % count);
}

function isIgmp(skb: SkBuff): boolean {
  if (skb.protocol !== ETH_P_IP) return false;
  const at = networkAt(skb);
  return at + IPV4_HLEN <= skb.data + skbHeadlen(skb) && ipv4Protocol(skb.arena.view, at) === IPPROTO_IGMP;
}

function bondRrGenSlaveId(bond: Bonding): number {
  const { packetsPerSlave } = bond.params;
  if (packetsPerSlave === 0) return bond.prng.u32();
  const cpu = bond.net.machine.cpu.id;
  const sent = (bond.rrTxCounter[cpu]! + 1) >>> 0;
  bond.rrTxCounter[cpu] = sent;
  return packetsPerSlave === 1 ? sent : Math.floor(sent / packetsPerSlave);
}

/** The slave with this number, else the next one that can send, around the end. */
export function bondGetSlaveById(bond: Bonding, id: number): Slave | null {
  const { slaves } = bond;
  for (let i = 0; i < slaves.length; i++) {
    const slave = slaves[(id + i) % slaves.length]!;
    if (bondSlaveCanTx(slave)) return slave;
  }
  return null;
}
