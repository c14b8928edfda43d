/**
 * What ethtool asks a driver (`struct ethtool_ops`), and how it is asked: checks that every driver would have to make stand
 * here once. Process context; 0 or a negative errno.
 *
 * Counts and names of a driver's statistics stay the same from registration on; names have at most 31 characters.
 */
import { assert } from '../base/assert.ts';
import { Errno } from '../base/status.ts';
import { COALESCE_DEFAULTS, type CoalesceName, type CoalesceParams } from './coalesce.ts';
import { type NetDevice, netifCarrierOk, netifRunning } from './net_device.ts';

export interface Drvinfo {
  readonly driver: string;
  readonly version: string;
  readonly busInfo: string;
  readonly firmwareVersion?: string;
}

/** Descriptors of a ring (`ethtool -g`, `-G`). */
export interface Ringparam {
  rx: number;
  tx: number;
  readonly rxMax: number;
  readonly txMax: number;
}

/** Queues (`ethtool -l`, `-L`). */
export interface Channels {
  rx: number;
  tx: number;
  combined: number;
  readonly rxMax: number;
  readonly txMax: number;
  readonly combinedMax: number;
}

/** The link (`ethtool DEV`): speed in Mbit/s, -1 if nobody knows. */
export interface LinkKsettings {
  speed: number;
  duplex: 'half' | 'full' | 'unknown';
  autoneg: boolean;
  readonly port: string;
}

export interface EthtoolOps {
  /** Before and after each of the others; a negative errno from `begin` is what the caller gets. */
  begin?(dev: NetDevice): number;
  complete?(dev: NetDevice): void;
  getDrvinfo?(dev: NetDevice): Drvinfo;
  getLink?(dev: NetDevice): boolean;
  getLinkKsettings?(dev: NetDevice): LinkKsettings;
  setLinkKsettings?(dev: NetDevice, settings: LinkKsettings): number;
  nwayReset?(dev: NetDevice): number;
  getRingparam?(dev: NetDevice): Ringparam;
  setRingparam?(dev: NetDevice, rx: number, tx: number): number;
  /** Parameters that setCoalesce understands; any other that is not 0 is refused before it is called. */
  readonly supportedCoalesceParams?: readonly CoalesceName[];
  getCoalesce?(dev: NetDevice): CoalesceParams;
  setCoalesce?(dev: NetDevice, params: CoalesceParams): number;
  getChannels?(dev: NetDevice): Channels;
  setChannels?(dev: NetDevice, rx: number, tx: number, combined: number): number;
  /** Names and values of the driver's own statistics, in one order. */
  getStrings?(dev: NetDevice): readonly string[];
  getEthtoolStats?(dev: NetDevice, out: Float64Array): void;
  /** Receive hashing: the indirection table and the key (`ethtool -x`). */
  getRxfh?(dev: NetDevice): { readonly indirection: readonly number[]; readonly key: Uint8Array };
  setRxfh?(dev: NetDevice, indirection: readonly number[], key: Uint8Array | null): number;
  selfTest?(dev: NetDevice): readonly { readonly name: string; readonly failed: boolean }[];
  getMsglevel?(dev: NetDevice): number;
  setMsglevel?(dev: NetDevice, level: number): void;
}

/** Does the device have a link? Asks the driver, else the carrier. (`ETHTOOL_GLINK`) */
export function ethtoolGetLink(dev: NetDevice): boolean {
  return dev.ethtoolOps?.getLink?.(dev) ?? (netifRunning(dev) && netifCarrierOk(dev));
}

/** The driver's statistics by name, or null if it has none. (`ETHTOOL_GSTATS`) */
export function ethtoolGetStats(dev: NetDevice): ReadonlyMap<string, number> | null {
  const ops = dev.ethtoolOps;
  if (ops?.getStrings === undefined || ops.getEthtoolStats === undefined) return null;
  const names = ops.getStrings(dev);
  const values = new Float64Array(names.length);
  ops.getEthtoolStats(dev, values);
  return new Map(
    names.map((name, i) => {
      assert(name.length > 0 && name.length < 32, 'the name of a statistic has 1 to 31 characters');
      return [name, values[i]!];
    }),
  );
}

/** Other ring sizes; refused where they are 0 or above the maximum. (`ETHTOOL_SRINGPARAM`) */
export function ethtoolSetRingparam(dev: NetDevice, rx: number, tx: number): number {
  const ops = dev.ethtoolOps;
  if (ops?.setRingparam === undefined || ops.getRingparam === undefined) return -Errno.EOPNOTSUPP;
  const now = ops.getRingparam(dev);
  if (!(rx >= 0 && rx <= now.rxMax && tx >= 0 && tx <= now.txMax)) return -Errno.EINVAL;
  return within(dev, () => ops.setRingparam!(dev, rx, tx));
}

/** Other numbers of queues; there must be a receiver and a sender among them. (`ETHTOOL_SCHANNELS`) */
export function ethtoolSetChannels(dev: NetDevice, rx: number, tx: number, combined: number): number {
  const ops = dev.ethtoolOps;
  if (ops?.setChannels === undefined || ops.getChannels === undefined) return -Errno.EOPNOTSUPP;
  const now = ops.getChannels(dev);
  if (rx > now.rxMax || tx > now.txMax || combined > now.combinedMax) return -Errno.EINVAL;
  if (combined === 0 && (rx === 0 || tx === 0)) return -Errno.EINVAL;
  return within(dev, () => ops.setChannels!(dev, rx, tx, combined));
}

/** Other coalescing: those of `changes`; a parameter that the driver does not know is refused. (`ETHTOOL_SCOALESCE`) */
export function ethtoolSetCoalesce(dev: NetDevice, changes: Partial<CoalesceParams>): number {
  const ops = dev.ethtoolOps;
  if (ops?.setCoalesce === undefined || ops.getCoalesce === undefined) return -Errno.EOPNOTSUPP;
  const known = ops.supportedCoalesceParams ?? [];
  for (const name of Object.keys(changes) as CoalesceName[]) {
    const value = changes[name];
    if (value !== COALESCE_DEFAULTS[name] && !known.includes(name)) return -Errno.EOPNOTSUPP;
  }
  return within(dev, () => ops.setCoalesce!(dev, { ...ops.getCoalesce!(dev), ...changes }));
}

function within(dev: NetDevice, change: () => number): number {
  const begun = dev.ethtoolOps?.begin?.(dev) ?? 0;
  if (begun < 0) return begun;
  const status = change();
  dev.ethtoolOps?.complete?.(dev);
  return status;
}
