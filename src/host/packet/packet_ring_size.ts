/**
 * How large the rings of a packet port are: what its options say, and what ethtool may ask and change while it is closed.
 *
 *     ethtool -g, -G rx N        N frames of 2 KiB, which is what the kernel counts a ring in; of 60 bytes a ring holds ten times as many
 *
 * There is no transmit ring: a frame that was sent has left. Sizes are rounded up to a power of two, so that the arena has few
 * different areas to keep for those who come back to an old size.
 */
import { Errno, SetupError } from '../../base/status.ts';
import type { Ringparam } from '../../device/ethtool.ts';
import type { PortTuning } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import { PAGE_SIZE } from '../sys/mmap.ts';
import { GRANULE } from './rx_ring.ts';

/**
 * A block goes back when it is full or when its time is over: the ring holds 16 MiB, and frames of 128 ms however few they are. It also
 * has to hold the longest frame, a super-frame of 64 KiB.
 */
const BLOCK_SIZE = 128 << 10;
const BLOCKS = 128;
const FRAME_SIZE = 2048;
const BYTES_MAX = 64 << 20;
/** One to fill, one to read. */
const BLOCKS_MIN = 2;

export interface PacketRingOptions {
  /** Bytes of a ring block: a power of two, at least a page and one frame; 128 KiB if absent. */
  readonly blockSize?: number;
  /** Blocks of the ring; 128 if absent. */
  readonly blocks?: number;
}

export class PacketRingSize implements PortTuning {
  readonly blockSize: number;
  blocks: number;
  readonly #queues: number;
  /** Where the rings were, and will be again. */
  #memory: HostArena | undefined;

  /** Throws SetupError `ERR_NETPOLL_RING`. */
  constructor({ blockSize = BLOCK_SIZE, blocks = BLOCKS }: PacketRingOptions, queues: number) {
    if (blockSize < PAGE_SIZE || (blockSize & (blockSize - 1)) !== 0) {
      const message = `a ring block of ${blockSize} bytes: it must be a power of two and a page`;
      throw new SetupError('ERR_NETPOLL_RING', message);
    }
    if (!Number.isInteger(blocks) || blocks < 1) {
      throw new SetupError('ERR_NETPOLL_RING', `a ring of ${blocks} blocks: it must have one or more`);
    }
    this.blockSize = blockSize;
    this.blocks = blocks;
    this.#queues = queues;
  }

  /** The port opens its rings there. */
  opensIn(memory: HostArena): void {
    this.#memory = memory;
  }

  ring(): Ringparam {
    const rx = Math.floor((this.blocks * this.blockSize) / FRAME_SIZE);
    return { rx, tx: 0, rxMax: Math.max(rx, BYTES_MAX / FRAME_SIZE), txMax: 0 };
  }

  /** -EINVAL for none; -ENOMEM: the arena has no room for rings of that size, and those of the old size stay. */
  setRing(rx: number, _tx: number): number {
    if (rx < 1) return -Errno.EINVAL;
    const bytes = 2 ** Math.ceil(Math.log2(rx * FRAME_SIZE));
    const blocks = Math.max(BLOCKS_MIN, bytes / this.blockSize);
    if (!this.#fits(blocks * this.blockSize)) return -Errno.ENOMEM;
    this.blocks = blocks;
    return 0;
  }

  /** Takes the areas, and gives them back to be found again. */
  #fits(bytes: number): boolean {
    const memory = this.#memory;
    if (memory === undefined) return true;
    const areas: ReturnType<HostArena['takeRing']>[] = [];
    try {
      for (let i = 0; i < this.#queues; i++) areas.push(memory.takeRing(bytes, GRANULE, () => {}));
      return true;
    } catch (error) {
      if (error instanceof SetupError) return false;
      throw error;
    } finally {
      for (const area of areas) memory.giveRing(area, 0);
    }
  }
}
