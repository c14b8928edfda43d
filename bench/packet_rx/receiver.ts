/**
 * Child of bench/packet_rx.ts: our whole way up, from the kernel's ring to a UDP socket that reads each sequence number.
 *
 *     packet port -> nic -> NAPI -> netif_receive_skb -> IPv4 -> UDP, checksum verified -> onDatagram
 *
 *     argv: INTERFACE      stderr: "listening" once it is      SIGUSR2: stdout gets a ReceiverReport, a line of JSON
 */
import v8 from 'node:v8';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { Inet } from '../../src/inet/inet.ts';
import { udpBind } from '../../src/inet/udp.ts';
import type { SkBuff } from '../../src/skb/sk_buff.ts';
import { PORT, SEQ_AT, SEQ_DIGITS, STATION } from './line.ts';

/** What the receiver counted itself. */
export interface ReceiverReport {
  /** Frames since the start. */
  readonly received: number;
  /** By the kernel's counter, for want of room in the ring. */
  readonly dropped: number;
  /** Frames whose sequence number was not above the last one's. */
  readonly disordered: number;
  /** Since the last report: heap bytes allocated, frames that came in, garbage collections. */
  readonly heapBytes: number;
  readonly heapFrames: number;
  readonly collections: number;
}

const [name = ''] = process.argv.slice(2);
const host = createHostMachine();
const dev = host.openDevice(`packet:${name}`);
dev.devAddr.set(STATION);
let received = 0;
let last = -1;
let disordered = 0;
let profiler: v8.GCProfiler | undefined;
let floor = 0;
let reported = 0;
udpBind(new Inet(host.stack), PORT, onDatagram);
process.on('SIGUSR2', report);
console.error('listening');

function onDatagram(skb: SkBuff): void {
  const { bytes } = skb.arena;
  const end = skb.data + SEQ_AT + SEQ_DIGITS;
  let seq = 0;
  for (let at = end - SEQ_DIGITS; at < end; at++) seq = seq * 10 + bytes[at]! - 0x30;
  if (seq <= last) disordered++;
  last = seq;
  received++;
}

function report(): void {
  let heapBytes = v8.getHeapStatistics().used_heap_size - floor;
  const statistics = profiler?.stop().statistics ?? [];
  for (const { beforeGC, afterGC } of statistics) {
    heapBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const answer: ReceiverReport = {
    received,
    dropped: nicPort(dev).counters.toJSON().rx_dropped_kernel ?? 0,
    disordered,
    heapBytes,
    heapFrames: received - reported,
    collections: statistics.length,
  };
  console.log(JSON.stringify(answer));
  last = -1;
  reported = received;
  profiler = new v8.GCProfiler();
  profiler.start();
  floor = v8.getHeapStatistics().used_heap_size;
}
