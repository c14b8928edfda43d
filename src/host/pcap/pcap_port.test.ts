import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { PcapPort } from './pcap_port.ts';

const folder = mkdtempSync(join(tmpdir(), 'netpoll-pcap-'));
afterAll(() => rmSync(folder, { recursive: true }));
const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

const frameOf = (seed: number, len: number) => Uint8Array.from({ length: len }, (_, i) => seed * 17 + i);

/** A little-endian microsecond pcap of these frames, the n-th captured at 1,700,000,000 s + n us. */
function capture(name: string, frames: readonly Uint8Array[], cutBytes = 0): string {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65535, 16);
  head.writeUInt32LE(1, 20);
  const parts: Uint8Array[] = [head];
  frames.forEach((frame, i) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(1_700_000_000, 0);
    record.writeUInt32LE(i, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    parts.push(record, frame);
  });
  const file = join(folder, name);
  const bytes = Buffer.concat(parts);
  writeFileSync(file, bytes.subarray(0, bytes.length - cutBytes));
  return file;
}

describe('pcap port', () => {
  it('gives every frame once with its bytes and time, then no link, then tells its listeners', async () => {
    const frames = Array.from({ length: 500 }, (_, i) => frameOf(i, 60 + (i % 1400)));
    const port = new PcapPort(capture('whole.pcap', frames));
    const memory = createArena(32);
    let ended = 0;
    port.onEnd(() => ended++);
    port.open(memory, () => {});
    const out = new FrameBatch(16);
    let seen = 0;
    while (port.irqEnable(0, true)) {
      expect(ended).toBe(0);
      const n = port.rxBurst(0, out, 16);
      for (let i = 0; i < n; i++, seen++) {
        const at = out.offset[i]!;
        expect(memory.bytes.slice(at, at + out.len[i]!)).toEqual(frames[seen]);
        expect(out.tstampUs[i]).toBe(1_700_000_000e6 + seen);
        memory.release(out.buf[i]!);
      }
    }
    expect(seen).toBe(500);
    expect(port.link()).toBe(false);
    expect(port.counters.get('eof')).toBe(1);
    expect(port.problem).toBe(null);
    await nextTurn();
    expect(ended).toBe(1);
    port.onEnd(() => ended++);
    await nextTurn();
    expect(ended).toBe(2);
    port.close();
  });

  it('waits for memory instead of dropping', () => {
    const port = new PcapPort(capture('patient.pcap', [frameOf(1, 60), frameOf(2, 60), frameOf(3, 60)]));
    const memory = createArena(2);
    port.open(memory, () => {});
    const out = new FrameBatch(16);
    expect(port.rxBurst(0, out, 16)).toBe(2);
    expect(port.irqEnable(0, true)).toBe(true);
    expect(port.rxBurst(0, new FrameBatch(16), 16)).toBe(0);
    memory.release(out.buf[0]!);
    expect(port.rxBurst(0, out, 16)).toBe(1);
    expect(memory.bytes[out.offset[0]!]).toBe(frameOf(3, 60)[0]);
    expect(port.rxBurst(0, out, 16)).toBe(0);
    expect(port.irqEnable(0, true)).toBe(false);
  });

  it('gives what stands before a cut end, and says what is wrong', () => {
    const port = new PcapPort(capture('cut.pcap', [frameOf(1, 60), frameOf(2, 60)], 7));
    port.open(createArena(4), () => {});
    expect(port.rxBurst(0, new FrameBatch(4), 4)).toBe(1);
    expect(port.irqEnable(0, true)).toBe(false);
    expect(port.problem).toContain('cut short');
    expect(port.counters.get('rx_errors')).toBe(1);
  });

  it('leaves out a frame that is longer than a slot and counts it', () => {
    const port = new PcapPort(capture('long.pcap', [frameOf(1, 3000), frameOf(2, 60)]));
    port.open(createArena(4), () => {});
    expect(port.rxBurst(0, new FrameBatch(4), 4)).toBe(1);
    expect(port.counters.get('rx_length_errors')).toBe(1);
  });

  it('takes what is to be sent, counts it as errors and gives the tags back', () => {
    const port = new PcapPort(capture('tx.pcap', [frameOf(1, 60)]));
    port.open(createArena(4), () => {});
    const batch = new FrameBatch(2);
    batch.cookie.set([5, 6]);
    expect(port.txBurst(0, batch, 2)).toBe(2);
    expect(port.counters.get('tx_errors')).toBe(2);
    const done = new FrameBatch(4);
    expect(port.txReap(0, done)).toBe(2);
    expect([...done.cookie.subarray(0, 2)].sort()).toEqual([5, 6]);
  });

  it.each([
    ['absent.pcap', null, 'ERR_NETPOLL_PCAP_OPEN'],
    ['empty.pcap', Buffer.alloc(0), 'ERR_NETPOLL_PCAP_OPEN'],
    ['text.pcap', Buffer.from('this is no capture, it is a sentence of some length'), 'ERR_NETPOLL_PCAP_NOT_A_CAPTURE'],
  ])('refuses %s with a reason', (name, content, code) => {
    const file = join(folder, name);
    if (content !== null) writeFileSync(file, content);
    const port = new PcapPort(file);
    let refused: unknown;
    try {
      port.open(createArena(4), () => {});
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(SetupError);
    expect((refused as SetupError).code).toBe(code);
    expect((refused as SetupError).message).toContain(name);
  });
});
