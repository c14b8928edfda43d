/**
 * Child of bench/latency.ts: node:dgram, as an application would use it.
 *
 *     argv: PORT BUFFER      stderr: "listening" once it is      SIGUSR2: stdout gets a Report (receiver.ts), the samples start anew
 */
import { createSocket } from 'node:dgram';
import { SAMPLES_MAX, sinceStamp } from './stamp.ts';

const [port = '', buffer = ''] = process.argv.slice(2);
const samples = new Float64Array(SAMPLES_MAX);
let received = 0;
let kept = 0;
const socket = createSocket({ type: 'udp4', recvBufferSize: Number(buffer) });
socket.on('message', (message) => {
  received++;
  if (kept < SAMPLES_MAX) samples[kept++] = sinceStamp(message.readUInt32BE(0), message.readUInt32BE(4));
});
socket.bind(Number(port), () => console.error('listening'));
process.on('SIGUSR2', () => {
  const us = Array.from(samples.subarray(0, kept), (each) => Math.round(each * 10) / 10);
  console.log(JSON.stringify({ received, interrupts: received, us }));
  kept = 0;
});
