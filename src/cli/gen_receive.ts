/**
 * netpoll gen --receive: counts a generator's frames on a device until Ctrl-C.
 */
import { SetupError } from '../base/status.ts';
import { Pgrx } from '../clients/pktgen/pgrx.ts';
import { devSetPromiscuity } from '../device/change.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { createHostMachine } from '../host/host_machine.ts';
import type { GenFlags } from './gen.ts';
import { note, onStop } from './terminal.ts';

/** Throws SetupError. */
export function receive(spec: string, durationMs: number | null, flags: GenFlags): void {
  const host = createHostMachine();
  try {
    const dev = host.openDevice(spec, { timestamps: true });
    const pgrx = new Pgrx(dev);
    if (pgrx.start() < 0) throw new SetupError('ERR_NETPOLL_OPTIONS', `${spec}: somebody else has its frames`);
    devSetPromiscuity(dev, 1);
    note(`counting on ${nicPort(dev).name}; Ctrl-C ends`);
    let stopped = false;
    const stop = (): void => {
      if (stopped) return;
      stopped = true;
      clearTimeout(limit);
      pgrx.stop();
      const port = nicPort(dev).counters.toJSON() as Record<string, number>;
      host.close();
      process.stdout.write(`${flags.json === true ? JSON.stringify(counted(pgrx, port)) : told(pgrx, port)}\n`);
    };
    const limit = durationMs === null ? undefined : setTimeout(stop, durationMs);
    onStop(stop);
  } catch (error) {
    host.close();
    throw error;
  }
}

export interface Counted {
  readonly packets: number;
  readonly bytes: number;
  readonly lost: number;
  readonly reordered: number;
  readonly duplicated: number;
  readonly pps: number;
  readonly latencyUs: { readonly min: number; readonly avg: number; readonly max: number } | null;
  /** Of `lost`, what the port knows of. */
  readonly droppedKernel: number;
}

export function counted(pgrx: Pgrx, port: Readonly<Record<string, number>>): Counted {
  const seconds = (pgrx.lastNs - pgrx.firstNs) / 1e9;
  const round = (us: number): number => Math.round(us * 10) / 10;
  const { latencyMinUs: min, latencyAvgUs: avg, latencyMaxUs: max } = pgrx;
  return {
    packets: pgrx.packets,
    bytes: pgrx.bytes,
    lost: pgrx.lost,
    reordered: pgrx.reordered,
    duplicated: pgrx.duplicated,
    pps: seconds > 0 ? Math.round((pgrx.packets - 1) / seconds) : 0,
    latencyUs: Number.isFinite(min) ? { min: round(min), avg: round(avg), max: round(max) } : null,
    droppedKernel: port.rx_dropped_kernel ?? 0,
  };
}

function told(pgrx: Pgrx, port: Readonly<Record<string, number>>): string {
  const { packets, bytes, lost, reordered, duplicated, pps, latencyUs, droppedKernel } = counted(pgrx, port);
  const delay = latencyUs === null ? '' : `; delay ${latencyUs.min}/${latencyUs.avg}/${latencyUs.max} us min/avg/max`;
  const where = droppedKernel > 0 ? ` (${droppedKernel} for want of room in the ring)` : '';
  return `${packets} packets, ${bytes} bytes, ${pps}pps; lost ${lost}${where}, out of order ${reordered}, twice ${duplicated}${delay}`;
}
