/**
 * Child of bench/packet_ring.ts: our way up from the kernel's ring.
 *
 *     handler   packet port -> nic -> NAPI -> sk_buff -> netif_receive_skb -> handler of IPv4: reads what the peer reads, frees
 *     socket    ... -> IPv4 -> UDP -> onDatagram
 *
 *     argv: INTERFACE handler|socket      stderr: "listening" once it is      SIGUSR2: stdout gets a RingReport, a line of JSON
 */
import v8 from 'node:v8';
import { NET_RX_SUCCESS } from '../../src/base/status.ts';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { Inet } from '../../src/inet/inet.ts';
import { udpBind } from '../../src/inet/udp.ts';
import { ETH_P_IP } from '../../src/wire/eth.ts';
import { PORT, STATION } from '../packet_rx/line.ts';

/** Totals since the start. */
export interface RingReport {
  readonly received: number;
  readonly dropped: number;
  readonly polls: number;
  readonly interrupts: number;
  /** Since the last report. */
  readonly heapBytes: number;
  readonly collections: number;
  /** Nanoseconds of a step of a loop in which each step waits for the one before: how fast this processor is just now. */
  readonly stepNs: number;
}

const STEPS = 20e6;

const [spec = '', mode = ''] = process.argv.slice(2);
const host = createHostMachine();
const dev = host.openDevice(spec);
dev.devAddr.set(STATION);
let received = 0;
let touched = 0;
let profiler: v8.GCProfiler | undefined;
let floor = 0;
if (mode === 'socket') {
  udpBind(new Inet(host.stack), PORT, (skb) => {
    received++;
    touched = (touched + skb.len) | 0;
  });
} else {
  host.stack.types.add(ETH_P_IP, (skb) => {
    const { bytes } = skb.arena;
    touched = (touched + bytes[skb.data - 2]! + bytes[skb.data + 9]! + skb.len) | 0;
    received++;
    skb.pool.consume(skb);
    return NET_RX_SUCCESS;
  });
}
process.on('SIGUSR2', report);
const stepNs = measureStep();
console.error('listening');

function report(): void {
  let heapBytes = v8.getHeapStatistics().used_heap_size - floor;
  const statistics = profiler?.stop().statistics ?? [];
  for (const { beforeGC, afterGC } of statistics) {
    heapBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const answer: RingReport & { readonly touched: number } = {
    received,
    dropped: nicPort(dev).counters.toJSON().rx_dropped_kernel ?? 0,
    polls: dev.napiList.reduce((sum, { polls }) => sum + polls, 0),
    interrupts: host.machine.irqLines.reduce((sum, { count }) => sum + count, 0),
    heapBytes,
    collections: statistics.length,
    stepNs,
    touched,
  };
  console.log(JSON.stringify(answer));
  profiler = new v8.GCProfiler();
  profiler.start();
  floor = v8.getHeapStatistics().used_heap_size;
}

/** Multiply and add, each result the next one's input. */
function measureStep(): number {
  let x = 1;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 4; i++) {
    const started = process.cpuUsage().user;
    for (let n = 0; n < STEPS; n++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
    least = Math.min(least, process.cpuUsage().user - started);
  }
  touched ^= x & 1;
  return (least * 1e3) / STEPS;
}
