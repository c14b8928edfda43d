/**
 * What the kernel knows by its address stays where it is: every port echoes frames for some seconds while the garbage collector runs
 * every millisecond and what it frees is written over (fixtures/gc_echo.mjs). Each frame comes back as it was, and the process lives.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { callingPeer, listeningPeer, pathPeer, type QemuPeer } from '../../src/host/qemu/qemu_peer.fixture.ts';
import { udpFrame } from '../../src/sim/rig.fixture.ts';
import { CaptureReader } from '../../src/wire/pcap.ts';
import { pcapFile } from '../../src/wire/pcap_writer.ts';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { type VethPair, vethPair } from '../netns/rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });
const FIXTURES = join(import.meta.dirname, 'fixtures');
const SECONDS = 3;
/** A machine that others use has so much longer to do its part. */
const PATIENCE_MS = 15_000;
const COLLECTIONS = 20;
const READY_MS = 20_000;
const OWN_ADDRESS = '10.0.0.77';

interface Echoed {
  readonly frames: number;
  readonly echoed: number;
  readonly collections: number;
}

const payload = (n: number) => Uint8Array.from({ length: 40 + ((n * 37) % 1200) }, (_, i) => n * 7 + i * 3);

describe.skipIf(lacking !== undefined)(titled('while garbage is collected all the time', lacking), () => {
  let pair: VethPair;
  let folder: string;
  let echo: Child | undefined;

  beforeAll(async () => {
    pair = await vethPair('pinned');
    folder = mkdtempSync(join(tmpdir(), 'netpoll-pinned-'));
    chmodSync(folder, 0o777);
    await pair.b.space.neighbour(pair.b.device, OWN_ADDRESS, pair.a.mac);
  });
  afterEach(async () => {
    await echo?.stop();
    echo = undefined;
  });
  afterAll(async () => {
    await pair?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(spec: string, options = {}): Promise<void> {
    const argv = [process.execPath, '--expose-gc', join(FIXTURES, 'gc_echo.mjs'), spec, JSON.stringify(options)];
    echo = await pair.a.space.start(argv);
    await echo.until('the port', () => echo!.lines.length > 0, READY_MS);
  }

  /** Ends it, and gives what it has counted; fails if it ended before. */
  async function finish(): Promise<Echoed> {
    expect({ end: echo!.end, stderr: echo!.stderr.toString() }).toEqual({ end: undefined, stderr: '' });
    expect(await echo!.stop()).toEqual({ code: 0, signal: null });
    return JSON.parse(echo!.lines.at(-1)!) as Echoed;
  }

  async function client(where: 'a' | 'b', address: string, port: number): Promise<void> {
    const argv = [process.execPath, join(FIXTURES, 'pattern_client.mjs'), address, String(port), String(SECONDS)];
    const { stdout } = await pair[where].space.run(argv);
    const { sent, back, wrong } = JSON.parse(stdout) as { sent: number; back: number; wrong: number };
    expect({ wrong, enough: back > 500, sent: sent >= back }).toEqual({ wrong: 0, enough: true, sent: true });
  }

  it.each([
    ['packet:v0', {}],
    ['packet:v0,queues=2', {}],
    ['xdp:v0', {}],
    ['xdp:v0', { xdpMode: 'generic-copy' }],
  ])('%s %j gives every frame back as it came', async (spec, options) => {
    await start(spec, options);
    await client('b', OWN_ADDRESS, 7000);
    expect((await finish()).collections).toBeGreaterThan(COLLECTIONS);
  });

  it.each(['udp:10.0.0.1:7000', 'udp:10.0.0.1:7000,queues=2'])('%s does', async (spec) => {
    await start(spec);
    await client('b', '10.0.0.1', 7000);
    expect((await finish()).collections).toBeGreaterThan(COLLECTIONS);
  });

  it.each(['tap:gc0', 'tap:gc0,offload=off', 'tap:gc0,queues=2'])('%s does', async (spec) => {
    await start(spec);
    await pair.a.space.ip('addr', 'add', '10.9.0.1/24', 'dev', 'gc0');
    await pair.a.space.neighbour('gc0', '10.9.0.2', '02:00:00:00:09:02');
    await client('a', '10.9.0.2', 7000);
    expect((await finish()).collections).toBeGreaterThan(COLLECTIONS);
  });

  it.each([
    ['qemu:', 'a stream that QEMU calls', (place: string) => callingPeer({ path: place })],
    ['qemu:connect:', 'a stream to QEMU', (place: string) => listeningPeer({ path: place })],
    ['qemu:dgram:', 'datagrams', (place: string) => pathPeer(`${place}b`, `${place}a`)],
  ] as const)('%s, %s, does', async (form, _what, peerAt) => {
    const place = join(folder, form.replaceAll(':', ''));
    const peer: QemuPeer = await peerAt(place);
    await start(form === 'qemu:dgram:' ? `${form}${place}a,${place}b` : `${form}${place}`);
    let back = 0;
    let wrong = 0;
    const end = performance.now() + SECONDS * 1000;
    for (let n = 0; performance.now() < end || (back <= 500 && performance.now() < end + PATIENCE_MS); n++) {
      peer.inject(udpFrame({ payload: payload(n % 256), sourcePort: n % 256 }));
      if (n % 32 > 0) continue;
      await sleep(2);
      for (const frame of peer.sent()) {
        const [, to] = [frame[34]! * 256 + frame[35]!, frame[36]! * 256 + frame[37]!];
        back++;
        if (Buffer.compare(frame.subarray(42), payload(to)) !== 0) wrong++;
      }
    }
    const { frames, collections } = await finish();
    peer.close();
    expect(wrong).toBe(0);
    expect(back).toBeGreaterThan(500);
    expect(frames).toBeGreaterThanOrEqual(back);
    expect(collections).toBeGreaterThan(COLLECTIONS);
  });

  it('pcap: does, from one file to another', async () => {
    const [from, to] = [join(folder, 'from.pcap'), join(folder, 'to.pcap')];
    const frames = Array.from({ length: 256 }, (_, n) => ({ tsUs: n, bytes: udpFrame({ payload: payload(n) }) }));
    writeFileSync(from, pcapFile(frames));
    await start(`pcap:${from},loop=0,pps=5000,out=${to}`);
    await sleep(SECONDS * 1000);
    const { echoed, collections } = await finish();
    const reader = new CaptureReader();
    reader.push(readFileSync(to));
    let n = 0;
    for (let packet = reader.next(); packet !== null; packet = reader.next(), n++) {
      const written = packet.bytes.subarray(packet.start + 42, packet.start + packet.length);
      expect(Buffer.compare(written, payload(n % 256))).toBe(0);
    }
    expect(n).toBe(echoed);
    expect(n).toBeGreaterThan(500);
    expect(collections).toBeGreaterThan(COLLECTIONS);
  });
});
