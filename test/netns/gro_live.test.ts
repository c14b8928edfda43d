// Random trains of segments go through this machine's own receive offload and through ours; what comes out is compared,
// virtio-net header and bytes. NETPOLL_GRO_TRAINS says how many (2,100 unless told), NETPOLL_SEED which; it is printed.
//
// Where this kernel (6.18 here) is not the one that we answer to (7.2):
// | what                                     | kernels before 7.0       | ours, and 7.2                     | here           |
// | CWR on several segments in a row         | never merged             | merged; the flag counts (AccECN)  | not drawn      |
// | VLAN tag in the frame, 8021q not built in| not merged               | merged                            | not drawn      |
// Both stand in the recorded table (src/napi/gro_golden.test.ts).
import { release } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { Prng } from '../../src/base/prng.ts';
import { NETIF_F_GRO, NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../../src/device/features.ts';
import { GroRig, type SuperFrame } from '../../src/napi/gro.fixture.ts';
import { drawTrain } from './gro_trains.ts';
import { lacks, titled } from './needs.ts';
import { TapGro } from './tap_gro.ts';

const TRAINS = Number(process.env.NETPOLL_GRO_TRAINS ?? 2100);
const SEED = Number(process.env.NETPOLL_SEED ?? Date.now() % 0x100000000);
/** Devices of a setting that work at the same time: most of a train's time is the wait for the flush. */
const LANES = 8;
/** A loaded machine needs several until a train fits between two ticks. */
const TRIES = 40;

const SETTINGS = [
  { name: 'default', features: NETIF_F_GRO, ethtool: [] },
  { name: 'udpfwd', features: NETIF_F_GRO | NETIF_F_GRO_UDP_FWD, ethtool: ['rx-udp-gro-forwarding'] },
  { name: 'list', features: NETIF_F_GRO | NETIF_F_GRO_FRAGLIST, ethtool: ['rx-gro-list'] },
] as const;

const lacking =
  lacks({ root: true, tools: ['ip', 'ethtool'], paths: ['/dev/net/tun'] }) ??
  // Before, identifications, lists of TCP and CWR had other rules.
  (kernelVersion() < 6.018 ? `needs Linux 6.18, this is ${release()}` : undefined);

describe.skipIf(lacking !== undefined)(titled(`receive offload beside this kernel's, seed ${SEED}`, lacking), () => {
  const taps: TapGro[] = [];
  afterAll(() => {
    for (const tap of taps) tap.close();
  });

  for (const [s, setting] of SETTINGS.entries()) {
    const count = Math.ceil(TRAINS / SETTINGS.length);
    it(`${setting.name}: ${count} trains give the same super-frames`, async () => {
      const prng = new Prng(SEED + s);
      const rig = new GroRig(setting.features);
      const lanes = Array.from({ length: LANES }, (_, i) => {
        const tap = new TapGro(`ng${process.pid.toString(36)}${s}${i}`, setting.ethtool);
        taps.push(tap);
        return tap;
      });
      let merged = 0;
      let frames = 0;
      for (let done = 0; done < count; done += LANES) {
        const trains = lanes.map(() => drawTrain(prng));
        const ours = trains.map((train) => rig.poll(train));
        merged += ours.flat().filter((each) => each.gso_size !== 0).length;
        frames += trains.flat().length;
        let open = lanes.map((_, i) => i);
        let theirs: SuperFrame[][] = [];
        for (let attempt = 0; attempt < TRIES && open.length > 0; attempt++) {
          theirs = await round(lanes, trains, ours, open);
          open = open.filter((i) => !same(theirs[i]!, ours[i]!));
        }
        for (const i of open) {
          const where = `${setting.name}, seed ${SEED}, train ${done + i}: ${trains[i]!.map((f) => f.length).join(' ')}`;
          expect(ours[i]!.map(line), where).toEqual(theirs[i]!.map(line));
        }
      }
      expect(rig.pool.inUse).toBe(0);
      expect(merged).toBeGreaterThan(count / 4);
      console.log(`gro ${setting.name}: ${count} trains, ${frames} frames, ${merged} super-frames, seed ${SEED}`);
    });
  }
});

/** 6.018 for 6.18. */
function kernelVersion(): number {
  const [major = '0', minor = '0'] = release().split('.');
  return Number(major) + Number(minor) / 1000;
}

/** Writes the trains that are open, and collects what comes until as much has come as ours gave, or 40 ms have passed. */
async function round(
  lanes: readonly TapGro[],
  trains: readonly (readonly Uint8Array[])[],
  ours: readonly (readonly SuperFrame[])[],
  open: readonly number[],
): Promise<SuperFrame[][]> {
  const seen: SuperFrame[][] = lanes.map((lane) => lane.read()).map(() => []);
  for (const i of open) lanes[i]!.write(trains[i]!);
  const end = performance.now() + 40;
  while (performance.now() < end && open.some((i) => seen[i]!.length < ours[i]!.length)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const i of open) seen[i]!.push(...lanes[i]!.read());
  }
  // A train that was cut in two still has its second half on the way.
  await new Promise((resolve) => setTimeout(resolve, open.some((i) => !same(seen[i]!, ours[i]!)) ? 14 : 0));
  for (const i of open) seen[i]!.push(...lanes[i]!.read());
  return seen;
}

function same(a: readonly SuperFrame[], b: readonly SuperFrame[]): boolean {
  return a.length === b.length && a.every((each, i) => line(each) === line(b[i]!));
}

function line(f: SuperFrame): string {
  return [f.flags, f.gso_type, f.gso_size, f.hdr_len, f.csum_start, f.csum_off, f.len, f.hex].join(' ');
}
