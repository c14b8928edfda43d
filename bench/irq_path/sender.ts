/**
 * Sends datagrams to 127.0.0.1:PORT at RATE a second (0: as fast as it can) for SECONDS. Each carries the CLOCK_MONOTONIC
 * time of its sending (struct timespec), taken right before sendto().
 */
import { AF_INET, CLOCK_MONOTONIC, clockGettime, loopback, SOCK_DGRAM, sendto, socket } from './libc.ts';

const [port, rate, seconds] = process.argv.slice(2).map(Number) as [number, number, number];
const fd = socket(AF_INET, SOCK_DGRAM, 0);
const to = loopback(port);
const message = Buffer.alloc(16);
const begin = performance.now();
const end = begin + seconds * 1000;
const gapMs = rate > 0 ? 1000 / rate : 0;
let sent = 0;
for (let next = begin; performance.now() < end; next += gapMs) {
  while (performance.now() < next);
  clockGettime(CLOCK_MONOTONIC, message);
  sendto(fd, message, 16, 0, to, 16);
  sent++;
}
console.log(sent);
