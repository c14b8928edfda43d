/**
 * Child of bench/packet_tx.ts and bench/gen_xdp.ts: our generator as `netpoll gen` runs it, 60-byte frames as fast as it can.
 *
 *     pktgen -> nic driver -> port       every frame with its own number, time and checksum
 *
 *     argv: SCHEME:INTERFACE [CLONE_SKB]      SIGUSR2: stdout gets a SenderReport, a line of JSON
 */
import v8 from 'node:v8';
import { pgset, pktgenParams } from '../../src/clients/pktgen/params.ts';
import { Pktgen } from '../../src/clients/pktgen/pktgen.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';

/** Since the last report: heap bytes allocated, frames that the driver took, garbage collections. */
export interface SenderReport {
  readonly heapBytes: number;
  readonly frames: number;
  readonly collections: number;
}

const [spec = '', cloneSkb = '0'] = process.argv.slice(2);
const host = createHostMachine();
const dev = host.openDevice(spec);
const params = pktgenParams();
for (const line of [
  'count 0',
  'dst 10.0.0.1',
  'src_min 10.0.0.2',
  'dst_mac 02:00:00:00:00:01',
  'src_mac 02:00:00:00:00:02',
  `clone_skb ${cloneSkb}`,
]) {
  pgset(params, line);
}
const pktgen = new Pktgen(dev, params, { spinNs: 100e3 });
let profiler: v8.GCProfiler | undefined;
let floor = 0;
let reported = 0;
process.on('SIGUSR2', report);
pktgen.start();

function report(): void {
  let heapBytes = v8.getHeapStatistics().used_heap_size - floor;
  const statistics = profiler?.stop().statistics ?? [];
  for (const { beforeGC, afterGC } of statistics) {
    heapBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const answer: SenderReport = { heapBytes, frames: pktgen.sofar - reported, collections: statistics.length };
  console.log(JSON.stringify(answer));
  reported = pktgen.sofar;
  profiler = new v8.GCProfiler();
  profiler.start();
  floor = v8.getHeapStatistics().used_heap_size;
}
