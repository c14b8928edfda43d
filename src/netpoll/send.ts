/**
 * Sending without the stack: with interrupts off, inside an interrupt, after a panic.
 *
 *  1. A frame from the arena, else from the reserve, else poll and try again (reserve.ts).
 *  2. Payload in, then UDP, IP and Ethernet pushed in front of it (push.ts).
 *  3. The device is down: freed, NET_XMIT_DROP. Frames wait already: send those first, so that order is kept.
 *  4. This CPU is inside the driver, or polls it: never recurse. To the client's `drop`.
 *  5. For at most one tick: take the tx lock; not stopped: startXmit. Not taken: netpollPollDev, wait 50 us, again.
 *  6. Still not taken: to the client's `drop` (netpollQueue unless it chose another), counted.
 *
 * Nothing here calls the stack, waits for anything but the device, or prints.
 */
import { devXmitComplete, Errno, NET_XMIT_DROP, NETDEV_TX_OK } from '../base/status.ts';
import { devOf, type NetDevice, netifDevicePresent, netifRunning } from '../device/net_device.ts';
import { txTrylock, txUnlock } from '../device/netdev_queue.ts';
import { vlanHwOffloadCapable } from '../device/vlan_offload.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { type SkBuff, skbPut } from '../skb/sk_buff.ts';
import { vlanPushInside } from '../skb/vlan_tag.ts';
import { copyIn } from './copy_in.ts';
import type { Netpoll, NetpollPeer } from './netpoll.ts';
import { type NetpollInfo, NP_SENT, NP_SPINS, npinfoOf } from './npinfo.ts';
import { netpollOwnsPoll, netpollPollDev } from './poll.ts';
import { pushHeaders } from './push.ts';
import { findSkb, MAX_UDP_CHUNK } from './reserve.ts';
import { netpollProcessQueue, netpollTxQueue } from './txq.ts';

/** How long one wait between two tries lasts. */
const UDELAY_NS = 50_000;

/**
 * Sends bytes[offset..offset+len) as one datagram from the client to `to` (its own remote end if absent). NETDEV_TX_OK: sent, or kept for
 * later. NET_XMIT_DROP: the device is down, or `drop` did not keep it. -ENOMEM: no frame. -EINVAL: more than 1460 bytes, or `to` has an
 * address of the other family. The bytes stay the caller's.
 */
export function netpollSendUdp(
  np: Netpoll,
  bytes: Uint8Array,
  offset = 0,
  len = bytes.length - offset,
  to: NetpollPeer = np,
): number {
  const { dev } = np;
  const info = dev === null ? null : npinfoOf(dev);
  if (dev === null || info === null || np.localIp === null) return NET_XMIT_DROP;
  if (len > MAX_UDP_CHUNK || np.localIp.family !== to.remoteIp.family) return -Errno.EINVAL;
  const skb = findSkb(info, len);
  if (skb === null) {
    info.counters.count('no_memory');
    return -Errno.ENOMEM;
  }
  copyIn(info, skbPut(skb, len), bytes, offset, len);
  pushHeaders(skb, np, dev, np.localIp, to);
  skb.dev = dev;
  return netpollSendSkb(np, skb);
}

/**
 * Sends a frame that has all its headers through `skb.dev`, which may be another device than the client's (a bond's slave).
 * The frame is consumed. Status as of netpollSendUdp. Bound: one tick, and the frames that wait already.
 */
export function netpollSendSkb(np: Netpoll, skb: SkBuff): number {
  const dev = devOf(skb);
  const info = npinfoOf(dev);
  if (info === null || !netifRunning(dev) || !netifDevicePresent(dev)) {
    info?.counters.count('not_running');
    skb.pool.kfree(skb, DropReason.NETPOLL_NOT_RUNNING);
    return NET_XMIT_DROP;
  }
  if (skb.vlanTci >= 0 && !vlanHwOffloadCapable(dev.features, skb.vlanTci) && !vlanPushInside(skb)) {
    info.counters.count('dropped');
    skb.pool.kfree(skb, DropReason.NOMEM);
    return NET_XMIT_DROP;
  }
  const queue = dev.ops.selectQueue?.(dev, skb) ?? -1;
  if (queue >= 0) skb.queueMapping = queue;
  const cpu = dev.net.machine.cpu;
  const irqs = cpu.localIrqSave();
  const recursion = isRecursion(info, skb);
  if (!recursion && info.txq.length > 0) netpollProcessQueue(info);
  const sent = !recursion && info.txq.length === 0 && tryToSend(info, skb);
  const status = sent ? NETDEV_TX_OK : giveUp(np, info, skb);
  cpu.localIrqRestore(irqs);
  if (sent) info.counters.values[NP_SENT]!++;
  return status;
}

/**
 * Whether a stacked device that is asked to send must send by its lower device's netpoll, because whoever asks has interrupts
 * off: devQueueXmit may not be called then. (`netpoll_tx_running`)
 */
export function netpollTxRunning(dev: NetDevice): boolean {
  return dev.net.machine.cpu.irqsDisabled;
}

/** The client's `drop` takes the frame; it is freed where there is none. */
function giveUp(np: Netpoll, info: NetpollInfo, skb: SkBuff): number {
  if (np.drop !== null) return np.drop(np, skb);
  info.counters.count('dropped');
  skb.pool.kfree(skb, DropReason.NETPOLL_DROPPED);
  return NET_XMIT_DROP;
}

/** This CPU is inside the device's driver or poll. */
function isRecursion(info: NetpollInfo, skb: SkBuff): boolean {
  const { dev } = info;
  const txq = netpollTxQueue(dev, skb);
  return txq.xmitLockOwner === dev.net.machine.cpu.id || netpollOwnsPoll(dev);
}

/** True: the driver has the frame. */
function tryToSend(info: NetpollInfo, skb: SkBuff): boolean {
  const { dev } = info;
  const { machine } = dev.net;
  const txq = netpollTxQueue(dev, skb);
  let tries = 0;
  for (let i = 0; i <= tries; i++) {
    if (txTrylock(txq, machine.cpu.id)) {
      txq.xmitMore = false;
      const taken = !txq.frozenOrStopped && devXmitComplete(dev.ops.startXmit(skb, dev, txq));
      txUnlock(txq);
      if (taken) {
        // For the watchdog, where the driver has one: a reading of the clock is a tenth of what a send costs.
        if (dev.ops.txTimeout !== undefined) txq.transStartNs = machine.executive.now();
        return true;
      }
    }
    if (i === 0) tries = Math.max(1, Math.floor(machine.jiffyNs / UDELAY_NS)) - 1;
    netpollPollDev(dev);
    info.counters.values[NP_SPINS]!++;
    machine.executive.spin(UDELAY_NS);
  }
  return false;
}
