/**
 * bpf(): the few commands that an XDP program of our own needs. Everything made here is a descriptor, and goes with it: a
 * program that is attached by a link is detached when the last descriptor of the link is closed, however its process ended.
 *
 *     map create   { u32 type @0, key_size @4, value_size @8, max_entries @12, flags @16; char name[16] @28 }
 *     map update   { u32 map_fd @0; u64 key @8, value @16, flags @24 }                     addresses of key and value
 *     prog load    { u32 type @0, insn_cnt @4; u64 insns @8, license @16; u32 log_level @24, log_size @28; u64 log @32;
 *                    u32 flags @44; char name[16] @48 }
 *     prog run     { u32 prog_fd @0, retval @4, data_size_in @8, data_size_out @12; u64 data_in @16; u32 repeat @32 }
 *     link create  { u32 prog_fd @0, ifindex @4, attach_type @8, flags @12 }
 *     next id      { u32 id @0, next_id @4 }       fd by id  { u32 id @0 }
 *     object info  { u32 fd @0, info_len @4; u64 info @8 }
 *
 * Answers to: include/uapi/linux/bpf.h.
 */
import { constants } from 'node:os';
import { assert } from '../../base/assert.ts';
import { SetupError } from '../../base/status.ts';
import { systemError } from './errno.ts';
import { libc } from './libc.ts';
import { type Pinned, pinned, writeWord } from './pinned.ts';

/** Number of the system call, where it is known. */
const SYS_BPF: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280 };

const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_PROG_TEST_RUN = 10;
const BPF_MAP_GET_FD_BY_ID = 14;
const BPF_OBJ_GET_INFO_BY_FD = 15;
const BPF_LINK_CREATE = 28;
const BPF_LINK_GET_FD_BY_ID = 30;
const BPF_LINK_GET_NEXT_ID = 31;
const BPF_PROG_GET_FD_BY_ID = 13;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const BPF_LINK_TYPE_XDP = 6;
const ATTR_SIZE = 72;
const NAME_SIZE = 16;
const LOG_SIZE = 64 << 10;
const INSN_SIZE = 8;
const MAPS_MAX = 8;

export const XDP_FLAGS_SKB_MODE = 1 << 1;
export const XDP_FLAGS_DRV_MODE = 1 << 2;

/** A map from queue numbers to AF_XDP sockets, for `entries` queues. Throws SetupError. */
export function createXskMap(name: string, entries: number, what: string): number {
  const attr = pinned(ATTR_SIZE);
  [BPF_MAP_TYPE_XSKMAP, 4, 4, entries].forEach((word, i) => {
    attr.view.setUint32(4 * i, word, true);
  });
  attr.bytes.write(name.slice(0, NAME_SIZE - 1), 28, 'latin1');
  return made(bpf(BPF_MAP_CREATE, attr), 'map create', what);
}

/** Frames that the program redirects for queue `key` go to socket `fd`. Throws SetupError. */
export function setXskMap(map: number, key: number, fd: number, what: string): void {
  const pair = pinned(8);
  pair.view.setUint32(0, key, true);
  pair.view.setUint32(4, fd, true);
  const attr = pinned(ATTR_SIZE);
  attr.view.setUint32(0, map, true);
  writeWord(attr.view, 8, pair.at);
  writeWord(attr.view, 16, pair.at + 4);
  made(bpf(BPF_MAP_UPDATE_ELEM, attr, pair), 'map update', what);
}

/** Gives an XDP program to the kernel's verifier. Throws SetupError, with the last of what the verifier says. */
export function loadXdpProgram(name: string, instructions: Uint8Array, what: string): number {
  const code = pinned(instructions.length);
  code.bytes.set(instructions);
  const license = pinned(16);
  license.bytes.write('Dual MIT/GPL', 'latin1');
  const attr = pinned(ATTR_SIZE);
  attr.view.setUint32(0, BPF_PROG_TYPE_XDP, true);
  attr.view.setUint32(4, instructions.length / INSN_SIZE, true);
  writeWord(attr.view, 8, code.at);
  writeWord(attr.view, 16, license.at);
  attr.bytes.write(name.slice(0, NAME_SIZE - 1), 48, 'latin1');
  const fd = bpf(BPF_PROG_LOAD, attr, code, license);
  if (fd >= 0 || libc().errno() === constants.errno.EPERM) return made(fd, 'prog load', what);
  const log = pinned(LOG_SIZE);
  attr.view.setUint32(24, 1, true);
  attr.view.setUint32(28, LOG_SIZE, true);
  writeWord(attr.view, 32, log.at);
  const again = bpf(BPF_PROG_LOAD, attr, code, license, log);
  const end = log.bytes.indexOf(0);
  const said = log.bytes.toString('latin1', 0, end < 0 ? LOG_SIZE : end);
  return made(again, 'prog load', `${what} (verifier: ${said.trimEnd().split('\n').slice(-2).join(' / ')})`);
}

/** What an XDP program answers for one frame (XDP_PASS, ...). Throws SetupError. */
export function runXdpProgram(program: number, frame: Uint8Array): number {
  const data = pinned(frame.length);
  data.bytes.set(frame);
  const attr = pinned(ATTR_SIZE);
  attr.view.setUint32(0, program, true);
  attr.view.setUint32(8, frame.length, true);
  writeWord(attr.view, 16, data.at);
  made(bpf(BPF_PROG_TEST_RUN, attr, data), 'prog run', 'run a program');
  return attr.view.getUint32(4, true);
}

/**
 * Attaches an XDP program to an interface for as long as a descriptor of the link is open: -1 and errno where the kernel
 * refuses (EBUSY: another program is there; EOPNOTSUPP: not in this mode).
 */
export function createXdpLink(program: number, ifindex: number, flags: number): number {
  const attr = pinned(ATTR_SIZE);
  [program, ifindex, BPF_XDP, flags].forEach((word, i) => {
    attr.view.setUint32(4 * i, word, true);
  });
  return bpf(BPF_LINK_CREATE, attr);
}

/** An XDP link that exists, with its program. The descriptors are the caller's. */
export interface XdpLink {
  readonly link: number;
  readonly program: number;
  /** Kernel's name of the program. */
  readonly name: string;
  readonly mapIds: readonly number[];
}

/**
 * The link by which this program (its number, as rtnetlink has it) is attached to an interface; null if there is none, or we may not look
 * (CAP_SYS_ADMIN). Links of all network namespaces are looked through, and an interface has its number in one of them only.
 */
export function findXdpLink(ifindex: number, programId: number): XdpLink | null {
  const attr = pinned(ATTR_SIZE);
  for (;;) {
    if (bpf(BPF_LINK_GET_NEXT_ID, attr) < 0) return null;
    const id = attr.view.getUint32(4, true);
    attr.view.setUint32(0, id, true);
    attr.view.setUint32(4, 0, true);
    const link = byId(BPF_LINK_GET_FD_BY_ID, id);
    if (link < 0) continue;
    // struct bpf_link_info { u32 type @0, id @4, prog_id @8; u32 ifindex @16 }
    const info = pinned(64);
    if (objectInfo(link, info) && info.view.getUint32(0, true) === BPF_LINK_TYPE_XDP) {
      const ours = info.view.getUint32(16, true) === ifindex && info.view.getUint32(8, true) === programId;
      const found = ours ? programOf(link, programId) : null;
      if (found !== null) return found;
    }
    libc().close(link);
  }
}

/** A descriptor of a map, -1 if we may not have one. */
export function mapById(id: number): number {
  return byId(BPF_MAP_GET_FD_BY_ID, id);
}

/** struct bpf_prog_info { ...; u32 nr_map_ids @52; u64 map_ids @56; char name[16] @64 } */
function programOf(link: number, programId: number): XdpLink | null {
  const program = byId(BPF_PROG_GET_FD_BY_ID, programId);
  if (program < 0) return null;
  const maps = pinned(4 * MAPS_MAX);
  const info = pinned(128);
  info.view.setUint32(52, MAPS_MAX, true);
  writeWord(info.view, 56, maps.at);
  if (!objectInfo(program, info, maps)) {
    libc().close(program);
    return null;
  }
  const count = Math.min(MAPS_MAX, info.view.getUint32(52, true));
  const name = info.bytes.toString('latin1', 64, 64 + NAME_SIZE);
  return {
    link,
    program,
    name: name.slice(0, name.indexOf('\0')),
    mapIds: Array.from({ length: count }, (_, i) => maps.view.getUint32(4 * i, true)),
  };
}

function byId(command: number, id: number): number {
  const attr = pinned(ATTR_SIZE);
  attr.view.setUint32(0, id, true);
  return bpf(command, attr);
}

function objectInfo(fd: number, info: Pinned, ...kept: Pinned[]): boolean {
  const attr = pinned(ATTR_SIZE);
  attr.view.setUint32(0, fd, true);
  attr.view.setUint32(4, info.bytes.length, true);
  writeWord(attr.view, 8, info.at);
  return bpf(BPF_OBJ_GET_INFO_BY_FD, attr, info, ...kept) >= 0;
}

/** `kept` is memory whose addresses stand in `attr`: reachable until the call is over. */
function bpf(command: number, attr: Pinned, ...kept: Pinned[]): number {
  const number = SYS_BPF[process.arch];
  if (number === undefined) {
    const message = `bpf() on ${process.arch} has a number that is not known here; packet: needs no program`;
    throw new SetupError('ERR_NETPOLL_NO_XDP', message);
  }
  const result = libc().syscall(number, command, attr.at, ATTR_SIZE);
  assert(
    kept.every((each) => each.at > 0),
    'the memory is there until the call is over',
  );
  return result;
}

function made(result: number, call: string, what: string): number {
  if (result >= 0) return result;
  const errno = libc().errno();
  if (errno === constants.errno.EPERM || errno === constants.errno.EACCES) {
    throw new SetupError('ERR_NETPOLL_EPERM', `${what}: bpf(${call}) is not permitted`);
  }
  if (errno === constants.errno.ENOSYS) {
    throw new SetupError('ERR_NETPOLL_NO_XDP', `${what}: this kernel has no bpf()`);
  }
  throw systemError(`bpf(${call})`, what);
}
