/** A slow frame of a port: Ethernet header from the slave's permanent address, and room for 110 bytes of message. */
import { type SkBuff, skbPut, skbResetMacHeader } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { ETH_HLEN, writeEth } from '../../wire/eth.ts';
import { ETH_P_SLOW, LACPDU_LEN, slowMulticast } from '../../wire/lacp.ts';
import type { AdPort } from './ad_port.ts';

/** Highest priority of frames. (`TC_PRIO_CONTROL`) */
const TC_PRIO_CONTROL = 7;

/** The message is to be written into the last 110 bytes. The caller owns the frame; null: there is no memory. */
export function allocLacpFrame(port: AdPort): SkBuff | null {
  const { slave } = port;
  const skb = slave.bond.net.machine.skbs.allocForDevice(slave.dev, ETH_HLEN + LACPDU_LEN);
  if (skb === null) return null;
  const at = skbPut(skb, ETH_HLEN + LACPDU_LEN);
  skbResetMacHeader(skb);
  skb.networkHeader = at + ETH_HLEN;
  skb.protocol = ETH_P_SLOW;
  skb.priority = TC_PRIO_CONTROL;
  writeEth(skb.arena.view, at, slowMulticast(), slave.permHwaddr, ETH_P_SLOW);
  return skb;
}

/** Consumes the frame. */
export function sendLacpFrame(skb: SkBuff): void {
  devQueueXmit(skb);
}
