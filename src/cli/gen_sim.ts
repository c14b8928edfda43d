/**
 * netpoll gen sim: a generator and its receiver on a simulated wire of 10 Gbit/s, under a virtual clock: the result says what the
 * machinery does, not what this host is worth.
 */

import type { PktgenParams } from '../clients/pktgen/params.ts';
import type { PktgenPayload } from '../clients/pktgen/payload.ts';
import { Pgrx } from '../clients/pktgen/pgrx.ts';
import { Pktgen } from '../clients/pktgen/pktgen.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { counted } from './gen_receive.ts';
import { type ReportFlags, report } from './gen_report.ts';
import { note } from './terminal.ts';

const DEFAULT_MS = 1000;
const SETTLE_NS = 1e8;

export function generateInSim(
  params: PktgenParams,
  payload: PktgenPayload,
  seed: number,
  durationMs: number | null,
  flags: ReportFlags,
): void {
  const world = new World({ seed });
  const wire = new Wire(world);
  const ends = [1, 2].map((number) => {
    const sim = createSimMachine(world, { hostname: `sim${number}` });
    const port = new SimPort(world, { name: `sim:${number}`, mac: Uint8Array.of(2, 0, 0, 0, 0, number), wire });
    const dev = createNic(sim.net, port, 'eth0');
    devOpen(dev);
    return { port, dev };
  });
  const [from, to] = [ends[0]!, ends[1]!];
  params.dstMac.set(to.port.caps.mac);
  const pgrx = new Pgrx(to.dev);
  pgrx.start();
  const pktgen = new Pktgen(from.dev, params, { payload, seed });
  pktgen.start();
  const endNs = (durationMs ?? (params.count > 0 ? Number.MAX_SAFE_INTEGER / 1e6 : DEFAULT_MS)) * 1e6;
  const stepNs = 1e7;
  for (let at = stepNs; pktgen.running && at <= endNs; at += stepNs) world.runFor(stepNs);
  pktgen.stop();
  world.runFor(SETTLE_NS);
  const far = counted(pgrx, to.port.counters.toJSON());
  if (flags.json !== true) note(`received ${far.packets}, lost ${far.lost}, out of order ${far.reordered}`);
  report(pktgen, 'sim:', flags, { received: far.packets, lost: far.lost });
}
