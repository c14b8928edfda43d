/**
 * Writes every frame that passes a Port as a pcap file: to a sink, piece by piece, so that the file may lie anywhere.
 *
 *     sink(24 bytes of header), then for each frame sink(16 bytes and the frame)
 *
 * Received frames carry their own time stamp, if the port knows it; all others that of `wallUs`.
 */
import { PCAP_HEADER_LEN, PCAP_RECORD_LEN } from '../../wire/pcap_format.ts';
import { writePcapHeader, writePcapRecord } from '../../wire/pcap_writer.ts';
import type { FrameBatch, Port, PortCaps } from '../nic/port.ts';
import { capsInOnePiece, PortWrapper } from './wrapper.ts';

/** Gets the next bytes of the file; they are good during the call only. */
export type PcapSink = (bytes: Uint8Array) => void;

export interface PcapTapOptions {
  readonly sink: PcapSink;
  /** Wall-clock microseconds since 1970. */
  readonly wallUs: () => number;
  /** Bytes of a frame that are written; all if absent. */
  readonly snapLen?: number;
}

const SNAPLEN_MAX = 262144;

export class PcapTap extends PortWrapper {
  /** Frames written. */
  frames = 0;
  readonly #options: PcapTapOptions;
  readonly #snapLen: number;
  #record = new Uint8Array(4096);

  readonly #caps: PortCaps;

  constructor(inner: Port, options: PcapTapOptions) {
    super(inner);
    this.#caps = capsInOnePiece(inner.caps);
    this.#options = options;
    this.#snapLen = Math.min(options.snapLen ?? SNAPLEN_MAX, SNAPLEN_MAX);
    const header = new Uint8Array(PCAP_HEADER_LEN);
    writePcapHeader(new DataView(header.buffer), 0, { snapLen: this.#snapLen });
    options.sink(header);
  }

  override get caps(): PortCaps {
    return this.#caps;
  }

  override rxBurst(queue: number, out: FrameBatch, limit: number): number {
    const n = this.inner.rxBurst(queue, out, limit);
    for (let i = 0; i < n; i++) this.#write(out, i, out.tstampUs[i]! || this.#options.wallUs());
    return n;
  }

  override txBurst(queue: number, batch: FrameBatch, n: number): number {
    const taken = this.inner.txBurst(queue, batch, n);
    for (let i = 0; i < taken; i++) this.#write(batch, i, this.#options.wallUs());
    return taken;
  }

  #write(batch: FrameBatch, i: number, tsUs: number): void {
    const wire = batch.len[i]!;
    const len = Math.min(wire, this.#snapLen);
    if (this.#record.length < PCAP_RECORD_LEN + len) this.#record = new Uint8Array(PCAP_RECORD_LEN + len);
    const at = writePcapRecord(new DataView(this.#record.buffer), 0, tsUs, len, wire);
    const from = batch.offset[i]!;
    this.#record.set(this.arena!.bytes.subarray(from, from + len), at);
    this.frames++;
    this.#options.sink(this.#record.subarray(0, at + len));
  }
}
