/**
 * Child of bench/livelock_host.ts: node:dgram, and for each datagram as much work as the others do.
 *
 *     argv: PORT BUFFER WORK_US      stderr: "listening" once it is      SIGUSR2: stdout gets {"received", "atMs"}
 */
import { createSocket } from 'node:dgram';
import { workOf } from './work.ts';

const [port = '', buffer = '', us = ''] = process.argv.slice(2);
const work = workOf(Number(us));
let received = 0;
let touched = 0;
const socket = createSocket({ type: 'udp4', recvBufferSize: Number(buffer) });
socket.on('message', (message) => {
  received++;
  touched = (touched + work(message[0]!)) | 0;
});
socket.bind(Number(port), () => console.error('listening'));
process.on('SIGUSR2', () => console.log(JSON.stringify({ received, touched, atMs: performance.now() })));
