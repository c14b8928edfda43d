/**
 * What the nic driver keeps of its device and of each pair of queues.
 */
import { NETIF_F_CSUM_MASK, NETIF_F_GSO_MASK, NETIF_F_SG } from '../../device/features.ts';
import { type NapiStruct, napiScheduleOwned, napiSchedulePrep } from '../../device/napi_struct.ts';
import type { NetDevice } from '../../device/net_device.ts';
import type { XmitFlusher } from '../../device/xmit_flush.ts';
import type { IrqLine } from '../../machine/irq.ts';
import type { Timer } from '../../machine/timer.ts';
import { RxCoalesce } from './nic_coalesce.ts';
import { FrameBatch, type Port } from './port.ts';
import { RxPace } from './rx_pace.ts';

/** Frames moved across the border to the Port at once. */
export const BURST = 64;

/** Driver state of one receive and transmit queue pair. */
export class NicQueue implements XmitFlusher {
  readonly dev: NetDevice;
  readonly nic: Nic;
  readonly index: number;
  readonly napi: NapiStruct;
  readonly line: IrqLine;
  readonly rx = new FrameBatch(BURST);
  /** How long its interrupt stays away. */
  readonly pace: RxPace;
  /** The transmit ring: tx[0..pending) is the driver's, and waits for the doorbell or for room in the Port. */
  readonly tx: FrameBatch;
  pending = 0;
  /** The Port takes frames in one piece, with their checksums, and no super-frames. */
  readonly plain: boolean;
  readonly done = new FrameBatch(BURST);
  /** Frames that the Port has and txReap has not given back. */
  inFlight = 0;
  /** The Port had no room, and nothing was on its way that would make some: the next poll wakes the queue. */
  starved = false;
  /** Has it polled when it is starved. */
  readonly retry: Timer;
  nextFlush: XmitFlusher | null = null;
  flushing = false;
  /** The doorbell at the end of a poll; set by who makes the queue. */
  flush: () => void = () => {};

  /** `pieces`: of super-frames, 0 for a Port that takes frames in one piece. */
  constructor(dev: NetDevice, nic: Nic, index: number, napi: NapiStruct, line: IrqLine, pieces: number) {
    this.dev = dev;
    this.nic = nic;
    this.index = index;
    this.napi = napi;
    this.line = line;
    this.tx = new FrameBatch(BURST, pieces);
    this.plain = (nic.port.caps.features & (NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK | NETIF_F_SG)) === 0;
    this.pace = new RxPace(nic.coalesce, napi, dev.net.machine.executive);
    this.retry = dev.net.machine.timers.create(() => nicSchedule(this));
  }
}

/** The driver's `priv`. */
export class Nic {
  readonly port: Port;
  queues: NicQueue[] = [];
  /** The port has said that its link is another one; the next interrupt looks. */
  linkChanged = false;
  /** Interrupt moderation, as it was set (`ethtool -C`). */
  readonly coalesce = new RxCoalesce();

  constructor(port: Port) {
    this.port = port;
  }
}

/** Masks the queue and has it polled, unless somebody has it already. */
export function nicSchedule(queue: NicQueue): void {
  if (!napiSchedulePrep(queue.napi)) return;
  queue.nic.port.irqEnable(queue.index, false);
  napiScheduleOwned(queue.napi);
}
