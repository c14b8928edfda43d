/**
 * The application drives the device: a receive call on an empty ring polls the queue's NAPI instance, on our processor and in our time.
 *
 *     ring empty --> drive() --> the driver's poll: frames from the card, through the program, into our ring --> burst
 *     nobody asks --> the card's queue overflows: at the card, or on a veth at its sender; nothing of it costs us anything
 *
 *   socket     recv(): the socket knows its instance (zero copy; a driver that names its queues' instances; kernels before 6.13)
 *   io_uring   the instance is named by its id (sys/uring_napi.ts): Linux 6.13, for copy mode and for veth
 *
 * Between two calls the device's interrupt has to stay away: by napi_defer_hard_irqs of the interface, set for as long as the port is open, and
 * gro_flush_timeout, set while a queue is busy, where nobody else has set them (kept_settings.ts). On a quiet line the device interrupts, and
 * is not asked: who asked would take 50 us for nothing, and keep the next frame waiting.
 *
 *     quiet --BUSY_FRAMES while the interrupt was masked--> busy --unmasked again and again, for QUIET_NS, after fewer--> quiet
 */
import { writeFileSync } from 'node:fs';
import { SetupError } from '../../base/status.ts';
import type { Executive } from '../../machine/executive.ts';
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
/** More than a call finds on a line that is not busy. */
const BUSY_FRAMES = 128;
const QUIET_NS = 20e6;

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

/** One queue: whether it is busy, and then asked. */
export class DrivenQueue {
  readonly #drive: NapiDrive;
  readonly #deferral: Deferral;
  readonly #executive: Executive;
  #busy = false;
  /** Taken since the interrupt was masked. */
  #frames = 0;
  #busyAtNs = 0;

  constructor(drive: NapiDrive, deferral: Deferral, executive: Executive) {
    this.#drive = drive;
    this.#deferral = deferral;
    this.#executive = executive;
  }

  /** So many frames were in the ring. */
  took(n: number): void {
    this.#frames += n;
  }

  /** The ring is empty. True: the device was asked, look again. */
  ask(): boolean {
    if (!this.#busy) {
      if (this.#frames < BUSY_FRAMES) return false;
      this.#busy = true;
      this.#busyAtNs = this.#executive.now();
      this.#deferral.hold(1);
    }
    this.#drive.drive();
    return true;
  }

  /** The interrupt is being unmasked. */
  unmasked(): void {
    const frames = this.#frames;
    this.#frames = 0;
    if (!this.#busy) return;
    const now = this.#executive.now();
    if (frames >= BUSY_FRAMES) this.#busyAtNs = now;
    else if (now - this.#busyAtNs > QUIET_NS) this.#quiet();
  }

  close(): void {
    if (this.#busy) this.#quiet();
    this.#drive.close();
  }

  #quiet(): void {
    this.#busy = false;
    this.#deferral.hold(-1);
  }
}

/** Keeps the interface's interrupts away between two calls, while one of its queues is busy. */
export class Deferral {
  readonly #kept: KeptSettings;
  readonly #path: string;
  readonly #value: string;
  /** gro_flush_timeout is ours to change. */
  readonly #ours: boolean;
  #busy = 0;

  constructor(name: string, { deferUsecs = DEFER_USECS }: BusyPoll) {
    const at = `/sys/class/net/${name}`;
    this.#path = `${at}/gro_flush_timeout`;
    this.#value = String(deferUsecs * 1000);
    const wanted = [
      { path: `${at}/napi_defer_hard_irqs`, value: String(DEFER_IRQS) },
      { path: this.#path, value: this.#value },
    ];
    this.#kept = new KeptSettings(wanted, (now) => now === '0');
    this.#ours = this.#kept.before.some(({ path }) => path === this.#path);
    this.#write('0');
  }

  /** A queue has become busy (1), or quiet (-1). */
  hold(change: 1 | -1): void {
    this.#busy += change;
    if (change === 1 && this.#busy === 1) this.#write(this.#value);
    else if (this.#busy === 0) this.#write('0');
  }

  /** Puts the settings back. */
  close(): void {
    this.#kept.close();
  }

  /** What was done, for the port's notices; empty: nothing. */
  get said(): string {
    const { before, refused } = this.#kept;
    const word = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
    const done = before.map(({ path, value }) => `${word(path)} (was ${value})`);
    const changed = done.length === 0 ? [] : [`sets ${done.join(', and while it is busy ')} until it is closed`];
    return [...changed, ...refused].join('; ');
  }

  /** An interface that is gone, or has another name, has nothing to be set. */
  #write(value: string): void {
    if (!this.#ours) return;
    try {
      writeFileSync(this.#path, value);
    } catch {
      // As above.
    }
  }
}
