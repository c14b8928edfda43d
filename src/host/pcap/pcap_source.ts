/**
 * The reading half of a pcap port: one packet after the other out of a file, once or many times over, or as it grows.
 *
 *     file --read 1 MiB at a time--> CaptureReader --> packet         end, and rounds left: from the beginning
 *                                                                     end, and followed: `advance` looks again
 */
import { closeSync, type FSWatcher, openSync, readSync, watch } from 'node:fs';
import { SetupError } from '../../base/status.ts';
import { type CapturedPacket, CaptureReader } from '../../wire/pcap.ts';
import type { PcapSpec } from './pcap_spec.ts';

const CHUNK = 1 << 20;
/** A block of pcapng, which the reader waits for as a whole. */
const LONGEST = 5 << 18;

export class PcapSource {
  /** The packet that is next; null: there is none any more. Good until `advance`. */
  packet: CapturedPacket | null = null;
  /** `packet.bytes` as a DataView. */
  readonly view: DataView;
  /** The file begins again with this packet. */
  again = false;
  /** There will be no packet any more. */
  ended = false;
  /** Why it ended before the file's end; null if it did not. */
  problem: string | null = null;
  readonly #file: string;
  #fd: number;
  readonly #reader = new CaptureReader();
  #rounds: number;
  /** What has been read, whatever the round. */
  readonly #bytes = new Uint8Array(CHUNK + LONGEST);
  #found = 0;
  readonly #follow: boolean;
  #watcher: FSWatcher | undefined;

  readonly #more = (offset: number): number =>
    readSync(this.#fd, this.#bytes, offset, Math.min(CHUNK, this.#bytes.length - offset), null);

  /** Opens, and reads the first packet. Throws SetupError: ERR_NETPOLL_PCAP_OPEN, or the code of wire/pcap behind ERR_NETPOLL_. */
  constructor(file: string, { loop, follow }: Pick<PcapSpec, 'loop' | 'follow'>, grown: () => void) {
    this.#file = file;
    this.#rounds = loop;
    this.#follow = follow;
    this.view = new DataView(this.#bytes.buffer);
    try {
      this.#fd = openSync(file, 'r');
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `cannot read the capture: ${why}`, { cause });
    }
    try {
      if (follow) this.#watcher = watch(file, grown);
      this.#next();
    } catch (cause) {
      this.close();
      const code = (cause as { code?: string }).code ?? 'PCAP_OPEN';
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new SetupError(`ERR_NETPOLL_${code}`, `${file}: ${why}`, { cause });
    }
    if (this.packet === null && this.problem !== null) {
      this.close();
      throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `${file}: ${this.problem}`);
    }
  }

  /** Goes on to the next packet. What is broken from here on ends it, see `problem`. */
  advance(): void {
    try {
      this.#next();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      this.packet = null;
      this.ended = true;
    }
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #next(): void {
    this.again = false;
    this.packet = this.#read();
    if (this.packet !== null || this.#follow) return;
    this.ended = this.problem !== null || this.#found === 0 || --this.#rounds < 1;
    if (this.ended) return;
    closeSync(this.#fd);
    this.#fd = openSync(this.#file, 'r');
    this.#reader.reset();
    this.packet = this.#read();
    this.again = true;
  }

  #read(): CapturedPacket | null {
    for (;;) {
      const packet = this.#reader.next();
      if (packet !== null) {
        this.#found++;
        return packet;
      }
      if (this.#reader.fill(this.#bytes, this.view, this.#more)) continue;
      if (!this.#follow) this.problem = this.#reader.finish();
      return null;
    }
  }
}
