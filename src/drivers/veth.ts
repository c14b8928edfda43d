// hot
/**
 * veth: two devices with a cable between them, in one machine or in two of one world. What one sends, the other receives.
 *
 *     a.startXmit --> fits? up? --> scrub, ethTypeTrans on b --+-- gro: ring of b (256) --> NAPI poll of b --> napi.receive
 *                                                              +-- else: netif_rx of b's CPU --> backlog
 *
 * In one machine the frame itself goes over; between two its bytes are copied, for each has its own arena. An end has carrier
 * while both are up. Counters as the kernel's: sent counts what the peer took; what it did not take is tx_dropped.
 */
import { NET_RX_SUCCESS, NETDEV_TX_OK, SetupError } from '../base/status.ts';
import { ethMacAddr } from '../device/dev_addr.ts';
import { allocEtherdev, ethTypeTrans } from '../device/eth.ts';
import type { EthtoolOps } from '../device/ethtool.ts';
import { NETIF_F_FRAGLIST, NETIF_F_HIGHDMA, NETIF_F_HW_CSUM, NETIF_F_RXCSUM, NETIF_F_SG } from '../device/features.ts';
import {
  type NapiStruct,
  napiCompleteDone,
  napiDisable,
  napiEnable,
  napiSchedule,
  netifNapiAdd,
} from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import {
  type DeviceOps,
  IFF_UP,
  type NetDevice,
  netifCarrierOff,
  netifCarrierOk,
  netifCarrierOn,
  STAT_RX_BYTES,
  STAT_RX_DROPPED,
  STAT_RX_PACKETS,
  STAT_TX_BYTES,
  STAT_TX_DROPPED,
  STAT_TX_PACKETS,
} from '../device/net_device.ts';
import { netifStartQueue, netifStopQueue } from '../device/netdev_queue.ts';
import { registerNetdevice, unregisterNetdevice } from '../device/register.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_HLEN } from '../wire/eth.ts';
import { skbCopyAcross } from './across.ts';
import { skbForwardable, skbScrub } from './forward.ts';

/** Pieces and checksums are the peer's business. */
const VETH_FEATURES = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_HIGHDMA;
/** Frames that wait for a peer's poll. (`VETH_RING_SIZE`) */
const VETH_RING_SIZE = 256;
const VETH_MTU_MAX = 65535;

export interface VethEnd {
  readonly net: Net;
  /** Hardware address, 6 bytes. */
  readonly mac: Uint8Array;
  /** `veth%d` if absent. */
  readonly name?: string;
  /** Receive by NAPI, so that frames can be merged; else through the backlog. (`ethtool -K veth0 gro on`) */
  readonly gro?: boolean;
}

class Veth {
  readonly gro: boolean;
  readonly ring = new SkbQueue(VETH_RING_SIZE);
  napi: NapiStruct | null = null;
  peer: NetDevice | null = null;

  constructor(gro: boolean) {
    this.gro = gro;
  }
}

/** Makes and registers both ends; they are down and without carrier. Throws SetupError `ERR_NETPOLL_NAME`, and nothing is left then. */
export function createVethPair(a: VethEnd, b: VethEnd): [NetDevice, NetDevice] {
  const first = createEnd(a);
  let second: NetDevice;
  try {
    second = createEnd(b);
  } catch (error) {
    unregisterNetdevice(first);
    throw error;
  }
  vethOf(first).peer = second;
  vethOf(second).peer = first;
  first.iflink = second.ifindex;
  second.iflink = first.ifindex;
  // What they are to each other is known now: their state follows.
  for (const end of [first, second]) end.net.linkwatch.fire(end);
  return [first, second];
}

/** Takes both ends away. (`veth_dellink`) */
export function removeVethPair(dev: NetDevice): void {
  const { peer } = vethOf(dev);
  unregisterNetdevice(dev);
  vethOf(dev).peer = null;
  if (peer === null) return;
  unregisterNetdevice(peer);
  vethOf(peer).peer = null;
}

function createEnd(end: VethEnd): NetDevice {
  const name = end.name ?? 'veth%d';
  const veth = new Veth(end.gro ?? false);
  const dev = allocEtherdev(end.net, { name, ops: VETH_OPS, priv: veth });
  dev.devAddr.set(end.mac);
  dev.noQueue = true;
  dev.features = VETH_FEATURES;
  dev.hwFeatures = VETH_FEATURES;
  dev.maxMtu = VETH_MTU_MAX;
  dev.liveAddrChange = true;
  dev.ethtoolOps = VETH_ETHTOOL_OPS;
  netifCarrierOff(dev);
  veth.napi = netifNapiAdd(dev, (napi, budget) => vethPoll(veth, napi, budget));
  if (registerNetdevice(dev) < 0) {
    throw new SetupError('ERR_NETPOLL_NAME', `cannot register ${name}: the name is taken or not valid`);
  }
  return dev;
}

function vethOf(dev: NetDevice): Veth {
  return dev.priv as Veth;
}

const VETH_OPS: DeviceOps = {
  /** (`veth_open`) */
  open(dev) {
    const { peer, napi, gro } = vethOf(dev);
    if (gro) napiEnable(napi!);
    netifStartQueue(dev.txQueues[0]!);
    if (peer !== null && (peer.flags & IFF_UP) !== 0) {
      netifCarrierOn(dev);
      netifCarrierOn(peer);
    }
    return 0;
  },

  /** (`veth_close`) */
  stop(dev) {
    const { peer, napi, ring, gro } = vethOf(dev);
    netifStopQueue(dev.txQueues[0]!, dev.net.machine.executive.now());
    netifCarrierOff(dev);
    if (peer !== null) netifCarrierOff(peer);
    if (gro) napiDisable(napi!);
    ring.purge(DropReason.QUEUE_PURGE);
  },

  /** Always takes the frame: what the peer does not take is dropped here. (`veth_xmit`) */
  startXmit(skb, dev) {
    const { peer } = vethOf(dev);
    const len = skb.len;
    if (peer !== null && vethForward(skb, peer)) {
      dev.stats.add(STAT_TX_PACKETS);
      dev.stats.add(STAT_TX_BYTES, len);
      return NETDEV_TX_OK;
    }
    if (peer === null) skb.pool.kfree(skb, DropReason.NO_TX_TARGET);
    dev.stats.add(STAT_TX_DROPPED);
    return NETDEV_TX_OK;
  },

  /** What the peer has sent waits for our poll, if there is one; netpoll runs it after this. */
  pollController(dev) {
    const veth = vethOf(dev);
    if (veth.gro && veth.ring.length > 0) napiSchedule(veth.napi!);
  },

  setMacAddress: ethMacAddr,

  link: netifCarrierOk,
};

/** What a cable between two tables in memory is said to be. (`veth_get_link_ksettings`) */
const VETH_ETHTOOL_OPS: EthtoolOps = {
  getLinkKsettings: () => ({ speed: 10_000, duplex: 'full', autoneg: false, port: 'Twisted Pair' }),
};

/** The frame is consumed. False: the peer did not take it. (`veth_forward_skb`, `__dev_forward_skb`) */
function vethForward(sent: SkBuff, peer: NetDevice): boolean {
  if (!skbForwardable(peer, sent) || sent.len < ETH_HLEN) {
    peer.stats.add(STAT_RX_DROPPED);
    sent.pool.kfree(sent, (peer.flags & IFF_UP) === 0 ? DropReason.DEV_READY : DropReason.PKT_TOO_BIG);
    return false;
  }
  const skb = cross(sent, peer);
  if (skb === null) return false;
  const { gro, ring, napi } = vethOf(peer);
  skbScrub(skb);
  const len = skb.len;
  skb.protocol = ethTypeTrans(skb, peer);
  if (!gro) {
    const { net } = peer;
    if (net.softnet[net.machine.cpu.id]!.enqueue(skb) !== NET_RX_SUCCESS) return false;
    countReceived(peer, len);
    return true;
  }
  if (!ring.queueTail(skb)) {
    peer.stats.add(STAT_RX_DROPPED);
    skb.pool.kfree(skb, DropReason.FULL_RING);
    return false;
  }
  napiSchedule(napi!);
  return true;
}

/** The frame in the peer's memory; null: it has none, and the frame is gone. */
function cross(sent: SkBuff, peer: NetDevice): SkBuff | null {
  const pool = peer.net.machine.skbs;
  if (pool === sent.pool) return sent;
  const skb = skbCopyAcross(sent, pool);
  if (skb !== null) {
    sent.pool.consume(sent);
    return skb;
  }
  peer.stats.add(STAT_RX_DROPPED);
  sent.pool.kfree(sent, DropReason.NOMEM);
  return null;
}

/** Bound: `budget` frames. (`veth_poll`) */
function vethPoll(veth: Veth, napi: NapiStruct, budget: number): number {
  let work = 0;
  while (work < budget) {
    const skb = veth.ring.dequeue();
    if (skb === null) break;
    countReceived(napi.dev, skb.len + ETH_HLEN);
    skb.napiId = napi.id;
    napi.receive(skb);
    work++;
  }
  if (work < budget) napiCompleteDone(napi, work);
  return work;
}

function countReceived(dev: NetDevice, len: number): void {
  dev.stats.add(STAT_RX_PACKETS);
  dev.stats.add(STAT_RX_BYTES, len);
}
