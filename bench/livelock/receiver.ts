/**
 * Child of bench/livelock_host.ts, bench/moderation.ts and bench/gc_pause.ts: our whole way up from a port to a UDP socket of our own
 * stack, which reads a byte of each datagram, and works on it.
 *
 *     port -> nic -> NAPI -> netif_receive_skb -> IPv4 -> UDP -> onDatagram
 *
 *     argv: SPEC [OPTIONS [WORK_US]]      OPTIONS: what openDevice takes, as JSON; WORK_US: see work.ts
 *     stderr: "listening" once it is      SIGUSR2: stdout gets a FloodReport, a line of JSON
 */
import v8 from 'node:v8';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine, type OpenDeviceOptions } from '../../src/host/host_machine.ts';
import { Inet } from '../../src/inet/inet.ts';
import { udpBind } from '../../src/inet/udp.ts';
import { PORT, STATION } from '../packet_rx/line.ts';
import { workOf } from './work.ts';

export interface FloodReport {
  /** When this was written, in milliseconds of a clock of its own. */
  readonly atMs: number;
  /** Since the start. */
  readonly received: number;
  readonly interrupts: number;
  readonly polls: number;
  /** Since the last report: heap bytes allocated, the collections, and the longest of them and all together in milliseconds. */
  readonly heapBytes: number;
  readonly collections: number;
  readonly longestMs: number;
  readonly collectingMs: number;
}

const [spec = '', options = '{}', us = '0'] = process.argv.slice(2);
const work = us === '0' ? null : workOf(Number(us));
const host = createHostMachine();
const dev = host.openDevice(spec, JSON.parse(options) as OpenDeviceOptions);
if (!spec.startsWith('udp:')) dev.devAddr.set(STATION);
let received = 0;
let touched = 0;
udpBind(new Inet(host.stack), PORT, (skb) => {
  const first = skb.arena.bytes[skb.data]!;
  touched = (touched + (work === null ? first : work(first))) | 0;
  received++;
});
let profiler: v8.GCProfiler | undefined;
let floor = 0;
process.on('SIGUSR2', () => {
  let heapBytes = v8.getHeapStatistics().used_heap_size - floor;
  const statistics = profiler?.stop().statistics ?? [];
  for (const { beforeGC, afterGC } of statistics) {
    heapBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const report: FloodReport = {
    atMs: performance.now(),
    received,
    interrupts: host.machine.irqLines.reduce((sum, { count }) => sum + count, 0),
    polls: dev.napiList.reduce((sum, { polls }) => sum + polls, 0),
    heapBytes,
    collections: statistics.length,
    longestMs: statistics.reduce((most, { cost }) => Math.max(most, cost / 1000), 0),
    collectingMs: statistics.reduce((sum, { cost }) => sum + cost / 1000, 0),
  };
  console.log(JSON.stringify({ ...report, touched, ...nicPort(dev).counters.toJSON() }));
  profiler = new v8.GCProfiler();
  profiler.start();
  floor = v8.getHeapStatistics().used_heap_size;
});
console.error('listening');
