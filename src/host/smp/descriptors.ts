/**
 * The descriptors of a thread. They are the process's, and stay open when a thread dies: so a thread writes down those that it opens,
 * in the table of CPUs, and the boot CPU closes what a dead one has left.
 *
 *   1. `keepDescriptors` puts itself between this thread and the C library where descriptors are made and closed.
 *   2. `closeDescriptors` is the end of a dead thread: what its sockets had received and it had not read is counted, then they are
 *      closed. A packet socket's ring must be out of the arena before (`letRingsGo`), or the mapping keeps the socket alive, which
 *      goes on taking its share of the frames.
 */
import { readFileSync } from 'node:fs';
import { libc } from '../sys/libc.ts';
import { mapCopy } from '../sys/mmap.ts';
import { SOL_PACKET } from '../sys/socket.ts';
import { type CpuTable, counterAt } from './cpu_table.ts';
import { closeCounted, isSocket } from './unread.ts';

const PACKET_STATISTICS = 6;
const MAP_FIXED = 0x10;
const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
/** Commands of bpf() that give a descriptor: map, program, link, and those of what is there already. */
const BPF_MAKES_DESCRIPTOR: readonly number[] = [0, 5, 7, 13, 14, 28, 30];

const FRAMES = counterAt('kernel_frames');
const DROPS = counterAt('kernel_drops');

/** From here on this thread's descriptors stand in the table. What its packet sockets count is added up on the way. */
export function keepDescriptors(table: CpuTable, cpu: number): void {
  const c = libc();
  const list = table.descriptors(cpu);
  const counters = table.counters(cpu);
  const kept = (fd: number): number => {
    if (fd >= 0) keep(list, fd);
    return fd;
  };
  const {
    open,
    socket,
    accept4,
    epollCreate1,
    timerfdCreate,
    eventfd,
    ioUringSetup,
    syscall,
    close,
    getsockopt,
    mmap,
    munmap,
  } = c;
  const mappings = table.mappings(cpu);
  c.open = (path, flags) => kept(open(path, flags));
  c.socket = (domain, type, protocol) => kept(socket(domain, type, protocol));
  c.accept4 = (fd, address, length, flags) => kept(accept4(fd, address, length, flags));
  c.epollCreate1 = (flags) => kept(epollCreate1(flags));
  c.timerfdCreate = (clock, flags) => kept(timerfdCreate(clock, flags));
  c.eventfd = (initial, flags) => kept(eventfd(initial, flags));
  c.ioUringSetup = (entries, params) => kept(ioUringSetup(entries, params));
  c.syscall = (number, a, b, d) => {
    const result = syscall(number, a, b, d);
    return number === SYS_BPF && BPF_MAKES_DESCRIPTOR.includes(a) ? kept(result) : result;
  };
  c.close = (fd) => {
    forget(list, fd);
    return close(fd);
  };
  c.mmap = (at, length, protection, flags, fd, offset) => {
    const where = mmap(at, length, protection, flags, fd, offset);
    if (fd >= 0 && where > 0 && (flags & MAP_FIXED) === 0) keepMapping(mappings, where, length);
    return where;
  };
  c.munmap = (at, length) => {
    forgetMapping(mappings, at);
    return munmap(at, length);
  };
  // Reading them sets them to 0: the kernel puts them where they are found if this thread is ended before they are added up. It is
  // ended at calls and loops alone, of which there are none between the answer and the sum.
  const counts = table.packetCounts(cpu);
  const answer = new Uint8Array(counts.buffer, counts.byteOffset + 4, counts.byteLength - 4);
  c.getsockopt = (fd, level, name, value, length) => {
    if (level !== SOL_PACKET || name !== PACKET_STATISTICS) return getsockopt(fd, level, name, value, length);
    counts.fill(0);
    counts[0] = 1;
    const result = getsockopt(fd, level, name, answer, length);
    counters[FRAMES]! += counts[1]! >>> 0;
    counters[DROPS]! += counts[2]! >>> 0;
    counts[0] = 0;
    value.set(answer.subarray(0, value.length));
    return result;
  };
}

function keep(list: Int32Array, fd: number): void {
  const free = list.indexOf(0);
  if (free >= 0) list[free] = fd + 1;
}

function forget(list: Int32Array, fd: number): void {
  const at = list.indexOf(fd + 1);
  if (at >= 0) list[at] = 0;
}

function keepMapping(list: Float64Array, at: number, length: number): void {
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== 0) continue;
    list[i] = at;
    list[i + 1] = length;
    return;
  }
}

function forgetMapping(list: Float64Array, at: number): void {
  for (let i = 0; i < list.length; i += 2) if (list[i] === at) list[i] = 0;
}

function unmapAll(list: Float64Array): void {
  for (let i = 0; i < list.length; i += 2) if (list[i] !== 0) libc().munmap(list[i]!, list[i + 1]!);
  list.fill(0);
}

/**
 * Ends what a dead thread had open. `memory` is the whole arena, `rings` where that thread's kernel rings lie in it. Gives how many
 * frames were in its sockets of which it had not read a single byte; those of packet sockets are in the counters.
 */
export function closeDescriptors(
  table: CpuTable,
  cpu: number,
  memory: { readonly at: number },
  rings: readonly [from: number, to: number],
): number {
  const list = table.descriptors(cpu);
  const fds = [...list].filter((each) => each > 0).map((each) => each - 1);
  letRingsGo(memory, rings);
  unmapAll(table.mappings(cpu));
  const counts = table.packetCounts(cpu);
  if (counts[0] === 1) {
    counts[0] = 0;
    table.counters(cpu)[FRAMES]! += counts[1]! >>> 0;
    table.counters(cpu)[DROPS]! += counts[2]! >>> 0;
  }
  let unread = 0;
  // What brings frames to a socket (an XDP program's link) goes before the socket.
  for (const fd of [...fds.filter((fd) => !isSocket(fd)), ...fds.filter(isSocket)]) {
    unread += closeCounted(fd, table.counters(cpu));
  }
  list.fill(0);
  return unread;
}

/** Frames in them that other CPUs still read stay what they are. */
function letRingsGo(memory: { readonly at: number }, [from, to]: readonly [from: number, to: number]): void {
  const first = memory.at + from;
  const last = memory.at + to;
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ +(\S.*)$/.exec(line);
    if (match === null || match[3]!.startsWith('[anon')) continue;
    const start = Number.parseInt(match[1]!, 16);
    const end = Number.parseInt(match[2]!, 16);
    if (start < first || end > last) continue;
    mapCopy(start, end - start);
  }
}
