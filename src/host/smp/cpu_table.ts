/**
 * The table of CPUs: what the threads of one machine know of each other, in memory that all of them read and write.
 *
 *     header      which CPUs are online | devices, by number
 *     CPU 0..n-1  state, generation, "asleep", its doorbell's descriptor, descriptors that are its own | counters
 *     pair a -> b the ring by which a hands frames over to b, and the ring by which b gives their memory back (handover.ts)
 *     RFS         which CPU reads which flow (`rps_sock_flow_table`)
 *
 * Each word is written by one CPU alone (Atomics where another one waits for it), but for: the mask of CPUs and a CPU's state, which
 * are the boot CPU's; "asleep", which its CPU sets and whoever wakes it takes back; the devices, behind a lock.
 *
 * Plain SharedArrayBuffer: no system call is needed to make, share or free it.
 */
import { assert } from '../../base/assert.ts';
import { SOFTNET_COUNTERS } from '../../device/softnet.ts';

/** A mask of CPUs is one word, and shares of memory are what runs out first. */
export const CPUS_MAX = 31;
/** Frames that wait in a ring; one more than a backlog holds, and room to see that (`netdev_max_backlog`). */
export const RING_ENTRIES = 1024;
export const ENTRY_WORDS = 16;
/** Frames, and fragments of frames, of one CPU that another one has at most. */
export const TICKETS = 4096;
const DEVICES_MAX = 64;
const DEVICE_WORDS = 16;
const NAME_BYTES = 56;
const KEPT = 14;
/** Descriptors of a thread that are remembered, to be closed when it dies. */
const DESCRIPTORS_MAX = 256;
const CPU_WORDS = 16 + DESCRIPTORS_MAX;
const COUNTERS_MAX = 16;
/** Mappings of descriptors outside of the arena (an io_uring's), an address and a length each. */
const MAPPINGS_MAX = 32;
/** tail | head | returned | freed, a cache line each. */
const PAIR_CONTROL_WORDS = 64;
const SOCK_FLOWS = 32768;

export const CpuState = { OFFLINE: 0, BOOTING: 1, ONLINE: 2, DEAD: 3 } as const;
export type CpuStateValue = (typeof CpuState)[keyof typeof CpuState];

/**
 * Counters of a CPU beside those of its softnet, at these places behind them. handed_over, taken_over: frames to and from other CPUs.
 * kernel_frames: what the kernel had for its packet sockets. kernel_drops: what it had no room for in those, and in udp: and xdp: sockets that
 * are closed (a TAP device's drops are not one queue's). posts_dropped: values that the boot CPU
 * was too slow for. taken_back: frames that a dead CPU had not looked at, and that went up here. died_with: pieces of our frames that a
 * dead CPU had in hand. unread: of a dead CPU, frames in its sockets and rings that it had not handed up.
 */
export const CPU_COUNTERS = [
  'handed_over',
  'taken_over',
  'xmit_handed_over',
  'doorbells',
  'kernel_frames',
  'kernel_drops',
  'posts_dropped',
  'taken_back',
  'died_with',
  'unread',
] as const;
export type CpuCounter = (typeof CPU_COUNTERS)[number];

const HEADER_WORDS = 16;
const ONLINE = 0;
const DEVICE_LOCK = 1;
const DEVICES = 2;

const STATE = 0;
const GENERATION = 1;
const ASLEEP = 2;
const BELL = 3;
const POSTS_READ = 4;
/** What a packet socket counted, on its way into the counters: under way, frames, drops, freezes. */
const PACKET_COUNTS = 8;
const PACKET_COUNTS_WORDS = 4;
const DESCRIPTORS = 16;

/** Where each part lies, in words of 4 bytes; doubles first, so that they are aligned. */
interface Layout {
  readonly counters: number;
  readonly mappings: number;
  readonly pairDrops: number;
  readonly stamps: number;
  readonly header: number;
  readonly devices: number;
  readonly cpus: number;
  readonly pairs: number;
  readonly pairWords: number;
  readonly sockFlows: number;
  readonly words: number;
}

function layoutFor(cpus: number): Layout {
  const counters = 0;
  const mappings = counters + cpus * COUNTERS_MAX * 2;
  const pairDrops = mappings + cpus * MAPPINGS_MAX * 4;
  const stamps = pairDrops + cpus * cpus * 2;
  const header = stamps + cpus * cpus * RING_ENTRIES * 2;
  const devices = header + HEADER_WORDS;
  const cpuRows = devices + DEVICES_MAX * DEVICE_WORDS;
  const pairs = cpuRows + cpus * CPU_WORDS;
  const pairWords = PAIR_CONTROL_WORDS + RING_ENTRIES * ENTRY_WORDS + TICKETS;
  const sockFlows = pairs + cpus * cpus * pairWords;
  const words = sockFlows + SOCK_FLOWS;
  return { counters, mappings, pairDrops, stamps, header, devices, cpus: cpuRows, pairs, pairWords, sockFlows, words };
}

/** The memory of one direction between two CPUs. */
export interface PairMemory {
  /** Entries put in and taken out, and memory given back and taken back, all modulo 2^32: words 0, 16, 32, 48. */
  readonly control: Int32Array;
  /** RING_ENTRIES of ENTRY_WORDS words. */
  readonly entries: Int32Array;
  /** Arrival of the frame in each entry, in microseconds. */
  readonly stamps: Float64Array;
  /** Tickets on their way back. */
  readonly returns: Int32Array;
}

export class CpuTable {
  readonly memory: SharedArrayBuffer;
  readonly cpus: number;
  readonly #layout: Layout;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #rows: Int32Array;
  readonly #pairDrops: Float64Array;

  /** A new table, or another thread's view of one. */
  constructor(cpus: number, memory?: SharedArrayBuffer) {
    assert(cpus >= 1 && cpus <= CPUS_MAX, 'a machine has 1 to 31 CPUs');
    this.cpus = cpus;
    this.#layout = layoutFor(cpus);
    this.memory = memory ?? new SharedArrayBuffer(this.#layout.words * 4);
    this.#words = new Int32Array(this.memory);
    this.#header = new Int32Array(this.memory, this.#layout.header * 4, HEADER_WORDS);
    this.#rows = new Int32Array(this.memory, this.#layout.cpus * 4, cpus * CPU_WORDS);
    this.#pairDrops = new Float64Array(this.memory, this.#layout.pairDrops * 4, cpus * cpus);
    if (memory === undefined) this.sockFlows().fill(0xffff);
  }

  /** Where the CPU has the kernel put a packet socket's counts: 1 while they are under way, then what they are. (descriptors.ts) */
  packetCounts(cpu: number): Int32Array {
    const at = cpu * CPU_WORDS + PACKET_COUNTS;
    return this.#rows.subarray(at, at + PACKET_COUNTS_WORDS);
  }

  /** Bit k: CPU k is online. (`cpu_online_mask`) */
  get onlineMask(): number {
    return Atomics.load(this.#header, ONLINE);
  }

  online(cpu: number): boolean {
    return (Atomics.load(this.#header, ONLINE) & (1 << cpu)) !== 0;
  }

  /** Of the CPU, from 1; each time it is brought up is another one. */
  generation(cpu: number): number {
    return Atomics.load(this.#rows, cpu * CPU_WORDS + GENERATION);
  }

  state(cpu: number): CpuStateValue {
    return Atomics.load(this.#rows, cpu * CPU_WORDS + STATE) as CpuStateValue;
  }

  /** The mask follows: a CPU takes frames when it is online, and not before or after. */
  setState(cpu: number, state: CpuStateValue): void {
    if (state !== CpuState.ONLINE) Atomics.and(this.#header, ONLINE, ~(1 << cpu));
    if (state === CpuState.BOOTING) Atomics.add(this.#rows, cpu * CPU_WORDS + GENERATION, 1);
    Atomics.store(this.#rows, cpu * CPU_WORDS + STATE, state);
    if (state === CpuState.ONLINE) Atomics.or(this.#header, ONLINE, 1 << cpu);
  }

  /** `cpu` looks for frames no more, and wants to be woken; it looks once more afterwards. */
  fallAsleep(cpu: number): void {
    Atomics.store(this.#rows, cpu * CPU_WORDS + ASLEEP, 1);
  }

  /** True: it slept, and it is the caller's to wake it (or to go on, for the CPU itself). */
  claimWake(cpu: number): boolean {
    const at = cpu * CPU_WORDS + ASLEEP;
    return Atomics.load(this.#rows, at) === 1 && Atomics.exchange(this.#rows, at, 0) === 1;
  }

  bell(cpu: number): number {
    return Atomics.load(this.#rows, cpu * CPU_WORDS + BELL);
  }

  setBell(cpu: number, fd: number): void {
    Atomics.store(this.#rows, cpu * CPU_WORDS + BELL, fd);
  }

  /** Values that `cpu` has posted and the boot CPU has read, ever. */
  postsRead(cpu: number): number {
    return Atomics.load(this.#rows, cpu * CPU_WORDS + POSTS_READ);
  }

  setPostsRead(cpu: number, posts: number): void {
    Atomics.store(this.#rows, cpu * CPU_WORDS + POSTS_READ, posts);
  }

  /** Descriptors of a thread, one more than the number in each place, 0 where there is none. */
  descriptors(cpu: number): Int32Array {
    const at = (this.#layout.cpus + cpu * CPU_WORDS + DESCRIPTORS) * 4;
    return new Int32Array(this.memory, at, DESCRIPTORS_MAX);
  }

  /** Mappings of a thread: address and length by turns, 0 where there is none. */
  mappings(cpu: number): Float64Array {
    const at = (this.#layout.mappings + cpu * MAPPINGS_MAX * 4) * 4;
    return new Float64Array(this.memory, at, MAPPINGS_MAX * 2);
  }

  /** The counters of a CPU: those of its softnet, then CPU_COUNTERS. */
  counters(cpu: number): Float64Array {
    return new Float64Array(this.memory, (this.#layout.counters + cpu * COUNTERS_MAX * 2) * 4, COUNTERS_MAX);
  }

  counter(cpu: number, name: CpuCounter): number {
    return this.counters(cpu)[counterAt(name)]!;
  }

  /** Frames that `from` could not hand over to `to`. */
  pairDrops(from: number, to: number): number {
    return this.#pairDrops[from * this.cpus + to]!;
  }

  countPairDrop(from: number, to: number): void {
    this.#pairDrops[from * this.cpus + to]!++;
  }

  pair(from: number, to: number): PairMemory {
    const index = from * this.cpus + to;
    const at = (this.#layout.pairs + index * this.#layout.pairWords) * 4;
    const entriesAt = at + PAIR_CONTROL_WORDS * 4;
    return {
      control: new Int32Array(this.memory, at, PAIR_CONTROL_WORDS),
      entries: new Int32Array(this.memory, entriesAt, RING_ENTRIES * ENTRY_WORDS),
      stamps: new Float64Array(this.memory, (this.#layout.stamps + index * RING_ENTRIES * 2) * 4, RING_ENTRIES),
      returns: new Int32Array(this.memory, entriesAt + RING_ENTRIES * ENTRY_WORDS * 4, TICKETS),
    };
  }

  /** The flows that sockets have read, of all CPUs (Rps.useSockFlows). */
  sockFlows(): Uint32Array {
    return new Uint32Array(this.memory, this.#layout.sockFlows * 4, SOCK_FLOWS);
  }

  /**
   * The number of the device `name`, the same on every CPU; -1: there are too many. `open` runs for the first CPU that asks for a
   * device, with the others waiting: what it gives (a fanout group) is kept beside the name, and given to the others.
   */
  device(name: string, open: (kept: number) => number): { index: number; kept: number } {
    this.#lock();
    try {
      const found = this.#findDevice(name);
      const index = found < 0 ? this.#header[DEVICES]! : found;
      if (index >= DEVICES_MAX) return { index: -1, kept: -1 };
      const at = this.#layout.devices + index * DEVICE_WORDS;
      if (found < 0) {
        this.#writeName(at, name);
        this.#words[at + KEPT] = -1;
        this.#header[DEVICES] = index + 1;
      }
      const kept = open(this.#words[at + KEPT]!);
      this.#words[at + KEPT] = kept;
      return { index, kept };
    } finally {
      this.#unlock();
    }
  }

  /** A dead thread may have held it: whoever finds that takes it over. */
  #lock(): void {
    for (;;) {
      if (Atomics.compareExchange(this.#header, DEVICE_LOCK, 0, 1) === 0) return;
      // The boot CPU may not sleep here in every embedding; it looks again at once.
      try {
        Atomics.wait(this.#header, DEVICE_LOCK, 1, 10);
      } catch {
        // Tried again.
      }
    }
  }

  #unlock(): void {
    Atomics.store(this.#header, DEVICE_LOCK, 0);
    Atomics.notify(this.#header, DEVICE_LOCK);
  }

  /** The boot CPU has seen a thread die, which may have held the lock. */
  breakLock(): void {
    this.#unlock();
  }

  #findDevice(name: string): number {
    for (let index = 0; index < this.#header[DEVICES]!; index++) {
      if (this.#readName(this.#layout.devices + index * DEVICE_WORDS) === name) return index;
    }
    return -1;
  }

  #writeName(at: number, name: string): void {
    const bytes = new Uint8Array(this.memory, at * 4, NAME_BYTES);
    for (let i = 0; i < NAME_BYTES; i++) bytes[i] = i < name.length ? name.charCodeAt(i) : 0;
  }

  #readName(at: number): string {
    const bytes = new Uint8Array(this.memory, at * 4, NAME_BYTES);
    let name = '';
    for (let i = 0; i < NAME_BYTES && bytes[i] !== 0; i++) name += String.fromCharCode(bytes[i]!);
    return name;
  }
}

/** Place of a counter in a CPU's row. */
export function counterAt(name: CpuCounter): number {
  return SOFTNET_COUNTERS + CPU_COUNTERS.indexOf(name);
}
