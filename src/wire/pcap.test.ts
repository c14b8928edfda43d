import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goldenDir, readBytes } from '../../test/golden/netconsole/read_capture.ts';
import { CaptureReader, PcapError } from './pcap.ts';
import { pcapFile, writePcapHeader, writePcapRecord } from './pcap_writer.ts';

interface Got {
  tsUs: number;
  tsNs: number;
  wireLength: number;
  bytes: number[];
}

function readAll(file: Uint8Array, chunk = file.length): { packets: Got[]; tail: string | null } {
  const reader = new CaptureReader();
  const packets: Got[] = [];
  for (let at = 0; at < file.length; at += chunk) {
    reader.push(file.slice(at, at + chunk));
    for (let packet = reader.next(); packet !== null; packet = reader.next()) {
      const { tsUs, tsNs, wireLength, bytes, start, length } = packet;
      packets.push({ tsUs, tsNs, wireLength, bytes: [...bytes.subarray(start, start + length)] });
    }
  }
  return { packets, tail: reader.finish() };
}

const frame = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => i);
const sample = pcapFile([
  { tsUs: 1_700_000_000_123_456, bytes: frame(60) },
  { tsUs: 1_700_000_001_000_000, bytes: frame(3) },
]);

/** The same file with each field of 2 or 4 bytes turned round. */
function bigEndian(file: Uint8Array): Uint8Array {
  const out = file.slice();
  const swap = (at: number, n: number): void => {
    out.set(file.slice(at, at + n).reverse(), at);
  };
  for (const [at, n] of [
    [0, 4],
    [4, 2],
    [6, 2],
    [8, 4],
    [12, 4],
    [16, 4],
    [20, 4],
  ] as const)
    swap(at, n);
  const view = new DataView(file.buffer);
  for (let at = 24; at < file.length; at += 16 + view.getUint32(at + 8, true)) {
    for (let field = 0; field < 16; field += 4) swap(at + field, 4);
  }
  return out;
}

describe('pcap', () => {
  const expected = [
    { tsUs: 1_700_000_000_123_456, tsNs: 0, wireLength: 60, bytes: [...frame(60)] },
    { tsUs: 1_700_000_001_000_000, tsNs: 0, wireLength: 3, bytes: [...frame(3)] },
  ];

  it('reads what it writes, in both byte orders, however it is cut into chunks', () => {
    for (const file of [sample, bigEndian(sample)]) {
      for (const chunk of [1, 7, 24, 100, file.length]) {
        expect(readAll(file, chunk)).toEqual({ packets: expected, tail: null });
      }
    }
  });

  it('begins anew with another file when it is told to', () => {
    const reader = new CaptureReader();
    reader.push(sample.subarray(0, 50));
    reader.next();
    reader.reset();
    reader.push(sample);
    expect([reader.next()?.length, reader.next()?.length, reader.next()]).toEqual([60, 3, null]);
    expect(reader.finish()).toBe(null);
  });

  it('reads nanoseconds', () => {
    const file = new Uint8Array(24 + 16 + 1);
    const view = new DataView(file.buffer);
    writePcapRecord(view, writePcapHeader(view, 0, { nanoseconds: true }), 5_000_001, 1, 9, 789);
    expect(readAll(file).packets).toEqual([{ tsUs: 5_000_001, tsNs: 789, wireLength: 9, bytes: [0] }]);
  });

  it('gives every whole packet of a truncated file, and the reason for the rest', () => {
    expect(readAll(sample.subarray(0, sample.length - 1))).toEqual({
      packets: expected.slice(0, 1),
      tail: 'the last 18 bytes are a packet cut short (capture interrupted?)',
    });
    expect(readAll(sample.subarray(0, 10)).tail).toContain('only 10 bytes');
    expect(readAll(new Uint8Array(0)).tail).toContain('empty');
  });

  it('refuses other link types by name, and what is no capture', () => {
    const sll = sample.slice();
    sll[20] = 113;
    expect(() => readAll(sll)).toThrow(/LINUX_SLL/);
    expect(() => readAll(new TextEncoder().encode('{"json": true}'))).toThrow(/not a capture file/);
    expect(() => readAll(Uint8Array.of(0x1f, 0x8b, 8, 0, 0))).toThrow(/gzip/);
  });

  it('throws nothing but PcapError, whatever the bytes', () => {
    const mutated = fc.tuple(fc.nat(sample.length - 1), fc.nat(255)).map(([at, value]) => {
      const file = sample.slice();
      file[at] = value;
      return file;
    });
    fc.assert(
      fc.property(
        fc.oneof(mutated, fc.uint8Array({ maxLength: 100 })),
        fc.integer({ min: 1, max: 50 }),
        (file, chunk) => {
          try {
            readAll(file, chunk);
          } catch (error) {
            expect(error).toBeInstanceOf(PcapError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('pcapng', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pcapng-'));
  const kernel = readBytes(join(goldenDir, 'kmsg-k72.pcap.gz'));
  const has = (tool: string): boolean => {
    try {
      execFileSync(tool, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };

  it.skipIf(!has('editcap'))('reads what editcap makes of a pcap file (skipped: no editcap)', () => {
    writeFileSync(join(dir, 'in.pcap'), kernel);
    execFileSync('editcap', ['-F', 'pcapng', join(dir, 'in.pcap'), join(dir, 'out.pcapng')]);
    const converted = readFileSync(join(dir, 'out.pcapng'));
    rmSync(dir, { recursive: true });
    const plain = readAll(kernel);
    expect(plain.packets.length).toBeGreaterThan(1000);
    expect(readAll(converted)).toEqual(plain);
    expect(readAll(converted, 1000)).toEqual(plain);
    expect(readAll(converted.subarray(0, converted.length - 50)).tail).toMatch(/cut short/);
  });

  /** A block in big endian. */
  function block(type: number, body: number[]): number[] {
    const padded = [...body, ...Array((4 - (body.length % 4)) % 4).fill(0)];
    const length = [0, 0, (padded.length + 12) >> 8, (padded.length + 12) & 255];
    return [type >>> 24, (type >> 16) & 255, (type >> 8) & 255, type & 255, ...length, ...padded, ...length];
  }
  const section = block(0x0a0d0d0a, [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, ...Array(8).fill(255)]);
  // if_tsresol 9: nanoseconds; if_tsoffset 1 second
  const options = [0, 9, 0, 1, 9, 0, 0, 0, 0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
  const packet = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 209, 0, 0, 0, 3, 0, 0, 0, 9, 7, 8, 9];

  it('reads big endian blocks, clock units and offsets, and skips what it does not know', () => {
    const ethernet = block(1, [0, 1, 0, 0, 0, 0, 0, 0, ...options]);
    const file = Uint8Array.from([...section, ...block(0x0bad, [1, 2, 3]), ...ethernet, ...block(6, packet)]);
    expect(readAll(file).packets).toEqual([{ tsUs: 1_000_002, tsNs: 1, wireLength: 9, bytes: [7, 8, 9] }]);
  });

  it('refuses packets of another link type, damaged blocks and unknown interfaces', () => {
    const wifi = block(1, [0, 105, 0, 0, 0, 0, 0, 0]);
    expect(() => readAll(Uint8Array.from([...section, ...wifi, ...block(6, packet)]))).toThrow(/Wi-Fi/);
    expect(() => readAll(Uint8Array.from([...section, ...block(6, packet)]))).toThrow(/never described/);
    expect(() => readAll(Uint8Array.from([...section, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0]))).toThrow(/damaged/);
  });
});
