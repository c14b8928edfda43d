/**
 * Tells when datagrams are lost before they reach the collector: dropped by the kernel because this process was too slow, or
 * by the port for want of a buffer. Silence and loss look alike to a collector, so somebody has to look.
 */

import type { NetDevice } from '../device/net_device.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { note } from './terminal.ts';

const LOOK_MS = 1000;
/** At most one line in so long a time. */
const TELL_MS = 10_000;
const LOST: readonly string[] = ['rx_dropped_kernel', 'rx_no_buffer', 'rx_length_errors', 'rx_cut_frames', 'rx_errors'];

export interface LossWatch {
  readonly add: (dev: NetDevice) => void;
  /** Ends it; the total by device and counter, for the summary. */
  readonly stop: () => string[];
}

export function watchLoss(): LossWatch {
  const devices: NetDevice[] = [];
  let told = 0;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const look = (): void => {
    const total = devices.reduce((sum, dev) => sum + lossOf(dev).reduce((n, [, lost]) => n + lost, 0), 0);
    if (total === told || performance.now() - toldAtMs < TELL_MS) return;
    note(`loss        ${total - told} datagrams did not reach the collector (${describe(devices).join('; ')})`);
    told = total;
    toldAtMs = performance.now();
  };
  const timer = setInterval(look, LOOK_MS).unref();
  return {
    add: (dev) => devices.push(dev),
    stop() {
      clearInterval(timer);
      return describe(devices);
    },
  };
}

function lossOf(dev: NetDevice): [string, number][] {
  const counters = nicPort(dev).counters.toJSON() as Record<string, number>;
  return LOST.map((name): [string, number] => [name, counters[name] ?? 0]).filter(([, lost]) => lost > 0);
}

function describe(devices: readonly NetDevice[]): string[] {
  return devices.flatMap((dev) => lossOf(dev).map(([name, lost]) => `${lost} ${name} on ${nicPort(dev).name}`));
}
