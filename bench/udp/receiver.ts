/**
 * Child of bench/udp_rx.ts: our whole way up, from the kernel's socket to a UDP socket of our own stack.
 *
 *     udp port -> nic -> NAPI -> netif_receive_skb -> IPv4 -> UDP -> onDatagram
 *
 *     argv: PORT BUFFER ["plain"]    plain: without what the C peer has not asked for either (GRO, local address)
 *     stderr: "listening" once it is         SIGUSR2: stdout gets {"received", "dropped", "heapBytes", "heapFrames", "collections"}
 */
import v8 from 'node:v8';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { Inet } from '../../src/inet/inet.ts';
import { udpBind } from '../../src/inet/udp.ts';

const [port = '', buffer = '', mode = ''] = process.argv.slice(2);
const host = createHostMachine();
const plain = mode === 'plain';
const dev = host.openDevice(plain ? `udp:10.0.0.1:${port}` : `udp:0.0.0.0:${port}`, {
  receiveBuffer: Number(buffer),
  gro: !plain,
});
let received = 0;
let reported = 0;
let profiler: v8.GCProfiler | undefined;
let floor = 0;
udpBind(new Inet(host.stack), Number(port), () => {
  received++;
});
process.on('SIGUSR2', () => {
  let heapBytes = v8.getHeapStatistics().used_heap_size - floor;
  const statistics = profiler?.stop().statistics ?? [];
  for (const { beforeGC, afterGC } of statistics) {
    heapBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
  }
  const dropped = nicPort(dev).counters.toJSON().rx_dropped_kernel ?? 0;
  const heapFrames = received - reported;
  console.log(JSON.stringify({ received, dropped, heapBytes, heapFrames, collections: statistics.length }));
  reported = received;
  profiler = new v8.GCProfiler();
  profiler.start();
  floor = v8.getHeapStatistics().used_heap_size;
});
console.error('listening');
