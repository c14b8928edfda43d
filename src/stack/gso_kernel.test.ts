import { describe, expect, test } from 'vitest';
import { goldenLines } from '../../test/golden/vectors.ts';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { NETIF_F_HW_CSUM, NETIF_F_SG } from '../device/features.ts';
import { SkbPool } from '../skb/pool.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { freeSegments } from './gso_segment.ts';
import {
  bytesOf,
  frameOf,
  type Layout,
  superFrameArena,
  takeVnetHeader,
  type VnetHeader,
} from './super_frame.fixture.ts';
import { validateXmitSkb } from './validate_xmit.ts';

interface Outcome {
  readonly segments?: string[];
  readonly errno?: number;
}
interface Case {
  readonly name: string;
  readonly in: { readonly vnet: VnetHeader; readonly hex: string };
  readonly out: Record<'k61' | 'k72', Record<'device-without-offloads' | 'device-with-tx-checksum', Outcome>>;
}
const cases = goldenLines<Case>('gro-gso/gso-cases.jsonl.gz');
const arena = superFrameArena(400);
const pool = new SkbPool(arena, 400);
const dev = testDevice(testNet().net);
const devices = [
  ['device-without-offloads', 0],
  ['device-with-tx-checksum', NETIF_F_SG | NETIF_F_HW_CSUM],
] as const;
const layouts: Layout[] = ['linear', 'frags', 'chain'];

describe.each(devices)('GSO as kernel 7.2 does it, %s', (name, features) => {
  test.each(cases)('$name', (each) => {
    for (const layout of layouts) {
      const want = each.out.k72[name];
      const skb = frameOf(pool, Buffer.from(each.in.hex, 'hex'), layout, 128, 8000);
      skb.dev = dev;
      dev.features = features;
      if (!takeVnetHeader(skb, each.in.vnet)) {
        expect(want.errno).toBe(22);
        pool.consume(skb);
        continue;
      }
      const first = validateXmitSkb(skb);
      const got: string[] = [];
      for (let segment: SkBuff | null = first; segment !== null; segment = segment.next) {
        got.push(Buffer.from(bytesOf(segment)).toString('hex'));
      }
      expect(got).toEqual(want.segments);
      freeSegments(first);
    }
    expect([pool.inUse, arena.available]).toEqual([0, 400]);
  });
});

test('all 69 super-frames were there', () => {
  expect(cases.length).toBe(69);
});
