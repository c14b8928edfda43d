/**
 * What a qemu port needs of its sockets, whichever kind they are: a way to a peer that comes and goes, and frames while it is there.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { FrameQueue } from './frame_queue.ts';

/** Given by the port. */
export interface ChannelSite {
  /** Monotonic nanoseconds. */
  now(): number;
  /** `up` is another than before. */
  changed(): void;
  /** Calls `advance` again after so long. */
  advanceIn(ms: number): void;
}

export interface QemuChannel {
  /** A peer is there. */
  readonly up: boolean;
  readonly tx: FrameQueue;
  /** The receiving half. */
  readonly rx: {
    frames: number;
    bytes: number;
    lengthErrors: number;
    noBuffer: number;
    /** Of a stream: lengths that are none. Of datagrams: answers that nobody is there. */
    badLengths?: number;
    refusals?: number;
  };
  /** Frames are here that have been read and not handed up. */
  readonly pending: boolean;
  /** Peers that came, and that were lost. */
  peers: number;
  lostPeers: number;
  /** Why the last peer was lost: an errno; 0: none was. */
  readonly lostBy: number;
  /** Goes as far towards a peer as it can without waiting. */
  advance(): void;
  rxBurst(out: FrameBatch, limit: number): number;
  txBurst(batch: FrameBatch, n: number): number;
  txReap(done: FrameBatch): number;
  /** Gives all memory and sockets back; tags of what waited can be reaped afterwards. */
  close(): void;
}
