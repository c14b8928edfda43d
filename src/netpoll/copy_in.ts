// hot
/**
 * A client's bytes into a frame.
 *
 * Words are copied four times as fast as bytes, but reading them takes a DataView on the caller's memory, and making one costs more
 * than a short copy. A console hands over the same buffer for every line: the second time its view is made, and kept.
 */
import { copyBytes } from '../base/copy_bytes.ts';
import type { NetpollInfo } from './npinfo.ts';

/** Copies bytes[offset .. offset + len) to position `at` of the arena; fastest where that is a multiple of four. */
export function copyIn(info: NetpollInfo, at: number, bytes: Uint8Array, offset: number, len: number): void {
  const memory = info.dev.net.machine.arena.bytes;
  const source = bytes.buffer;
  if (source !== info.lastSource) {
    info.lastSource = source;
    info.lastView = null;
    for (let i = 0; i < len; i++) memory[at + i] = bytes[offset + i]!;
    return;
  }
  if (info.lastView === null) info.lastView = new DataView(source);
  copyBytes(memory, info.words, at, info.lastView, bytes.byteOffset + offset, len);
}
