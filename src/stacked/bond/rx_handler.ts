// hot
/**
 * A frame has come in on a slave: is it the bond's?
 *
 *  1. The probe may want it: LACPDUs (802.3ad), ARP answers to the monitor, ARP for balance-alb's table.
 *  2. A slave that is inactive (a backup; or not in the active aggregator) receives nothing for the bond, or else every
 *     broadcast would come twice. Whoever listens on that very device gets it; balance-alb takes unicast on every slave.
 *  3. Everything else goes up once more, as a frame of the bond.
 *
 * Answers to bond_handle_frame.
 */
import type { RxHandlerResult } from '../../device/net_device.ts';
import { pskbExpandHead } from '../../skb/copy.ts';
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, type SkBuff, skbHeaderCloned } from '../../skb/sk_buff.ts';
import { ETH_ALEN } from '../../wire/eth.ts';
import { isBridgeMaster } from '../bridge/bridge_dev.ts';
import { BOND_MODE_ALB, type Bonding, type Slave } from './bond.ts';

/** The slave's rxHandler. 'consumed': the frame is gone; else it is still the caller's, 'another': on the bond now. */
export function bondHandleFrame(slave: Slave, skb: SkBuff): RxHandlerResult {
  const { bond } = slave;
  const { recvProbe } = bond;
  if (recvProbe?.(bond, slave, skb) === true) {
    skb.pool.consume(skb);
    return 'consumed';
  }
  if (bondShouldDeliverExactMatch(slave, skb)) return isLinkLocal(skb) ? 'pass' : 'exact';
  skb.dev = bond.dev;
  if (bond.params.mode === BOND_MODE_ALB && skb.pktType === PACKET_HOST) toBondAddress(bond, skb);
  return 'another';
}

/** balance-alb tells clients addresses of slaves, which a bridge over the bond would not know as its own. */
function toBondAddress(bond: Bonding, skb: SkBuff): void {
  const { master, devAddr } = bond.dev;
  if (master === null || !isBridgeMaster(master) || (skbHeaderCloned(skb) && !pskbExpandHead(skb, 0, 0))) return;
  const { bytes } = skb.arena;
  for (let i = 0; i < ETH_ALEN; i++) bytes[skb.macHeader + i] = devAddr[i]!;
}

/** The frame is not for the bond. (`bond_should_deliver_exact_match`) */
export function bondShouldDeliverExactMatch(slave: Slave, skb: SkBuff): boolean {
  if (!slave.inactive) return false;
  return (
    slave.bond.params.mode !== BOND_MODE_ALB || skb.pktType === PACKET_BROADCAST || skb.pktType === PACKET_MULTICAST
  );
}

/** To one of the addresses that bridges do not forward, 01:80:c2:00:00:0X: this device's own protocol. */
function isLinkLocal(skb: SkBuff): boolean {
  const { view } = skb.arena;
  const at = skb.macHeader;
  return view.getUint32(at) === 0x0180c200 && view.getUint8(at + 4) === 0 && (view.getUint8(at + 5) & 0xf0) === 0;
}
