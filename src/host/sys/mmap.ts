/**
 * Mappings. The arena is one anonymous mapping that JavaScript sees through one ArrayBuffer; a kernel ring is laid over a
 * part of it with MAP_FIXED, so that the same DataView reads both, and is taken out again by laying anonymous memory
 * over that part.
 */
import { check } from './errno.ts';
import { libc } from './libc.ts';

const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x1;
const MAP_PRIVATE = 0x2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
export const PAGE_SIZE = 4096;

export interface Mapping {
  readonly buffer: ArrayBuffer;
  readonly at: number;
}

/** `length` bytes of zeroed memory at a fixed address. Unmapped when nobody holds the buffer any more. */
export function mapMemory(length: number): Mapping {
  const at = libc().mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(at, 'mmap', `map ${length} bytes for frames`);
  const buffer = libc().viewOf(at, length);
  unmapper.register(buffer, { at, length });
  return { buffer, at };
}

/**
 * `length` bytes of the kernel's memory behind `fd`, from `fileOffset` on, where the kernel wants them (an io_uring takes no address).
 * Unmapped when nobody holds the buffer any more. Throws systemError.
 */
export function mapFile(fd: number, fileOffset: number, length: number, what: string): Mapping {
  const at = libc().mmap(0, length, PROT_READ_WRITE, MAP_SHARED, fd, fileOffset);
  check(at, 'mmap', what);
  const buffer = libc().viewOf(at, length);
  unmapper.register(buffer, { at, length });
  return { buffer, at };
}

const unmapper = new FinalizationRegistry<{ at: number; length: number }>(({ at, length }) => {
  libc().munmap(at, length);
});

/** Lays the kernel's memory behind `fd`, from `fileOffset` on, over [at, at + length). */
export function mapOver(at: number, length: number, fd: number, what: string, fileOffset = 0): void {
  check(libc().mmap(at, length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, fileOffset), 'mmap', what);
}

/** Lays fresh anonymous memory over [at, at + length): the kernel's ring there is let go. */
export function mapAway(at: number, length: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  check(libc().mmap(at, length, PROT_READ_WRITE, flags, -1, 0), 'mmap', 'take a ring out of the arena');
}

const MREMAP_MAYMOVE = 1;
const MREMAP_FIXED = 2;

/**
 * Lays anonymous memory over [at, at + length) that holds what was there: who reads a frame in it reads on, and the kernel's ring
 * behind it is let go. Throws systemError; then nothing has changed.
 */
export function mapCopy(at: number, length: number): void {
  const fresh = libc().mmap(0, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(fresh, 'mmap', `copy ${length} bytes of a ring`);
  libc().memcpy(fresh, at, length);
  const flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  check(libc().mremap(fresh, length, length, flags, at), 'mremap', 'take a ring out of the arena');
}
