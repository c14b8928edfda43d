// 464 batches of frames that a real kernel took from a TAP device in one poll each, and the super-frames that it made of
// them, with four settings of the device (test/golden/gro-gso; Linux 7.2). Ours are the same, byte for byte.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { NETIF_F_GRO, NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { GroRig, type SuperFrame } from './gro.fixture.ts';

interface Case {
  readonly name: string;
  readonly batches: readonly (readonly string[])[];
  readonly out: Readonly<Record<'k61' | 'k72', Readonly<Record<string, readonly (readonly SuperFrame[])[]>>>>;
}

const FEATURES: Readonly<Record<string, number>> = {
  default: NETIF_F_GRO,
  udpfwd: NETIF_F_GRO | NETIF_F_GRO_UDP_FWD,
  list: NETIF_F_GRO | NETIF_F_GRO_FRAGLIST,
  off: 0,
};

const cases = gunzipSync(readFileSync(new URL('../../test/golden/gro-gso/gro-cases.jsonl.gz', import.meta.url)))
  .toString()
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Case);

describe('receive offload, as Linux 7.2 did it', () => {
  for (const [config, features] of Object.entries(FEATURES)) {
    const recorded = cases.filter((each) => each.out.k72[config] !== undefined);
    it(`${config}: ${recorded.length} batches give the kernel's super-frames`, () => {
      const rig = new GroRig(features);
      const wrong: string[] = [];
      for (const each of recorded) {
        const ours = each.batches.map((frames) => rig.poll(frames.map((hex) => Buffer.from(hex, 'hex'))));
        const theirs = each.out.k72[config]!;
        if (JSON.stringify(ours.map(fields)) !== JSON.stringify(theirs.map(fields))) wrong.push(each.name);
      }
      expect(wrong).toEqual([]);
      expect(rig.pool.inUse).toBe(0);
      expect(rig.pool.arena.available).toBe(rig.pool.arena.slots);
    });
  }
});

function fields(frames: readonly SuperFrame[]): unknown[] {
  return frames.map((f) => [f.flags, f.gso_type, f.gso_size, f.hdr_len, f.csum_start, f.csum_off, f.len, f.hex]);
}
