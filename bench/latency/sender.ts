/**
 * Child of bench/latency.ts and bench/moderation.ts: sends datagrams that carry the time of their sending.
 *
 *     argv: INTERFACE RATE SECONDS      stdout: {"sent"}
 *
 * Each frame is one of its own: UDP over IPv4 to STATION, without a UDP checksum (IPv4 allows it), with CLOCK_MONOTONIC in the
 * payload as two 32-bit words, read right before the send. The gaps differ, from half of the mean one to one and a half of it, so that
 * no timer of a receiver falls into step with them.
 */
import { openTxSocket } from '../../src/host/packet/packet_sockets.ts';
import { interfaceFacts } from '../../src/host/sys/interface.ts';
import { libc } from '../../src/host/sys/libc.ts';
import { pinned } from '../../src/host/sys/pinned.ts';
import { ETH_HLEN, ETH_P_IP, writeEth } from '../../src/wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../../src/wire/ipv4.ts';
import { UDP_HLEN, writeUdp } from '../../src/wire/udp.ts';
import { PORT, SENDER, STATION } from '../packet_rx/line.ts';
import { STAMP_LEN } from './stamp.ts';

const UDP = ETH_HLEN + IPV4_HLEN;
const PAYLOAD = UDP + UDP_HLEN;

const [name = '', rate = '', seconds = ''] = process.argv.slice(2);
const fd = openTxSocket(name, interfaceFacts(name, () => []).index);
const frame = pinned(PAYLOAD + STAMP_LEN);
const { view, bytes } = frame;
writeEth(view, 0, STATION, SENDER, ETH_P_IP);
writeIpv4(view, ETH_HLEN, 1, IPPROTO_UDP, 0x0a000002, 0x0a000001, UDP_HLEN + STAMP_LEN);
writeUdp(view, ETH_HLEN, 4, UDP, 6665, PORT, STAMP_LEN);
view.setUint16(UDP + 6, 0);

const { sendto } = libc();
const gapMs = 1000 / Number(rate);
const count = Math.round(Number(rate) * Number(seconds));
let random = 1;
let nextMs = performance.now();
for (let sent = 0; sent < count; sent++) {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  nextMs += gapMs * (0.5 + random / 2 ** 32);
  while (performance.now() < nextMs);
  const [s, ns] = process.hrtime();
  view.setUint32(PAYLOAD, s);
  view.setUint32(PAYLOAD + 4, ns);
  if (sendto(fd, bytes, bytes.length, 0, null, 0) < 0) throw new Error(`sendto: errno ${libc().errno()}`);
}
console.log(JSON.stringify({ sent: count }));
