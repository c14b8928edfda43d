/** pktgen on simulated wires: what it sends, how fast, and what becomes of frames where there is no room. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { devClose, devOpen } from '../../device/open.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { fold, sum32 } from '../../wire/checksum.ts';
import { isPktgen, pktgenSeq, pktgenTimeUs } from '../../wire/pktgen.ts';
import { udpChecksumOk } from '../../wire/udp.ts';
import { PktgenHeaders } from './headers.ts';
import { type PktgenParams, pgset, pktgenParams } from './params.ts';
import type { PktgenPayload } from './payload.ts';
import { Pgrx } from './pgrx.ts';
import { Pktgen } from './pktgen.ts';
import { pktgenResult, showPktgen, showResult } from './show.ts';

const BASE = ['dst_mac 02:00:00:00:00:02', 'dst 10.0.0.2', 'src_min 10.0.0.1'];

function paramsOf(...lines: string[]): PktgenParams {
  const params = pktgenParams();
  for (const line of [...BASE, ...lines]) pgset(params, line);
  return params;
}

function rig() {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const heard: { bytes: Uint8Array; atNs: number }[] = [];
  wire.attach({
    receive: (bytes: Uint8Array, len: number) => heard.push({ bytes: bytes.slice(0, len), atNs: world.nowNs }),
  } as never);
  const sim = createSimMachine(world, { hostname: 'me' });
  const port = new SimPort(world, { name: 'sim:0', mac: macOf(1), wire });
  const dev = createNic(sim.net, port, 'eth0');
  devOpen(dev);
  const run = (lines: string[], ns = 1e9, payload: PktgenPayload = { kind: 'pktgen' }): Pktgen => {
    const pktgen = new Pktgen(dev, paramsOf(...lines), { payload });
    pktgen.start();
    world.runFor(ns);
    return pktgen;
  };
  return { ...sim, world, wire, port, dev, heard, run };
}

/** UDP over IPv4 without tags: what a receiver would check. */
function right(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const total = view.getUint16(16);
  if (fold(sum32(view, 14, 20)) !== 0 || total > bytes.length - 14) return false;
  return view.getUint16(38) === total - 20 && udpChecksumOk(view, 14, 4, 34, total - 20);
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
const seqs = (heard: { bytes: Uint8Array }[]) => heard.map(({ bytes }) => pktgenSeq(viewOf(bytes), 42));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('pktgen', () => {
  it('sends count frames of 60 bytes, numbered from 1, with pktgen’s header and right checksums', () => {
    const { heard, run, machine } = rig();
    const pktgen = run(['count 700']);
    expect(seqs(heard)).toEqual(upTo(700));
    expect(heard.every(({ bytes }) => bytes.length === 60 && right(bytes) && isPktgen(viewOf(bytes), 42))).toBe(true);
    expect([pktgen.running, pktgen.sofar, pktgen.txBytes, machine.skbs.inUse]).toEqual([false, 700, 42_000, 0]);
  });

  it('keeps a rate to the frame, and spaces frames evenly', () => {
    const { heard, run } = rig();
    const pktgen = run(['count 0', 'ratep 10000'], 1e9);
    expect(Math.abs(pktgen.sofar - 10_000)).toBeLessThan(3);
    const gaps = heard.slice(1).map(({ atNs }, i) => atNs - heard[i]!.atNs);
    expect([Math.min(...gaps), Math.max(...gaps)].map(Math.round)).toEqual([100_000, 100_000]);
    pktgen.stop();
    // The first and the last one of a second.
    expect(pktgenResult(pktgen)).toMatchObject({ pps: 10_001, errors: 0, slipped: 0 });
  });

  it('sends no more than the wire takes, loses nothing of it, and ends as soon as it is stopped', () => {
    const { heard, run, machine, world, port } = rig();
    const pktgen = run(['count 0'], 1e7);
    pktgen.stop();
    world.runFor(1e8);
    expect(seqs(heard)).toEqual(upTo(pktgen.sofar));
    expect(port.counters.get('tx_frames')).toBe(pktgen.sofar);
    expect([machine.skbs.inUse, pktgen.idleNs > 0]).toEqual([0, true]);
  });

  it('waits while the device cannot send, and counts what is too late to be made up for', () => {
    const { heard, run, world, port } = rig();
    port.txStalled = true;
    const pktgen = run(['count 0', 'ratep 100000'], 1e9);
    expect(pktgen.sofar).toBeLessThanOrEqual(256 + 64);
    port.txStalled = false;
    port.setLink(true);
    world.runFor(1e9);
    pktgen.stop();
    world.runFor(1e8);
    expect(pktgen.slipped).toBeGreaterThan(0);
    expect(seqs(heard)).toEqual(upTo(heard.length));
  });

  it('ends when its device goes down', () => {
    const { run, dev, world, machine } = rig();
    const pktgen = run(['count 0', 'ratep 1000'], 1e7);
    devClose(dev);
    world.runFor(1e8);
    expect([pktgen.running, machine.skbs.inUse]).toEqual([false, 0]);
  });

  it('sends a frame clone_skb times before it makes the next', () => {
    const { heard, run } = rig();
    run(['count 12', 'clone_skb 5']);
    expect(seqs(heard)).toEqual([1, 1, 1, 1, 1, 6, 6, 6, 6, 6, 11, 11]);
  });

  it('walks through ranges from their minimum to their maximum', () => {
    const { heard, run } = rig();
    run([
      'count 7',
      'dst_max 10.0.0.4',
      'udp_src_min 5',
      'udp_src_max 6',
      'min_pkt_size 60',
      'max_pkt_size 63',
      'src_mac_count 2',
    ]);
    expect(heard.map(({ bytes }) => bytes[33])).toEqual([2, 3, 4, 2, 3, 4, 2]);
    expect(heard.map(({ bytes }) => viewOf(bytes).getUint16(34))).toEqual([5, 6, 5, 6, 5, 6, 5]);
    expect(heard.map(({ bytes }) => bytes.length)).toEqual([60, 61, 62, 63, 60, 61, 62]);
    expect(heard.map(({ bytes }) => bytes[11])).toEqual([1, 2, 1, 2, 1, 2, 1]);
    expect(heard.every(({ bytes }) => right(bytes))).toBe(true);
  });

  it('keeps a flow’s destination for flowlen frames', () => {
    const { heard, run } = rig();
    run(['count 9', 'dst_max 10.0.0.9', 'flows 2', 'flowlen 3', 'flag FLOW_SEQ']);
    const to = heard.map(({ bytes }) => bytes[33]!);
    expect([0, 3, 6].map((i) => new Set(to.slice(i, i + 3)).size)).toEqual([1, 1, 1]);
    expect(new Set(to).size).toBe(3);
  });

  it('puts VLAN tags in, writes IPv6, and leaves the checksum out where that is wanted', () => {
    const tagged = rig();
    tagged.run(['count 1', 'vlan_id 77', 'vlan_p 3', 'svlan_id 22']);
    const bytes = tagged.heard[0]!.bytes;
    expect([12, 14, 16, 18, 20].map((o) => viewOf(bytes).getUint16(o))).toEqual([
      0x88a8,
      22,
      0x8100,
      (3 << 13) | 77,
      0x800,
    ]);
    const six = rig();
    six.run(['count 2', 'dst6_min fd00::1', 'dst6_max fd00::2', 'src6 fd00::9', 'pkt_size 80']);
    const views = six.heard.map(({ bytes: each }) => viewOf(each));
    expect(views.map((view) => [view.getUint16(12), view.getUint8(53)])).toEqual([
      [0x86dd, 1],
      [0x86dd, 2],
    ]);
    expect(views.every((view) => udpChecksumOk(view, 14, 16, 54, view.getUint16(58)))).toBe(true);
    const none = rig();
    none.run(['count 1', 'flag !UDPCSUM', 'flag NO_TIMESTAMP']);
    const view = viewOf(none.heard[0]!.bytes);
    expect([view.getUint16(40), pktgenTimeUs(view, 42), right(none.heard[0]!.bytes)]).toEqual([0, 0, true]);
  });

  it('sends a payload that it was given, and netconsole records that each source numbers for itself', () => {
    const given = rig();
    given.run(['count 2'], 1e9, { kind: 'bytes', bytes: Uint8Array.of(1, 2, 3) });
    expect(given.heard.map(({ bytes }) => [bytes.length, ...bytes.slice(42, 46), right(bytes)])).toEqual([
      [60, 1, 2, 3, 0, true],
      [60, 1, 2, 3, 0, true],
    ]);
    const lines = rig();
    lines.run(['count 4', 'src_max 10.0.0.2'], 1e9, { kind: 'netconsole', text: 'oops' });
    const texts = lines.heard.map(({ bytes }) => new TextDecoder().decode(bytes.slice(42)));
    expect(texts.map((text) => text.slice(0, 12))).toEqual([
      '6,0000000000',
      '6,0000000000',
      '6,0000000001',
      '6,0000000001',
    ]);
    expect(texts.every((text) => /^6,\d{10},\d{10},-;oops\n/.test(text))).toBe(true);
    expect(lines.heard.every(({ bytes }) => right(bytes))).toBe(true);
  });

  it('refuses what its device cannot do', () => {
    const { dev } = rig();
    const made =
      (...lines: string[]) =>
      () =>
        new Pktgen(dev, paramsOf(...lines));
    expect(made('pkt_size 9000')).toThrow('takes frames of at most 1522 bytes');
    expect(made('queue_map_max 3')).toThrow('eth0 has so many queues: 1');
    expect(made('svlan_id 5')).toThrow('needs a vlan_id');
    dev.txSkbSharing = false;
    expect(made('clone_skb 7')).toThrow('does not share frames');
  });

  it('makes a frame for each sending where the device does not share them', () => {
    const { dev, heard, run, machine } = rig();
    dev.txSkbSharing = false;
    run(['count 600']);
    expect(seqs(heard)).toEqual(upTo(600));
    expect(machine.skbs.inUse).toBe(0);
  });

  it('shows itself in the kernel’s words', () => {
    const { run } = rig();
    const pktgen = run(['count 100', 'ratep 1000']);
    expect(showResult(pktgenResult(pktgen))).toMatch(
      /^OK: \d+\(c\d+\+d\d+\) usec, 100 \(60byte,0frags\)\n {2}\d+pps \d+Mb\/sec \(\d+bps\) errors: 0$/,
    );
    expect(showPktgen(pktgen)).toContain('pkts-sofar: 100  errors: 0');
  });
});

describe('PktgenHeaders', () => {
  it('writes frames that a receiver finds right, whatever varies, and however it is drawn', () => {
    const flag = fc.subarray([
      'IPSRC_RND',
      'IPDST_RND',
      'UDPSRC_RND',
      'UDPDST_RND',
      'MACSRC_RND',
      'MACDST_RND',
      'TXSIZE_RND',
    ]);
    const span = fc.integer({ min: 0, max: 300 });
    fc.assert(
      fc.property(flag, span, span, span, span, fc.nat(0xffffffff), (flags, hosts, ports, sizes, macs, seed) => {
        const params = paramsOf(
          ...flags.map((each) => `flag ${each}`),
          `dst_max 10.0.${1 + (hosts >> 8)}.${hosts & 255}`,
          `udp_dst_max ${9 + ports}`,
          `max_pkt_size ${60 + sizes}`,
          `dst_mac_count ${macs}`,
        );
        const headers = new PktgenHeaders(params, { kind: 'pktgen' }, macOf(1), seed);
        const bytes = headers.template.slice();
        const view = viewOf(bytes);
        for (let n = 0; n < 20; n++) {
          headers.stamp(seed * 1e3 + n);
          headers.next();
          const len = headers.write(view, 0, (seed + n) >>> 0);
          expect(right(bytes.subarray(0, len))).toBe(true);
          expect([pktgenSeq(view, 42), len >= 60, len <= 60 + sizes]).toEqual([(seed + n) >>> 0, true, true]);
        }
      }),
    );
  });
});

describe('pgset', () => {
  it('answers as the kernel does, and refuses what it does not know', () => {
    const params = pktgenParams();
    expect(pgset(params, 'rate 300M')).toBe('OK: rate=1600');
    expect(pgset(params, 'ratep 1000000')).toBe('OK: ratep=1000');
    expect(pgset(params, 'flag !UDPCSUM')).toBe('OK: flag=!UDPCSUM');
    for (const line of [
      'frags 3',
      'nonsense 1',
      'count',
      'count -1',
      'dst x',
      'dst6 1.2.3.4',
      'flag NONE',
      'dst_mac 1',
      'tos 123',
    ]) {
      expect(() => pgset(params, line), line).toThrow(/pktgen/);
    }
  });
});

describe('pgrx', () => {
  it('counts frames, gaps, what comes late or twice, and the delay', () => {
    const { world, wire, dev: from, heard } = rig();
    const far = createSimMachine(world, { hostname: 'far' });
    const port = new SimPort(world, { name: 'sim:1', mac: macOf(2), wire });
    const dev = createNic(far.net, port, 'eth0');
    devOpen(dev);
    const pgrx = new Pgrx(dev);
    expect([pgrx.start(), pgrx.start()]).toEqual([0, -16]);
    const pktgen = new Pktgen(from, paramsOf('count 10', 'ratep 100000'));
    pktgen.start();
    world.runFor(1e9);
    expect([pgrx.packets, pgrx.lost, pgrx.runs, pgrx.bytes]).toEqual([10, 0, 1, 600]);
    expect([pgrx.latencyMinUs >= 0, pgrx.latencyMaxUs < 100]).toEqual([true, true]);
    const again = (seq: number) => {
      const { bytes } = heard[0]!;
      viewOf(bytes).setUint32(46, seq);
      port.receive(bytes, bytes.length);
      world.runFor(1e6);
    };
    for (const seq of [13, 12, 14, 14]) again(seq);
    expect([pgrx.packets, pgrx.lost, pgrx.reordered, pgrx.duplicated]).toEqual([14, 0, 2, 0]);
    again(14);
    expect(pgrx.duplicated).toBe(1);
    pgrx.stop();
    again(15);
    expect(pgrx.packets).toBe(15);
  });
});
