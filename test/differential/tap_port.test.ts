/**
 * Super-frames through our tap port and through a plain program's descriptor: the kernel must not see a difference, in either direction.
 *
 *     in --write--> | bridge | --> out --read-->  frame, header    the same as    port --rxBurst--> frame, columns
 *     in --write--> | bridge | --> out            segments         the same as    port --txBurst--> | bridge | --> out
 *
 * The frames are random, some of them nonsense; what goes to the port to be sent lies in pieces. NETPOLL_SEED repeats a run.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { FrameBatch } from '../../src/drivers/nic/port.ts';
import { createHostArena, type HostArena } from '../../src/host/arena.ts';
import { HostExecutive } from '../../src/host/executive.ts';
import { TUN_F_CSUM, TUN_F_TSO_ECN, TUN_F_TSO4, TUN_F_TSO6, TUN_F_USO4, TUN_F_USO6 } from '../../src/host/sys/tun.ts';
import { TapPort } from '../../src/host/tap/tap_port.ts';
import { takeVnet } from '../../src/host/tap/vnet_offload.ts';
import { CHECKSUM_PARTIAL } from '../../src/skb/checksum_state.ts';
import { VNET_HLEN } from '../../src/wire/virtio_net.ts';
import { lacks, titled } from '../netns/needs.ts';
import { SOURCE_MAC, type SuperFrame, superFrame } from './super_frames.ts';
import { bridgedTaps, upToMark } from './tap.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });
const seed = Number(process.env.NETPOLL_SEED ?? Date.now() % 0x100000000);
const rounds = Number(process.env.NETPOLL_ROUNDS ?? 500);
const ALL = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6;
const SLOTS = 256;
const FRAME_MAX = 70_000;
const PIECES_MAX = 20;

interface Heard {
  readonly flags: number;
  readonly gso_size: number;
  readonly csum_start: number;
  readonly csum_offset: number;
  readonly hex: string;
}

/** The header's places are those of the frame: only then have two writers' headers for it to be the same. */
function sound({ vnet, bytes }: SuperFrame): boolean {
  if (vnet.gso_type === 0) return true;
  const field = vnet.gso_type === 5 ? 6 : 16;
  if ((vnet.flags & 1) === 0 || vnet.csum_offset !== field) return false;
  const l4len = vnet.gso_type === 5 ? 8 : (bytes[vnet.csum_start + 12]! >>> 4) * 4;
  return vnet.csum_start + l4len === vnet.hdr_len;
}

/** What a port that offloads nothing is given: there is nothing left to do. */
function plainFrame(prng: Prng): SuperFrame {
  const { bytes } = superFrame(prng);
  const vnet = { flags: 0, gso_type: 0, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };
  return { vnet, bytes: bytes.subarray(0, 60 + prng.below(1454)) };
}

describe.skipIf(lacking !== undefined)(titled(`the tap port and this kernel, seed ${seed}`, lacking), () => {
  describe.each([
    ['with offloads', true],
    ['without offloads', false],
  ])('%s', (_, offload) => {
    const rx = new FrameBatch(64);
    const tx = new FrameBatch(1, 2 * PIECES_MAX);
    let memory: HostArena;
    let port: TapPort;
    let taps: ReturnType<typeof bridgedTaps>;
    /** Where frames to be sent lie. */
    let room: number;

    beforeAll(() => {
      memory = createHostArena({ slots: SLOTS, reserveBytes: 16 << 20 });
      port = new TapPort(`np${process.pid}p`, new HostExecutive(), { interfaceUp: false, offload });
      port.open(memory, () => {});
      room = memory.reserve(2 * FRAME_MAX, 64);
      taps = bridgedTaps([port.interfaceName]);
    });
    afterAll(() => {
      port?.close();
      taps?.close();
      expect(memory.available).toBe(SLOTS);
    });

    /** What the plain reader hears of the last frame. */
    function plain(): Heard[] {
      const frames = upToMark(taps.in, taps.out, 2000);
      if (frames === null) throw new Error('the bridge stopped to forward');
      return frames
        .filter(({ bytes }) => bytes.subarray(6, 12).equals(SOURCE_MAC))
        .map(({ vnet: { flags, gso_size, csum_start, csum_offset }, bytes }) => {
          return { flags: flags & 1, gso_size, csum_start, csum_offset, hex: bytes.toString('hex') };
        });
    }

    /** The same of the port. */
    function ours(): Heard[] {
      const all: Heard[] = [];
      for (let n = port.rxBurst(0, rx, 64); n > 0; n = port.rxBurst(0, rx, 64)) {
        for (let i = 0; i < n; i++) {
          const bytes = Buffer.from(memory.bytes.slice(rx.offset[i]!, rx.offset[i]! + rx.len[i]!));
          memory.release(rx.buf[i]!);
          if (!bytes.subarray(6, 12).equals(SOURCE_MAC)) continue;
          const partial = rx.csum[i] === CHECKSUM_PARTIAL;
          all.push({
            flags: partial ? 1 : 0,
            gso_size: rx.gsoSize[i]!,
            csum_start: partial ? rx.csumStart[i]! : 0,
            csum_offset: partial ? rx.csumOffset[i]! : 0,
            hex: bytes.toString('hex'),
          });
        }
      }
      return all;
    }

    /** Sends a frame by the port, in pieces. False: the port's reading of the header says that it is none. */
    function send(prng: Prng, { vnet, bytes }: SuperFrame): boolean {
      const header = Buffer.alloc(VNET_HLEN);
      header.set([vnet.flags, vnet.gso_type]);
      [vnet.hdr_len, vnet.gso_size, vnet.csum_start, vnet.csum_offset].forEach((word, i) => {
        header.writeUInt16LE(word, 2 + 2 * i);
      });
      tx.len[0] = bytes.length;
      if (!takeVnet(new DataView(header.buffer, header.byteOffset, VNET_HLEN), 0, tx, 0)) return false;
      tx.vlanTci[0] = -1;
      let at = Math.min(bytes.length, 14 + prng.below(300));
      memory.bytes.set(bytes.subarray(0, at), room);
      tx.offset[0] = room;
      tx.pieces[0] = 0;
      const size = Math.ceil((bytes.length - at) / (1 + prng.below(PIECES_MAX)));
      for (let to = room + 1000; at < bytes.length; to += size + 7) {
        const piece = bytes.subarray(at, at + size);
        memory.bytes.set(piece, to);
        tx.pieceOffset[tx.pieces[0]!] = to;
        tx.pieceLen[tx.pieces[0]!] = piece.length;
        tx.pieces[0]!++;
        at += piece.length;
      }
      expect(port.txBurst(0, tx, 1)).toBe(1);
      expect(port.txReap(0, rx)).toBe(1);
      return true;
    }

    test('receives what a plain reader does', () => {
      taps.out.offload(offload ? ALL : 0);
      const prng = new Prng(seed);
      let [frames, whole] = [0, 0];
      for (let round = 0; round < rounds; round++) {
        const frame = superFrame(prng);
        ours();
        if (!taps.in.write(frame.vnet, frame.bytes)) continue;
        const want = plain();
        const got = ours();
        const label = `round ${round}, ${JSON.stringify(frame.vnet)}, ${frame.bytes.subarray(0, 120).toString('hex')}`;
        expect(got.length, label).toBe(want.length);
        expect(got, label).toEqual(want);
        frames += got.length;
        whole += got.filter(({ gso_size }) => gso_size !== 0).length;
      }
      console.log(`seed ${seed}: ${frames} frames received, ${whole} of them super-frames`);
      expect(whole > 0).toBe(offload);
      expect(port.counters.get('rx_bad_headers')).toBe(0);
    });

    test('sends what a plain writer does, from pieces', () => {
      taps.out.offload(0);
      const prng = new Prng(seed + 1);
      let [frames, segments, refused, nonsense] = [0, 0, 0, 0];
      for (let round = 0; round < rounds; round++) {
        const frame = offload ? superFrame(prng) : plainFrame(prng);
        const taken = taps.in.write(frame.vnet, frame.bytes);
        const want = plain();
        const before = port.counters.get('tx_frames') + port.counters.get('tx_errors');
        const refusedBefore = port.counters.get('tx_errors');
        const label = `round ${round}, ${JSON.stringify(frame.vnet)}, ${frame.bytes.subarray(0, 120).toString('hex')}`;
        const sent = send(prng, frame);
        const after = port.counters.get('tx_frames') + port.counters.get('tx_errors');
        expect(after - before, label).toBe(sent ? 1 : 0);
        const errors = port.counters.get('tx_errors') - refusedBefore;
        const got = plain();
        if (!sent || !sound(frame)) {
          nonsense++;
          continue;
        }
        expect(errors, label).toBe(taken ? 0 : 1);
        expect(got, label).toEqual(want);
        frames++;
        segments += want.length;
        if (!taken) refused++;
      }
      console.log(`seed ${seed}: ${frames} sent as ${segments}, ${refused} refused; ${nonsense} that are nonsense`);
      if (offload) expect(segments).toBeGreaterThan(frames);
      else expect(segments).toBe(frames);
    });
  });
});
