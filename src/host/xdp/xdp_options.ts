/**
 * What an xdp port can be asked for, and what it got.
 */

/** Where the frames are taken, and who copies them. */
export const XDP_MODES = ['native-zerocopy', 'native-copy', 'generic-copy'] as const;
/**
 * native-zerocopy: the card writes into our slots. native-copy: the driver hands its buffers to the program, the kernel copies.
 * generic-copy: any interface; the kernel has made an sk_buff already.
 */
export type XdpMode = (typeof XDP_MODES)[number];

export interface BusyPoll {
  /** How long one call polls the device: 1 to 1000000. */
  readonly usecs: number;
  /** Frames of one poll, where a socket polls. */
  readonly budget: number;
  /** How long the device's interrupts stay away after a call, in microseconds; 2000 if absent. */
  readonly deferUsecs?: number;
}

export interface XdpPortOptions {
  /** Only this mode; the best that there is if absent. */
  readonly xdpMode?: XdpMode;
  /** Redirect UDP datagrams to this port only; the kernel's stack gets the rest. If absent it gets nothing. */
  readonly udpPort?: number;
  /** Slots that each queue gives to the kernel: a power of two; 2048 if absent, or less if the arena has fewer to spare. */
  readonly rxRing?: number;
  /** Descriptors of each transmit ring: a power of two; 1024 if absent. */
  readonly txRing?: number;
  /**
   * While a queue is busy, receive calls on its empty ring drive the device, whose interrupts stay off meanwhile (napi_drive.ts, which also
   * sets the interface's napi_defer_hard_irqs and gro_flush_timeout for it).
   */
  readonly busyPoll?: BusyPoll;
}

/** What became of it when the port was opened. */
export interface XdpReport {
  readonly mode: XdpMode;
  /** How our calls drive the device; null: busy poll was not asked for, or is not to be had (`refused` says why). */
  readonly busyPoll: 'socket' | 'io_uring' | null;
  /** True: the program was there already, from another port of ours on the same interface. */
  readonly joined: boolean;
  readonly queues: readonly number[];
  readonly rxRing: number;
  readonly txRing: number;
  /** Longest frame, Ethernet header included. */
  readonly frameMax: number;
  /** Why better modes were not taken, in the order in which they were tried. */
  readonly refused: readonly string[];
}

/** One line: `native-copy, queue 0, rings 2048/1024, frames up to 1792 bytes (refused: ...)`. */
export function printXdpReport(report: XdpReport): string {
  const { mode, queues, rxRing, txRing, frameMax, refused } = report;
  const by = report.busyPoll === null ? '' : `, busy poll by ${report.busyPoll}`;
  const extras = [by, report.joined ? ', joined' : ''].join('');
  const why = refused.length === 0 ? '' : ` (refused: ${refused.join('; ')})`;
  const which = `queue${queues.length > 1 ? 's' : ''} ${queues.join(' ')}`;
  return `${mode}${extras}, ${which}, rings ${rxRing}/${txRing}, frames up to ${frameMax} bytes${why}`;
}
