/**
 * The transmit machine: what a port says, and how often at most (IEEE 802.1AX 6.4.16; `ad_tx_machine`). Every third tick, if
 * there is need. Frames go out on the slave itself, from its permanent address, whatever state the slave is in.
 */

import { LACPDU_LEN, Lacpdu, writeLacpdu } from '../../wire/lacp.ts';
import { allocLacpFrame, sendLacpFrame } from './ad_frame.ts';
import { AD_PORT_LACP_ENABLED, AD_TX_TICKS, type AdPort, adOf } from './ad_port.ts';

/** One tick. */
export function adTxMachine(port: AdPort): void {
  if (port.txTimer === 0 || --port.txTimer > 0) return;
  port.txTimer = AD_TX_TICKS;
  if (!port.ntt || (port.vars & AD_PORT_LACP_ENABLED) === 0) return;
  if (adLacpduSend(port)) port.ntt = false;
}

/** Says now what is so now. False: there is no memory. (`ad_lacpdu_send`) */
export function adLacpduSend(port: AdPort): boolean {
  const skb = allocLacpFrame(port);
  if (skb === null) return false;
  const pdu = new Lacpdu();
  pdu.actor.copyFrom(port.actor);
  pdu.partner.copyFrom(port.partner);
  writeLacpdu(skb.arena.view, skb.tail - LACPDU_LEN, pdu);
  port.stats.count('lacpdu_tx');
  adOf(port).stats.count('lacpdu_tx');
  sendLacpFrame(skb);
  return true;
}
