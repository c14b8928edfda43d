/**
 * balance-alb tells its clients where they should send to.
 *
 *     client.ntt, rxNtt --tick, delay over--> two ARP replies to the client alone: our address is at its slave's
 *                                             then 2 s of silence; while retries are left all are told again
 *
 * Answers to rlb_update_rx_clients, rlb_update_client, rlb_clear_slave, rlb_rebalance.
 */
import { devSetPromiscuity } from '../../device/change.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { vlanInsertTag } from '../../skb/vlan_tag.ts';
import { ARPOP_REPLY } from '../../wire/arp.ts';
import { ETH_P_8021Q, isValidMac, macEquals } from '../../wire/eth.ts';
import { ALB_TICKS_A_SECOND, type AlbBondInfo, type RlbClient } from './alb_info.ts';
import { arpCreate } from './arp_frame.ts';
import type { Bonding, Slave } from './bond.ts';
import { bondDevQueueXmit } from './dev_queue_xmit.ts';
import { albSendLearningPackets } from './learning.ts';
import { rlbNextRxSlave } from './rlb_next.ts';

/** Ticks between two rounds. */
export const RLB_UPDATE_DELAY: number = 2 * ALB_TICKS_A_SECOND;
/** Rounds more, where clients would lose their connection. */
const RLB_UPDATE_RETRY = 3;
/** Replies to a client. */
const RLB_ARP_BURST_SIZE = 2;
/** Ticks for which the active slave hears everything. */
const RLB_PROMISC_TIMEOUT = 10 * ALB_TICKS_A_SECOND;

/** The receive part of a tick. Process context. */
export function rlbTick(bond: Bonding, alb: AlbBondInfo): void {
  if (alb.primaryIsPromisc && ++alb.rlbPromiscTimeoutCounter >= RLB_PROMISC_TIMEOUT) rlbLeavePromisc(bond, alb);
  if (alb.rlbRebalance) {
    alb.rlbRebalance = false;
    rlbRebalance(bond, alb);
  }
  if (!alb.rxNtt) return;
  if (alb.rlbUpdateDelayCounter > 0) {
    alb.rlbUpdateDelayCounter--;
    return;
  }
  rlbUpdateRxClients(alb);
  if (alb.rlbUpdateRetryCounter > 0) alb.rlbUpdateRetryCounter--;
  else alb.rxNtt = false;
}

/** A round: everybody who is to be told is told. */
function rlbUpdateRxClients(alb: AlbBondInfo): void {
  for (const client of alb.rx!.used) {
    if (!client.ntt) continue;
    rlbUpdateClient(client);
    if (alb.rlbUpdateRetryCounter === 0) client.ntt = false;
  }
  alb.rlbUpdateDelayCounter = RLB_UPDATE_DELAY;
}

/** Tells a client of its slave, if its own address is known. */
export function rlbUpdateClient(client: RlbClient): void {
  const { slave, macDst } = client;
  if (slave === null || !isValidMac(macDst)) return;
  const { dev } = slave;
  for (let i = 0; i < RLB_ARP_BURST_SIZE; i++) {
    const skb = arpCreate(dev, {
      op: ARPOP_REPLY,
      sourceIp: client.ipSrc,
      sourceMac: dev.devAddr,
      destIp: client.ipDst,
      targetMac: macDst,
      destMac: macDst,
    });
    if (skb === null) continue;
    if (client.vlanId !== 0 && !vlanInsertTag(skb, ETH_P_8021Q, client.vlanId)) {
      skb.pool.kfree(skb, DropReason.NOMEM);
      continue;
    }
    bondDevQueueXmit(slave.bond, skb, dev);
  }
}

/** All clients of the slave are to be told: its address has changed. (`rlb_req_update_slave_clients`) */
export function rlbReqUpdateSlaveClients(alb: AlbBondInfo, slave: Slave): void {
  for (const client of alb.rx!.used) {
    if (client.slave !== slave || !isValidMac(client.macDst)) continue;
    client.ntt = true;
    alb.rxNtt = true;
    alb.rlbUpdateRetryCounter = RLB_UPDATE_RETRY;
  }
}

/** Clients of our address `ip` that were told another address than the bond's. (`rlb_req_update_subnet_clients`) */
export function rlbReqUpdateSubnetClients(bond: Bonding, alb: AlbBondInfo, ip: number): void {
  for (const client of alb.rx!.used) {
    if (client.slave === null || client.ipSrc !== ip || !isValidMac(client.macDst)) continue;
    if (macEquals(client.slave.dev.devAddr, 0, bond.dev.devAddr)) continue;
    client.ntt = true;
    alb.rxNtt = true;
  }
}

/** The slave is lost: its clients go to others. (`rlb_clear_slave`) */
export function rlbClearSlave(bond: Bonding, alb: AlbBondInfo, slave: Slave): void {
  for (const client of alb.rx!.used) {
    if (client.slave !== slave) continue;
    client.slave = rlbNextRxSlave(bond, alb);
    if (client.slave === null || !isValidMac(client.macDst)) continue;
    client.ntt = true;
    alb.rxNtt = true;
    alb.rlbUpdateRetryCounter = RLB_UPDATE_RETRY;
  }
  if (slave !== bond.currActiveSlave) rlbTeachDisabledMacOnPrimary(bond, alb, slave.dev.devAddr);
}

/**
 * Until clients know better they send to a slave that is gone: the active one takes its frames, and the switch learns that they are to
 * be sent there.
 */
export function rlbTeachDisabledMacOnPrimary(bond: Bonding, alb: AlbBondInfo, mac: Uint8Array): void {
  const active = bond.currActiveSlave;
  if (active === null) return;
  if (!alb.primaryIsPromisc) alb.primaryIsPromisc = devSetPromiscuity(active.dev, 1) === 0;
  alb.rlbPromiscTimeoutCounter = 0;
  albSendLearningPackets(active, mac);
}

/** The active slave goes back to what is its own. */
export function rlbLeavePromisc(bond: Bonding, alb: AlbBondInfo): void {
  if (bond.currActiveSlave !== null && alb.primaryIsPromisc) devSetPromiscuity(bond.currActiveSlave.dev, -1);
  alb.primaryIsPromisc = false;
  alb.rlbPromiscTimeoutCounter = 0;
}

/** Clients are dealt out anew, in turn. */
function rlbRebalance(bond: Bonding, alb: AlbBondInfo): void {
  for (const client of alb.rx!.used) {
    const slave = rlbNextRxSlave(bond, alb);
    if (slave === null || client.slave === slave) continue;
    client.slave = slave;
    if (client.macDst.every((byte) => byte === 0)) continue;
    client.ntt = true;
    alb.rxNtt = true;
  }
}
