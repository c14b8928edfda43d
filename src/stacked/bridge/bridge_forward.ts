// hot
/**
 * A bridge sends: to the port behind which an address is, or to all.
 *
 *     brForward    one port
 *     brFlood      every port that forwards, but the one that the frame came in by: clones, and the frame itself to the last one
 *     brDevXmit    what this host sends by the bridge (its startXmit)
 *
 * `skb.data` is behind the Ethernet header here; it is put in front again for the port, which sends by its queue, or by its netpoll
 * while that transmits. Answers to net/bridge/br_forward.c, br_dev_xmit.
 */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { type NetDevice, STAT_TX_BYTES, STAT_TX_DROPPED, STAT_TX_PACKETS } from '../../device/net_device.ts';
import { netpollSendSkb, netpollTxRunning } from '../../netpoll/send.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import { type SkBuff, skbPull, skbResetMacHeader } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { ETH_HLEN } from '../../wire/eth.ts';
import { skbForwardTo } from '../forward_to.ts';
import { BR_STATE_FORWARDING, type Bridge, type BridgePort, bridgeOf } from './bridge_dev.ts';

/** A frame of this host; consumed. Always NETDEV_TX_OK. */
export function brDevXmit(skb: SkBuff, dev: NetDevice): number {
  const br = bridgeOf(dev);
  dev.stats.add(STAT_TX_PACKETS);
  dev.stats.add(STAT_TX_BYTES, skb.len);
  skbResetMacHeader(skb);
  if (skbPull(skb, ETH_HLEN) < 0) {
    dev.stats.add(STAT_TX_DROPPED);
    skb.pool.kfree(skb, DropReason.PKT_TOO_SMALL);
    return NETDEV_TX_OK;
  }
  const { bytes } = skb.arena;
  const multicast = (bytes[skb.macHeader]! & 1) !== 0;
  const entry = multicast ? -1 : br.fdb.find(bytes, skb.macHeader);
  if (entry >= 0) brForward(br.fdb.port(entry), null, skb, false);
  else brFlood(br, null, skb, false);
  return NETDEV_TX_OK;
}

/** To `to`, which may be null: to ourselves, so to nobody. With `keep` the frame stays the caller's, else it is consumed. */
export function brForward(to: BridgePort | null, from: BridgePort | null, skb: SkBuff, keep: boolean): void {
  if (to !== null && shouldDeliver(from, to)) {
    if (!keep) push(to, skb);
    else deliverClone(to, skb);
  } else if (!keep) {
    skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
  }
}

/** To every other port. With `keep` the frame stays the caller's, else it is consumed. */
export function brFlood(br: Bridge, from: BridgePort | null, skb: SkBuff, keep: boolean): void {
  const { ports } = br;
  let last: BridgePort | null = null;
  for (let i = 0; i < ports.length; i++) {
    const port = ports[i]!;
    if (!shouldDeliver(from, port)) continue;
    if (last !== null) deliverClone(last, skb);
    last = port;
  }
  brForward(last, from, skb, keep);
}

/** The port forwards, and the frame did not come from there. */
function shouldDeliver(from: BridgePort | null, to: BridgePort): boolean {
  return to !== from && to.state === BR_STATE_FORWARDING;
}

function deliverClone(to: BridgePort, skb: SkBuff): void {
  const copy = skb.pool.clone(skb);
  if (copy !== null) push(to, copy);
  else to.br.dev.stats.add(STAT_TX_DROPPED);
}

/** Consumes the frame. (`__br_forward`, `br_dev_queue_push_xmit`) */
function push(to: BridgePort, skb: SkBuff): void {
  const { dev } = to;
  if (!skbForwardTo(dev, skb)) return;
  if (!netpollTxRunning(dev)) {
    devQueueXmit(skb);
  } else if (to.np !== null) {
    netpollSendSkb(to.np, skb);
  } else {
    skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
  }
}
