/**
 * Child of bench/udp_rx.ts: node:dgram, which only counts.
 *
 *     argv: PORT BUFFER         stderr: "listening" once it is         SIGUSR2: stdout gets {"received": N}
 */
import { createSocket } from 'node:dgram';

const [port = '', buffer = ''] = process.argv.slice(2);
let received = 0;
const socket = createSocket({ type: 'udp4', recvBufferSize: Number(buffer) });
socket.on('message', () => received++);
socket.bind(Number(port), () => console.error('listening'));
process.on('SIGUSR2', () => console.log(JSON.stringify({ received })));
