/**
 * The application drives the device: a receive call on an empty ring polls the queue's NAPI instance, on our processor and in our time.
 *
 *     ring empty --> drive() --> the driver's poll: frames from the card, through the program, into our ring --> burst
 *     nobody asks --> the card's queue overflows: at the card, or on a veth at its sender; nothing of it costs us anything
 *
 *   socket     recv(): the socket knows its instance (zero copy; a driver that names its queues' instances; kernels before 6.13)
 *   io_uring   the instance is named by its id (sys/uring_napi.ts): Linux 6.13, for copy mode and for veth
 *
 * Between two calls the device's interrupt has to stay away: napi_defer_hard_irqs and gro_flush_timeout of the interface, which are set
 * for as long as the port is open where nobody has set them (kept_settings.ts).
 */
import { SetupError } from '../../base/status.ts';
import { KeptSettings } from '../kept_settings.ts';
import { napiIds } from '../netlink/napi_ids.ts';
import { libc } from '../sys/libc.ts';
import { MSG_DONTWAIT } from '../sys/socket.ts';
import { openUringNapi } from '../sys/uring_napi.ts';
import { incomingNapiId } from '../sys/xdp.ts';
import type { BusyPoll } from './xdp_options.ts';

/** How long nobody may come before a timer polls; and how often in a row it finds nothing before the interrupt is unmasked. */
const DEFER_USECS = 2000;
const DEFER_IRQS = 2;

export interface NapiDrive {
  readonly by: 'socket' | 'io_uring';
  /** Polls the queue: one system call. */
  drive(): void;
  close(): void;
}

/** Of each queue, by the descriptor of the socket that receives from it; the program is attached. Throws SetupError: why not. */
export function openNapiDrives(
  ifindex: number,
  queues: readonly { readonly queue: number; readonly fd: number }[],
  { usecs }: BusyPoll,
): NapiDrive[] {
  const drives: NapiDrive[] = [];
  let ids: readonly (number | undefined)[] | undefined;
  try {
    for (const { queue, fd } of queues) {
      if (incomingNapiId(fd) !== 0) {
        drives.push(bySocket(fd));
        continue;
      }
      ids ??= napiIds(ifindex);
      const id = ids[queue];
      if (id === undefined) {
        const message = `the kernel does not say which NAPI instance polls queue ${queue}`;
        throw new SetupError('ERR_NETPOLL_NO_BUSY_POLL', message);
      }
      const ring = openUringNapi(id, usecs);
      drives.push({ by: 'io_uring', drive: () => ring.drive(), close: () => ring.close() });
    }
    return drives;
  } catch (error) {
    for (const each of drives) each.close();
    throw error;
  }
}

/** A socket that the kernel lets poll: where it learns its instance from the first frame, from then on. */
export function bySocket(fd: number): NapiDrive {
  const nothing = Buffer.alloc(1);
  return { by: 'socket', drive: () => libc().recv(fd, nothing, 0, MSG_DONTWAIT), close: () => {} };
}

/** Keeps the interface's interrupts away between two calls, unless that is so already. */
export function deferInterrupts(name: string, { deferUsecs = DEFER_USECS }: BusyPoll): KeptSettings {
  const at = `/sys/class/net/${name}`;
  const wanted = [
    { path: `${at}/napi_defer_hard_irqs`, value: String(DEFER_IRQS) },
    { path: `${at}/gro_flush_timeout`, value: String(deferUsecs * 1000) },
  ];
  return new KeptSettings(wanted, (now) => now === '0');
}

/** What was done, for the port's notices. */
export function printDeferral({ before, refused }: KeptSettings): string {
  const word = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const done = before.map(({ path, value }) => `${word(path)} (was ${value})`);
  const changed = done.length === 0 ? [] : [`set ${done.join(' and ')} until it is closed`];
  return [...changed, ...refused].join('; ');
}
