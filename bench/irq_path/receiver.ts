/**
 * One trial: receiver.ts WAY RATE SECONDS [BYSTANDERS]. Opens a UDP socket, says its port, counts and times what arrives
 * until a quiet quarter of a second has passed, prints one JSON line.
 *
 * Meanwhile an "application" asks for fs.stat() every 10 ms, as callbacks of the thread pool, and times the answers.
 * BYSTANDERS more descriptors are watched which never become readable (other devices of the same machine).
 */
import { stat } from 'node:fs';
import {
  AF_INET,
  bind,
  getsockname,
  loopback,
  MSG_DONTWAIT,
  recv,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  setsockopt,
  socket,
} from './libc.ts';
import type { Way } from './way.ts';

const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const budget = 64;

const [wayName, rateText, secondsText, bystandersText] = process.argv.slice(2) as [string, string, string, string?];
const rate = Number(rateText);
const seconds = Number(secondsText);
const { watch } = (await import(new URL(`./${wayName}.js`, import.meta.url).href)) as { watch: Way };

function open(): { fd: number; port: number } {
  const fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) as number;
  const size = Buffer.alloc(4);
  size.writeInt32LE(4 << 20);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, size, 4);
  const address = loopback(0);
  if (bind(fd, address, 16) !== 0) throw new Error('bind failed');
  const length = Buffer.alloc(4);
  length.writeInt32LE(16);
  getsockname(fd, address, length);
  return { fd, port: address.readUInt16BE(2) };
}

const { fd, port } = open();
const data = Buffer.alloc(64);
const latencyUs: number[] = [];
const statUs: number[] = [];
let received = 0;
let events = 0;
let lastMs = performance.now();

function onReadable(): void {
  events++;
  for (let i = 0; i < budget; i++) {
    if (recv(fd, data, 64, MSG_DONTWAIT) < 16) break;
    const [s, ns] = process.hrtime();
    received++;
    if (i === 0) latencyUs.push((s - data.readUInt32LE(0)) * 1e6 + (ns - data.readUInt32LE(8)) / 1e3);
  }
  lastMs = performance.now();
  armed.arm();
}

const armed = await watch(fd, onReadable);
for (let i = 0; i < Number(bystandersText ?? 0); i++) {
  const idle = await watch(open().fd, () => {});
  idle.arm();
}
armed.arm();

let asking = false;
const application = setInterval(() => {
  if (asking) return;
  asking = true;
  const begin = performance.now();
  stat('/', () => {
    asking = false;
    statUs.push((performance.now() - begin) * 1e3);
  });
}, 10);

const quantile = (values: number[], q: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;

let cpu = process.cpuUsage();
setTimeout(() => {
  cpu = process.cpuUsage();
  latencyUs.length = statUs.length = received = events = 0;
  console.log(port);
}, 150);

setTimeout(
  () => {
    const done = setInterval(() => {
      if (received === 0 || performance.now() - lastMs < 250) return;
      clearInterval(done);
      clearInterval(application);
      const used = process.cpuUsage(cpu);
      console.log(
        JSON.stringify({
          way: wayName,
          rate,
          received,
          events,
          p50Us: quantile(latencyUs, 0.5),
          p99Us: quantile(latencyUs, 0.99),
          cpuUs: (used.user + used.system) / received,
          statP50Us: quantile(statUs, 0.5),
          statP99Us: quantile(statUs, 0.99),
        }),
      );
      armed.close();
      process.exit(0);
    }, 20);
  },
  seconds * 1000 + 400,
);
