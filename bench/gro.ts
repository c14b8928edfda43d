// Receive offload: does a TCP train allocate on its way through, and what does merging it cost or save? Trains of 32
// segments go from a simulated card through NAPI and GRO to a protocol handler, which gets one frame for each train; with
// offload off it gets 32. The checksum of each segment is verified on the way with offload on, by nobody with it off.

import { NETIF_F_GRO } from '../src/device/features.ts';
import { devOpen } from '../src/device/open.ts';
import { devSetWantedFeatures } from '../src/device/update_features.ts';
import { createNic } from '../src/drivers/nic/nic.ts';
import { createSimMachine } from '../src/sim/sim_machine.ts';
import { SimPort } from '../src/sim/sim_port.ts';
import { Wire } from '../src/sim/wire.ts';
import { World } from '../src/sim/world.ts';
import { fold, sum32 } from '../src/wire/checksum.ts';
import { ETH_P_IP, writeEth } from '../src/wire/eth.ts';
import { IPPROTO_TCP, writeIpv4 } from '../src/wire/ipv4.ts';
import { setTcpChecksum } from '../src/wire/tcp.ts';
import { bytesPerFrame, compare, type Figure, rate } from './harness.ts';

export const question =
  'bytes allocated a segment of a TCP train through receive offload, and its rate against no offload';

const FRAMES = 200_000;
/** Segments that arrive between two interrupts. */
const TRAIN = 32;
const PAYLOAD = 1448;

export async function run(): Promise<Figure[]> {
  const on = path(true);
  const off = path(false);
  return [
    bytesPerFrame('nic, NAPI, GRO: TCP train to protocol', on, FRAMES, { atMost: 0.1 }),
    await compare(
      'segments through GRO / one by one',
      'segments/s',
      { name: 'GRO on', measure: () => rate(on, FRAMES) },
      { name: 'GRO off', measure: () => rate(off, FRAMES) },
    ),
  ];
}

/** A machine with one device, and what has `frames` segments arrive on it. */
function path(gro: boolean): (frames: number) => void {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'bench' });
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const port = new SimPort(world, { name: 'sim:bench', mac, wire: new Wire(world) });
  const dev = createNic(sim.net, port, 'eth0');
  devOpen(dev);
  if (gro) devSetWantedFeatures(dev, NETIF_F_GRO, 0);
  else devSetWantedFeatures(dev, 0, NETIF_F_GRO);
  let bytes = 0;
  let up = 0;
  sim.stack.types.add(ETH_P_IP, (skb) => {
    up++;
    bytes += skb.len;
    skb.pool.consume(skb);
    return 0;
  });
  const train = Array.from({ length: TRAIN }, (_, i) => segment(mac, i));
  return (frames) => {
    bytes = 0;
    up = 0;
    const { cpu } = sim.machine;
    for (let n = 0; n < frames; n += TRAIN) {
      const were = cpu.localIrqSave();
      for (let i = 0; i < TRAIN; i++) port.receive(train[i]!, train[i]!.length);
      cpu.localIrqRestore(were);
    }
    const trains = Math.ceil(frames / TRAIN);
    const expected = gro ? trains * (40 + TRAIN * PAYLOAD) : trains * TRAIN * (40 + PAYLOAD);
    if (bytes !== expected || up !== (gro ? trains : trains * TRAIN)) throw new Error(`${up} frames, ${bytes} bytes`);
  };
}

function segment(dest: Uint8Array, i: number): Uint8Array {
  const frame = new Uint8Array(54 + PAYLOAD).fill(0x61);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, dest, Uint8Array.of(2, 0, 0, 0, 0, 2), ETH_P_IP);
  writeIpv4(view, 14, i, IPPROTO_TCP, 0x0a000002, 0x0a000001, 20 + PAYLOAD);
  view.setUint32(34, (1500 << 16) | 8000);
  view.setUint32(38, 1000 + i * PAYLOAD);
  view.setUint32(42, 100);
  view.setUint32(46, 0x5010ffff);
  view.setUint32(50, 0);
  setTcpChecksum(view, 34, fold(sum32(view, 26, 8) + IPPROTO_TCP + 20 + PAYLOAD + sum32(view, 34, 20 + PAYLOAD)));
  return frame;
}
