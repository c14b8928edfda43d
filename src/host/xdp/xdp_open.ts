/**
 * Opening an interface for AF_XDP in the best mode that it has: sockets first, then the program, so that no frame is sent to a
 * socket that is not ready.
 *
 *     native, zero copy  -->  native, the kernel copies  -->  generic
 *       bind() decides these two by itself       attach decides this one
 *
 * XDP says nothing of checksums. The wire of a veth is memory, and its other end leaves them out: frames from it need none.
 * A mode that was asked for by name is the only one that is tried.
 */
import { release } from 'node:os';
import { SetupError } from '../../base/status.ts';
import { CHECKSUM_NONE, CHECKSUM_UNNECESSARY } from '../../skb/checksum_state.ts';
import type { HostArena } from '../arena.ts';
import { interfaceChannels, interfaceDriver } from '../sys/interface_driver.ts';
import { bySocket, type NapiDrive, openNapiDrives } from './napi_drive.ts';
import { type Attachment, attachXdp } from './xdp_attach.ts';
import type { XdpMode, XdpPortOptions, XdpReport } from './xdp_options.ts';
import { XskQueue, xskFrameMax } from './xsk_queue.ts';

export interface XdpSetup {
  readonly name: string;
  readonly ifindex: number;
  /** The interface's numbers of the queues. */
  readonly queues: readonly number[];
  readonly rxRing: number;
  readonly txRing: number;
  readonly options: XdpPortOptions;
}

export interface OpenXdp {
  readonly sockets: readonly XskQueue[];
  readonly attachment: Attachment;
  /** Of each socket; empty: frames are waited for. */
  readonly drives: readonly NapiDrive[];
  readonly report: XdpReport;
}

/** All queues of an interface, or the one that was named. Throws SetupError `ERR_NETPOLL_XDP_QUEUE`. */
export function queueNumbers(name: string, queue: number | undefined): number[] {
  const { rx, tx } = interfaceChannels(name);
  if (queue !== undefined) {
    if (queue < Math.min(rx, tx)) return [queue];
    const there = Math.min(rx, tx) === 1 ? 'one queue, 0' : `queues 0 to ${Math.min(rx, tx) - 1}`;
    throw new SetupError('ERR_NETPOLL_XDP_QUEUE', `${name} has no queue ${queue}: it has ${there} (ethtool -L)`);
  }
  if (rx !== tx) {
    const message =
      `${name} has ${rx} receive and ${tx} transmit queues, and a port has them in pairs: ` +
      `ethtool -L ${name}, or name one: xdp:${name}/0`;
    throw new SetupError('ERR_NETPOLL_XDP_QUEUE', message);
  }
  return Array.from({ length: rx }, (_, i) => i);
}

/** Throws SetupError; then nothing stays open or attached. */
export function openXdp(memory: HostArena, setup: XdpSetup): OpenXdp {
  const wanted = setup.options.xdpMode;
  const refused: string[] = [];
  if (wanted !== 'generic-copy') {
    const copy = wanted === undefined ? undefined : wanted === 'native-copy';
    try {
      return openMode(memory, setup, true, copy, refused);
    } catch (error) {
      if (wanted !== undefined || !(error instanceof SetupError) || error.code !== 'ERR_NETPOLL_XDP_MODE') throw error;
      refused.push(error.message);
    }
  }
  return openMode(memory, setup, false, true, refused);
}

function openMode(
  memory: HostArena,
  setup: XdpSetup,
  native: boolean,
  copy: boolean | undefined,
  refused: readonly string[],
): OpenXdp {
  const { name, ifindex, queues, rxRing, txRing, options } = setup;
  const { busyPoll, udpPort } = options;
  const sockets: XskQueue[] = [];
  const csum = interfaceDriver(name) === 'veth' ? CHECKSUM_UNNECESSARY : CHECKSUM_NONE;
  try {
    for (const queue of queues) {
      sockets.push(
        new XskQueue(memory, { name, ifindex, queue, rxRing, txRing, copy, busyPoll, csum, first: sockets[0] }),
      );
    }
    const fds = new Map(queues.map((queue, i) => [queue, sockets[i]!.fd]));
    const attachment = attachXdp({ name, ifindex, native, udpPort, sockets: fds });
    // The last step: what it does not get is no reason to fail.
    const { drives, why } = openDrives(setup, sockets);
    const mode = modeName(
      native,
      sockets.every((each) => each.zeroCopy),
    );
    const whyCopy = copy === undefined && mode !== 'native-zerocopy' ? ['zero copy: not in this driver'] : [];
    const report = {
      mode,
      busyPoll: drives[0]?.by ?? null,
      joined: attachment.joined,
      queues,
      rxRing,
      txRing,
      frameMax: xskFrameMax(memory),
      refused: [...refused, ...whyCopy, ...why],
    };
    return { sockets, attachment, drives, report };
  } catch (error) {
    for (const each of sockets.reverse()) each.close();
    throw error;
  }
}

/** A kernel that lets a socket poll, but tells it what only with the first frame, is taken at its word; from 6.13 on it never does. */
function openDrives(
  { ifindex, queues, options }: XdpSetup,
  sockets: readonly XskQueue[],
): { drives: NapiDrive[]; why: string[] } {
  const { busyPoll } = options;
  if (busyPoll === undefined) return { drives: [], why: [] };
  const allowed = sockets.every((each) => each.busyPoll);
  try {
    const drives = openNapiDrives(
      ifindex,
      sockets.map(({ fd }, i) => ({ queue: queues[i]!, fd })),
      busyPoll,
    );
    return { drives, why: [] };
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const why = [`busy poll: ${error.message}`];
    return { drives: allowed && kernelBefore(6, 13) ? sockets.map(({ fd }) => bySocket(fd)) : [], why };
  }
}

function kernelBefore(major: number, minor: number): boolean {
  const [a = 0, b = 0] = release().split('.', 2).map(Number);
  return a < major || (a === major && b < minor);
}

function modeName(native: boolean, zeroCopy: boolean): XdpMode {
  if (zeroCopy) return 'native-zerocopy';
  return native ? 'native-copy' : 'generic-copy';
}
