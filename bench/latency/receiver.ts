/**
 * Child of bench/latency.ts: our whole way up from a port to a UDP socket of our own stack, in interrupt mode.
 *
 *     port --irq--> nic -> NAPI -> netif_receive_skb -> IPv4 -> UDP -> onDatagram: how long ago was it sent?
 *
 *     argv: SPEC [OPTIONS]      OPTIONS: what openDevice takes, as JSON, and {"busyUsecs": N} to be polled instead of interrupted
 *     stderr: "listening" once it is      SIGUSR2: stdout gets a Report, and the samples start anew
 */
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { BusyPoll } from '../../src/host/busy_poll.ts';
import { createHostMachine, type OpenDeviceOptions } from '../../src/host/host_machine.ts';
import { Inet } from '../../src/inet/inet.ts';
import { udpBind } from '../../src/inet/udp.ts';
import { PORT, STATION } from '../packet_rx/line.ts';
import { SAMPLES_MAX, sinceStamp } from './stamp.ts';

export interface Report {
  readonly received: number;
  /** How often the device's interrupt handlers ran; of node:dgram, as often as its callback. */
  readonly interrupts: number;
  /** Microseconds from the sender's clock reading to the handler's. */
  readonly us: readonly number[];
}

const [spec = '', options = '{}'] = process.argv.slice(2);
const host = createHostMachine();
const { busyUsecs, ...given } = JSON.parse(options) as OpenDeviceOptions & { readonly busyUsecs?: number };
const dev = host.openDevice(spec, given);
if (busyUsecs !== undefined) new BusyPoll(host.net, busyUsecs).add(dev);
if (!spec.startsWith('udp:')) dev.devAddr.set(STATION);
const samples = new Float64Array(SAMPLES_MAX);
let received = 0;
let kept = 0;
udpBind(new Inet(host.stack), PORT, (skb) => {
  const { view } = skb.arena;
  received++;
  if (kept < SAMPLES_MAX) samples[kept++] = sinceStamp(view.getUint32(skb.data), view.getUint32(skb.data + 4));
});
process.on('SIGUSR2', () => {
  const us = Array.from(samples.subarray(0, kept), (each) => Math.round(each * 10) / 10);
  const interrupts = host.machine.irqLines.reduce((sum, { count }) => sum + count, 0);
  console.log(JSON.stringify({ received, interrupts, us, ...nicPort(dev).counters.toJSON() }));
  kept = 0;
});
console.error('listening');
