/**
 * Random super-frames through this machine's kernel and through ours: the same segments, byte for byte.
 *
 *     frame --> TAP | bridge | TAP without offloads, or with checksums only --> segments
 *       \-----> validateXmitSkb on a device with the same features ---------> segments
 *
 * NETPOLL_SEED repeats a run, NETPOLL_ROUNDS makes it longer.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { testDevice, testNet } from '../../src/device/device.fixture.ts';
import { NETIF_F_HW_CSUM, NETIF_F_SG } from '../../src/device/features.ts';
import { TUN_F_CSUM } from '../../src/host/sys/tun.ts';
import { CHECKSUM_PARTIAL } from '../../src/skb/checksum_state.ts';
import { SkbPool } from '../../src/skb/pool.ts';
import type { SkBuff } from '../../src/skb/sk_buff.ts';
import { freeSegments } from '../../src/stack/gso_segment.ts';
import { bytesOf, frameOf, type Layout, superFrameArena, takeVnetHeader } from '../../src/stack/super_frame.fixture.ts';
import { validateXmitSkb } from '../../src/stack/validate_xmit.ts';
import { lacks, titled } from '../netns/needs.ts';
import { partialFrame, SOURCE_MAC, type SuperFrame, superFrame } from './super_frames.ts';
import { bridgedTaps, upToMark } from './tap.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });
const seed = Number(process.env.NETPOLL_SEED ?? Date.now() % 0x100000000);
const rounds = Number(process.env.NETPOLL_ROUNDS ?? 1200);
const layouts: Layout[] = ['linear', 'frags', 'chain'];

describe.skipIf(lacking !== undefined)(titled(`this kernel's GSO and ours, seed ${seed}`, lacking), () => {
  const arena = superFrameArena(1300);
  const pool = new SkbPool(arena, 1300);
  const dev = testDevice(testNet().net);
  let taps: ReturnType<typeof bridgedTaps>;

  beforeAll(() => {
    taps = bridgedTaps();
  });
  afterAll(() => taps?.close());

  /** What the kernel makes of a frame: each piece with the place of a checksum that is left to the device. */
  function kernels({ vnet, bytes }: SuperFrame): string[] | 'EINVAL' {
    if (!taps.in.write(vnet, bytes)) return 'EINVAL';
    const pieces: string[] = [];
    const frames = upToMark(taps.in, taps.out, 2000);
    if (frames === null) throw new Error('the bridge stopped to forward');
    for (const each of frames) {
      if (!each.bytes.subarray(6, 12).equals(SOURCE_MAC)) continue;
      const partial = (each.vnet.flags & 1) !== 0;
      pieces.push(piece(each.bytes, partial, each.vnet.csum_start, each.vnet.csum_offset));
    }
    return pieces;
  }

  function ours({ vnet, bytes }: SuperFrame, layout: Layout, linear: number): string[] | 'EINVAL' {
    const skb = frameOf(pool, bytes, layout, linear, 8000);
    skb.dev = dev;
    if (!takeVnetHeader(skb, vnet)) {
      pool.consume(skb);
      return 'EINVAL';
    }
    const first = validateXmitSkb(skb);
    const pieces: string[] = [];
    for (let each: SkBuff | null = first; each !== null; each = each.next) {
      const partial = each.ipSummed === CHECKSUM_PARTIAL;
      pieces.push(piece(Buffer.from(bytesOf(each)), partial, each.csumStart - each.data, each.csumOffset));
    }
    freeSegments(first);
    return pieces;
  }

  function piece(bytes: Buffer, partial: boolean, start: number, offset: number): string {
    return `${partial ? `partial ${start}+${offset}` : 'full'} ${bytes.toString('hex')}`;
  }

  function compare(prng: Prng, make: (prng: Prng) => SuperFrame): { frames: number; pieces: number; refused: number } {
    const seen = { frames: 0, pieces: 0, refused: 0 };
    for (let round = 0; round < rounds; round++) {
      const frame = make(prng);
      const want = kernels(frame);
      const got = ours(frame, layouts[prng.below(3)]!, 60 + prng.below(200));
      const label = `round ${round}, ${JSON.stringify(frame.vnet)}, ${frame.bytes.subarray(0, 120).toString('hex')}`;
      expect(got === 'EINVAL' ? got : got.length, label).toEqual(want === 'EINVAL' ? want : want.length);
      expect(got, label).toEqual(want);
      seen.frames++;
      if (want === 'EINVAL' || want.length === 0) seen.refused++;
      else seen.pieces += want.length;
    }
    expect([pool.inUse, arena.available]).toEqual([0, 1300]);
    return seen;
  }

  test.each([
    ['a device without offloads', 0, 0],
    ['a device that fills in checksums', TUN_F_CSUM, NETIF_F_SG | NETIF_F_HW_CSUM],
  ])('cut super-frames alike for %s', (_, offload, features) => {
    taps.out.offload(offload);
    dev.features = features;
    dev.vlanFeatures = features;
    console.log(`seed ${seed}:`, compare(new Prng(seed), superFrame));
  });

  test('fill in checksums alike, wherever they are', () => {
    taps.out.offload(0);
    dev.features = 0;
    console.log(`seed ${seed}:`, compare(new Prng(seed + 1), partialFrame));
  });
});
