/**
 * Slow frames that come in on a slave: the partner's LACPDUs, and markers, which are sent back at once.
 *
 *     0x8809, to the group of slow protocols? --subtype--> LACP: receive machine    marker: answered      else: counted, left
 *
 * A marker is a question: whoever moves a conversation to another link sends one behind its last frame on the old one, and
 * knows by the answer that this frame has arrived.
 */
import { Loglevel } from '../../machine/printk.ts';
import { pskbMayPull, type SkBuff } from '../../skb/sk_buff.ts';
import { macEquals } from '../../wire/eth.ts';
import {
  ETH_P_SLOW,
  LACPDU_LEN,
  Lacpdu,
  MARKER_INFORMATION,
  MARKER_RESPONSE,
  markerType,
  readLacpdu,
  SLOW_SUBTYPE_LACP,
  SLOW_SUBTYPE_MARKER,
  slowMulticast,
  slowSubtype,
  writeMarkerResponse,
} from '../../wire/lacp.ts';
import { allocLacpFrame, sendLacpFrame } from './ad_frame.ts';
import { type AdPort, type AdStat, adOf } from './ad_port.ts';
import { adRxMachine } from './ad_rx.ts';
import type { Bonding, Slave } from './bond.ts';
import { slavePrintk } from './slave_state.ts';

const GROUP = slowMulticast();

/**
 * Looks at a frame before the bond does. True: it was ours, and the caller frees it. False: the frame is untouched.
 * (`bond_3ad_lacpdu_recv`, a `recv_probe`)
 */
export function ad3LacpduRecv(_bond: Bonding, slave: Slave, skb: SkBuff): boolean {
  if (skb.protocol !== ETH_P_SLOW || slave.ad === null) return false;
  if (!macEquals(skb.arena.bytes, skb.macHeader, GROUP)) return false;
  if (!pskbMayPull(skb, LACPDU_LEN)) {
    count(slave.ad, 'lacpdu_illegal_rx');
    return false;
  }
  const { view } = skb.arena;
  switch (slowSubtype(view, skb.data)) {
    case SLOW_SUBTYPE_LACP:
      count(slave.ad, 'lacpdu_rx');
      if (!adRxMachine(slave.ad, readLacpdu(view, skb.data, new Lacpdu()))) complainOfLoop(slave);
      return true;
    case SLOW_SUBTYPE_MARKER:
      takeMarker(slave.ad, view, skb.data);
      return true;
    default:
      count(slave.ad, 'lacpdu_unknown_rx');
      return false;
  }
}

function takeMarker(port: AdPort, view: DataView, o: number): void {
  const type = markerType(view, o);
  if (type === MARKER_RESPONSE) {
    // We send no information ourselves, so nobody waits for it.
    count(port, 'marker_resp_rx');
  } else if (type === MARKER_INFORMATION) {
    count(port, 'marker_rx');
    const skb = allocLacpFrame(port);
    if (skb === null) return;
    writeMarkerResponse(skb.arena.view, skb.tail - LACPDU_LEN, view, o);
    count(port, 'marker_resp_tx');
    sendLacpFrame(skb);
  } else {
    count(port, 'marker_unknown_rx');
  }
}

function complainOfLoop({ bond, dev }: Slave): void {
  const text =
    'An illegal loopback occurred on slave: its link leads back to this bond, or to a switch port without 802.3ad';
  slavePrintk(bond, dev, Loglevel.ERR, text);
}

function count(port: AdPort, stat: AdStat): void {
  port.stats.count(stat);
  adOf(port).stats.count(stat);
}
