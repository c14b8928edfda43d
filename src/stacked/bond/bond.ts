/**
 * struct bonding and struct slave: several devices that are one.
 *
 *     bond0 (NetDevice, priv = Bonding)
 *       slaves --> Slave --> eth0      in the order of enslaving
 *                  Slave --> eth1
 *       usableSlaves, allSlaves        what transmit looks at; rebuilt only when slaves change (slave_arr.ts)
 *       currActiveSlave, primarySlave  modes 1, 5 and 6 (select_active.ts)
 *       ad, alb                        what 802.3ad and balance-tlb/alb keep (ad_*.ts, alb.ts)
 *
 * Here is the state and what can be read off it. Who changes it: enslave.ts, release.ts, mii_monitor.ts, arp_monitor.ts,
 * options.ts; all in process context.
 */

import { Counters } from '../../base/counters.ts';
import { Prng } from '../../base/prng.ts';
import { STAT_NAMES, type StatName } from '../../device/link_stats.ts';
import type { Net, Notifier } from '../../device/net.ts';
import { type NetDevice, netifCarrierOk, netifRunning } from '../../device/net_device.ts';
import type { Inet } from '../../inet/inet.ts';
import type { Work } from '../../machine/timer.ts';
import type { Netpoll } from '../../netpoll/netpoll.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { FlowKeys } from '../../wire/flow_dissect.ts';
import type { AdBondInfo, AdPort } from './ad_port.ts';
import type { AlbBondInfo, TlbSlaveInfo } from './alb_info.ts';

export const BOND_MODE_ROUNDROBIN = 0;
export const BOND_MODE_ACTIVEBACKUP = 1;
export const BOND_MODE_XOR = 2;
export const BOND_MODE_BROADCAST = 3;
export const BOND_MODE_8023AD = 4;
export const BOND_MODE_TLB = 5;
export const BOND_MODE_ALB = 6;

/** Values of `params.xmitPolicy`. */
export const BOND_XMIT_POLICY_LAYER2 = 0;
export const BOND_XMIT_POLICY_LAYER34 = 1;
export const BOND_XMIT_POLICY_LAYER23 = 2;
export const BOND_XMIT_POLICY_ENCAP23 = 3;
export const BOND_XMIT_POLICY_ENCAP34 = 4;
export const BOND_XMIT_POLICY_VLAN_SRCMAC = 5;

/** Values of `slave.link`: what the monitor thinks of it. FAIL: going down; BACK: coming back. */
export const BOND_LINK_UP = 0;
export const BOND_LINK_FAIL = 1;
export const BOND_LINK_DOWN = 2;
export const BOND_LINK_BACK = 3;
/** `slave.newLink`: the monitor proposes nothing. */
export const BOND_LINK_NOCHANGE = -1;

/** Values of `slave.backup`. */
export const BOND_STATE_ACTIVE = 0;
export const BOND_STATE_BACKUP = 1;

/** `params.failOverMac`: who has which address (mac.ts). */
export const BOND_FOM_NONE = 0;
export const BOND_FOM_ACTIVE = 1;
export const BOND_FOM_FOLLOW = 2;

/** `params.primaryReselect`: when the primary slave becomes the active one again. */
export const BOND_PRI_RESELECT_ALWAYS = 0;
export const BOND_PRI_RESELECT_BETTER = 1;
export const BOND_PRI_RESELECT_FAILURE = 2;

/** `params.arpValidate`: bits over slave states, and a bit that lets only ARP and NS count as traffic. */
export const BOND_ARP_VALIDATE_NONE = 0;
export const BOND_ARP_VALIDATE_ACTIVE = 1 << BOND_STATE_ACTIVE;
export const BOND_ARP_VALIDATE_BACKUP = 1 << BOND_STATE_BACKUP;
export const BOND_ARP_VALIDATE_ALL = BOND_ARP_VALIDATE_ACTIVE | BOND_ARP_VALIDATE_BACKUP;
export const BOND_ARP_FILTER = 4;

/** `params.arpAllTargets`. */
export const BOND_ARP_TARGETS_ANY = 0;
export const BOND_ARP_TARGETS_ALL = 1;

/** `params.adSelect`. */
export const BOND_AD_STABLE = 0;
export const BOND_AD_BANDWIDTH = 1;
export const BOND_AD_COUNT = 2;
export const BOND_AD_PRIO = 3;

/** `params.lacpRate`. */
export const AD_LACP_SLOW = 0;
export const AD_LACP_FAST = 1;

export const BOND_MAX_ARP_TARGETS = 16;
export const BOND_MAX_NS_TARGETS = 16;

/** Values of `slave.duplex`. */
export const DUPLEX_HALF = 0;
export const DUPLEX_FULL = 1;
export const DUPLEX_UNKNOWN = 0xff;
export const SPEED_UNKNOWN = -1;

/** Modes as /proc/net/bonding names them. (`bond_mode_name`) */
export const BOND_MODE_NAMES = [
  'load balancing (round-robin)',
  'fault-tolerance (active-backup)',
  'load balancing (xor)',
  'fault-tolerance (broadcast)',
  'IEEE 802.3ad Dynamic link aggregation',
  'transmit load balancing',
  'adaptive load balancing',
] as const;

/** What users set (options.ts, which has names, ranges and who may set what when). Times in ms unless they say otherwise. */
export interface BondParams {
  mode: number;
  xmitPolicy: number;
  miimon: number;
  /** These three in ticks of miimon. */
  updelay: number;
  downdelay: number;
  peerNotifDelay: number;
  arpInterval: number;
  /** IPv4 addresses in host order; NS targets 16 bytes each. */
  arpTargets: number[];
  nsTargets: Uint8Array[];
  arpValidate: number;
  arpAllTargets: number;
  missedMax: number;
  useCarrier: boolean;
  failOverMac: number;
  /** Name of the primary slave, '' for none. */
  primary: string;
  primaryReselect: number;
  lacpActive: boolean;
  /** AD_LACP_SLOW or AD_LACP_FAST (`lacp_fast`). */
  lacpRate: number;
  adSelect: number;
  adActorSysPrio: number;
  /** 6 bytes; all zero: the bond's own address. */
  readonly adActorSystem: Uint8Array;
  adUserPortKey: number;
  minLinks: number;
  numPeerNotif: number;
  allSlavesActive: boolean;
  resendIgmp: number;
  /** Seconds between learning packets. */
  lpInterval: number;
  packetsPerSlave: number;
  tlbDynamicLb: boolean;
  coupledControl: boolean;
  broadcastNeigh: boolean;
}

/** The kernel's defaults. (`bond_check_params`) */
export function bondDefaultParams(): BondParams {
  return {
    mode: BOND_MODE_ROUNDROBIN,
    xmitPolicy: BOND_XMIT_POLICY_LAYER2,
    miimon: 0,
    updelay: 0,
    downdelay: 0,
    peerNotifDelay: 0,
    arpInterval: 0,
    arpTargets: [],
    nsTargets: [],
    arpValidate: BOND_ARP_VALIDATE_NONE,
    arpAllTargets: BOND_ARP_TARGETS_ANY,
    missedMax: 2,
    useCarrier: true,
    failOverMac: BOND_FOM_NONE,
    primary: '',
    primaryReselect: BOND_PRI_RESELECT_ALWAYS,
    lacpActive: true,
    lacpRate: AD_LACP_SLOW,
    adSelect: BOND_AD_STABLE,
    adActorSysPrio: 65535,
    adActorSystem: new Uint8Array(6),
    adUserPortKey: 0,
    minLinks: 0,
    numPeerNotif: 1,
    allSlavesActive: false,
    resendIgmp: 1,
    lpInterval: 1,
    packetsPerSlave: 1,
    tlbDynamicLb: true,
    coupledControl: true,
    broadcastNeigh: false,
  };
}

/** Sees a frame of a slave before the bond does; true: consumed. (`bond->recv_probe`) */
export type RecvProbe = (bond: Bonding, slave: Slave, skb: SkBuff) => boolean;

/** The driver state of a bond device. */
export class Bonding {
  readonly dev: NetDevice;
  readonly net: Net;
  readonly params: BondParams;
  readonly slaves: Slave[] = [];
  currActiveSlave: Slave | null = null;
  /** Active-backup with ARP monitoring and no active slave: the one that probes now. */
  currentArpSlave: Slave | null = null;
  primarySlave: Slave | null = null;
  /** The primary was just enslaved or chosen: it becomes active whatever primary_reselect says. */
  forcePrimary = false;
  /** What transmit chooses from: who can send (802.3ad: in the active aggregator); and everybody. */
  usableSlaves: Slave[] = [];
  allSlaves: Slave[] = [];
  /** Made by ad3Initialize (mode 4) and by bondAlbInitialize (modes 5 and 6). */
  ad: AdBondInfo | null = null;
  alb: AlbBondInfo | null = null;
  /** balance-rr: frames sent, on each CPU. */
  readonly rrTxCounter: Uint32Array;
  /** Scratch memory of the transmit hash (hash.ts). */
  readonly flowKeys: FlowKeys = new FlowKeys();
  /** Announcements of the bond's addresses still to be made. */
  sendPeerNotif = 0;
  igmpRetrans = 0;
  recvProbe: RecvProbe | null = null;
  /** While it is not 0 netpoll gets NETDEV_TX_BUSY from the bond: its slaves are changing. (`block_netpoll_tx`) */
  blockNetpollTx = 0;
  /** What slaves have counted since they joined (bond_stats.ts). */
  readonly total: Counters<StatName> = new Counters(STAT_NAMES);
  /** Chance, for addresses that are made up and for balance-rr with packets_per_slave=0. */
  readonly prng: Prng;
  /** The stack whose routes say where ARP and NS probes come from; null: probes have no source address. */
  inet: Inet | null = null;
  /** Monitors, armed while the bond is open (bond_dev.ts). */
  miiWork: Work | null = null;
  arpWork: Work | null = null;
  adWork: Work | null = null;
  albWork: Work | null = null;
  mcastWork: Work | null = null;
  /** When the MII monitor ran last, machine nanoseconds. */
  miiTickNs = Number.NEGATIVE_INFINITY;
  /** When the ARP monitor wants to run next. */
  arpDueNs = 0;
  /** Tells the bond what happens to its slaves. */
  notifier: Notifier | null = null;

  constructor(dev: NetDevice, params: BondParams, prng: Prng = new Prng(0x626f6e64)) {
    this.dev = dev;
    this.net = dev.net;
    this.params = params;
    this.prng = prng;
    this.rrTxCounter = new Uint32Array(dev.net.softnet.length);
  }
}

/** One device of a bond. */
export class Slave {
  readonly bond: Bonding;
  readonly dev: NetDevice;
  link = BOND_LINK_DOWN;
  /** What the monitor will make of `link` when it commits, or BOND_LINK_NOCHANGE. (`link_new_state`) */
  newLink = BOND_LINK_NOCHANGE;
  /** Ticks of the monitor until FAIL or BACK is over. */
  delay = 0;
  /** BOND_STATE_ACTIVE: may send. */
  backup = BOND_STATE_ACTIVE;
  /** Frames that come in here are not for the bond, unless all_slaves_active. */
  inactive = false;
  /** Machine nanoseconds: when the link came up, a frame came in, a frame was sent; a long time ago at first. */
  lastLinkUpNs = Number.NEGATIVE_INFINITY;
  lastRxNs = Number.NEGATIVE_INFINITY;
  /** The last frame that the ARP monitor knows of as sent (`last_tx`). */
  lastTxNs = Number.NEGATIVE_INFINITY;
  /** For each ARP target, then each NS target: when it was last heard through this slave. (`target_last_arp_rx`) */
  readonly targetLastArpRxNs: number[] = [];
  linkFailureCount = 0;
  /** Mb/s, -1 unknown; DUPLEX_*. */
  speed = SPEED_UNKNOWN;
  duplex = DUPLEX_UNKNOWN;
  /** What the device had before it was enslaved. */
  readonly permHwaddr = new Uint8Array(6);
  originalMtu = 0;
  queueId = 0;
  prio = 0;
  /** 802.3ad: its port. */
  ad: AdPort | null = null;
  /** The priority that users gave its port (`actor_port_prio`). */
  portPriority = 0xff;
  /** balance-tlb, balance-alb: its share of the hash table. */
  tlb: TlbSlaveInfo | null = null;
  /** What of the bond's PROMISC, ALLMULTI, addresses and groups it has been given (rx_mode.ts). */
  promisc = false;
  allmulti = false;
  /** And of its groups and further addresses, by their bytes. */
  readonly groups = new Map<string, Uint8Array>();
  readonly unicasts = new Map<string, Uint8Array>();
  /** The device's statistics that the bond's contain already. */
  stats: Counters<StatName> | null = null;
  /** Its own netpoll client while the bond is used by netpoll (bond_netpoll.ts). */
  np: Netpoll | null = null;

  constructor(bond: Bonding, dev: NetDevice) {
    this.bond = bond;
    this.dev = dev;
  }
}

/** The bond that `dev` is; dev must have been made by createBond. (`netdev_priv`) */
export function bondOf(dev: NetDevice): Bonding {
  return dev.priv as Bonding;
}

/** The slave that `dev` is of `bond`, or undefined. (`bond_get_slave_by_dev`) */
export function bondGetSlaveByDev(bond: Bonding, dev: NetDevice): Slave | undefined {
  const { slaves } = bond;
  for (let i = 0; i < slaves.length; i++) if (slaves[i]!.dev === dev) return slaves[i];
  return undefined;
}

/** Running, with a carrier. (`bond_slave_is_up`) */
export function bondSlaveIsUp(slave: Slave): boolean {
  return netifRunning(slave.dev) && netifCarrierOk(slave.dev);
}

export function bondIsActiveSlave(slave: Slave): boolean {
  return slave.backup === BOND_STATE_ACTIVE;
}

/** Up, the monitor agrees, and it is in use. (`bond_slave_can_tx`) */
export function bondSlaveCanTx(slave: Slave): boolean {
  return bondSlaveIsUp(slave) && slave.link === BOND_LINK_UP && bondIsActiveSlave(slave);
}

/** balance-tlb or balance-alb. (`bond_is_lb`) */
export function bondIsLb(bond: Bonding): boolean {
  return bond.params.mode === BOND_MODE_TLB || bond.params.mode === BOND_MODE_ALB;
}

/** One of these without the load table: slaves are chosen by hash. (`bond_is_nondyn_tlb`) */
export function bondIsNondynTlb(bond: Bonding): boolean {
  return bondIsLb(bond) && !bond.params.tlbDynamicLb;
}

/** Slaves are chosen by hash; in balance-alb without the load table only. (`bond_mode_uses_xmit_hash`) */
export function bondModeUsesXmitHash(bond: Bonding): boolean {
  const { mode } = bond.params;
  if (mode === BOND_MODE_ALB) return bondIsNondynTlb(bond);
  return mode === BOND_MODE_8023AD || mode === BOND_MODE_XOR || mode === BOND_MODE_TLB;
}

/** The mode has an active slave. (`bond_mode_uses_primary`) */
export function bondModeUsesPrimary(mode: number): boolean {
  return mode === BOND_MODE_ACTIVEBACKUP || mode === BOND_MODE_TLB || mode === BOND_MODE_ALB;
}

/** The mode can be monitored by ARP. (`bond_mode_uses_arp`) */
export function bondModeUsesArp(mode: number): boolean {
  return mode !== BOND_MODE_8023AD && mode !== BOND_MODE_TLB && mode !== BOND_MODE_ALB;
}

/** The primary slave where the mode has one. (`bond_uses_primary`) */
export function bondUsesPrimary(bond: Bonding): boolean {
  return bondModeUsesPrimary(bond.params.mode);
}

/** ARP and NS that come in on the slave are looked at. (`slave_do_arp_validate`) */
export function slaveDoArpValidate(bond: Bonding, slave: Slave): boolean {
  return (bond.params.arpValidate & (1 << slave.backup)) !== 0;
}

/** Only ARP and NS count as traffic on it. (`slave_do_arp_validate_only`) */
export function slaveDoArpValidateOnly(bond: Bonding): boolean {
  return (bond.params.arpValidate & BOND_ARP_FILTER) !== 0;
}

/** When the slave last heard what counts: anything, or its targets. (`slave_last_rx`) */
export function slaveLastRxNs(bond: Bonding, slave: Slave): number {
  if (!slaveDoArpValidate(bond, slave)) return slave.lastRxNs;
  return bond.params.arpAllTargets === BOND_ARP_TARGETS_ALL ? oldestTarget(bond, slave) : slave.lastRxNs;
}

function oldestTarget(bond: Bonding, slave: Slave): number {
  let oldest = Number.POSITIVE_INFINITY;
  const count = bond.params.arpTargets.length + bond.params.nsTargets.length;
  for (let i = 0; i < count; i++) oldest = Math.min(oldest, slave.targetLastArpRxNs[i] ?? slave.lastRxNs);
  return count === 0 ? slave.lastRxNs : oldest;
}
