/**
 * Sizes of an xdp port's rings: as asked for, changed by ethtool, and what the arena can spare.
 */
import { Errno, SetupError } from '../../base/status.ts';
import type { Ringparam } from '../../device/ethtool.ts';
import type { PortTuning } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import type { XdpPortOptions } from './xdp_options.ts';

const RX_RING = 2048;
const TX_RING = 1024;
const RING_MIN = 64;
const RING_MAX = 32768;

export class RingSizes implements PortTuning {
  /** undefined: RX_RING, or what the arena can spare. */
  #rx: number | undefined;
  #tx: number;

  /** Throws SetupError `ERR_NETPOLL_RING`. */
  constructor({ rxRing, txRing }: XdpPortOptions) {
    for (const size of [rxRing, txRing]) {
      if (size !== undefined && !isRingSize(size)) {
        const message = `an AF_XDP ring of ${size} entries: it must be a power of two from ${RING_MIN} to ${RING_MAX}`;
        throw new SetupError('ERR_NETPOLL_RING', message);
      }
    }
    this.#rx = rxRing;
    this.#tx = txRing ?? TX_RING;
  }

  get tx(): number {
    return this.#tx;
  }

  /** For each of `queues` queues: at most half of the arena's free slots go to all of them. Throws SetupError. */
  rx(memory: HostArena, queues: number): number {
    if (this.#rx !== undefined) return this.#rx;
    const share = Math.floor(memory.available / 2 / queues);
    const size = Math.min(RX_RING, 2 ** Math.floor(Math.log2(Math.max(1, share))));
    if (size >= RING_MIN) return size;
    const message = `the arena has ${memory.available} free slots, too few for ${queues} queue(s): make it with more slots`;
    throw new SetupError('ERR_NETPOLL_ARENA_FULL', message);
  }

  ring(): Ringparam {
    return { rx: this.#rx ?? RX_RING, tx: this.#tx, rxMax: RING_MAX, txMax: RING_MAX };
  }

  setRing(rx: number, tx: number): number {
    if (!isRingSize(rx) || !isRingSize(tx)) return -Errno.EINVAL;
    this.#rx = rx;
    this.#tx = tx;
    return 0;
  }
}

function isRingSize(size: number): boolean {
  return Number.isInteger(size) && size >= RING_MIN && size <= RING_MAX && (size & (size - 1)) === 0;
}
