// hot
/**
 * Child of bench/packet_rx.ts: floods one side of a veth pair for a while, as fast as one processor sends.
 *
 *     argv: INTERFACE SECONDS          stdout: {"sent", "seconds"}
 *
 * Extended netconsole lines of 120 bytes in UDP over IPv4, with right checksums and a sequence number that rises by one a
 * frame. The frames lie ready in memory; between two sendmmsg() calls only digits and checksums change.
 */
import { openTxSocket } from '../../src/host/packet/packet_sockets.ts';
import { EAGAIN, EINTR, ENOBUFS } from '../../src/host/sys/errno.ts';
import { interfaceFacts } from '../../src/host/sys/interface.ts';
import { libc } from '../../src/host/sys/libc.ts';
import { pinned, writeWord } from '../../src/host/sys/pinned.ts';
import { IOVEC_SIZE, MMSGHDR_SIZE, MSG_IOV, MSG_IOVLEN } from '../../src/host/sys/socket.ts';
import { checksum, fold } from '../../src/wire/checksum.ts';
import { ETH_HLEN, ETH_P_IP, writeEth } from '../../src/wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../../src/wire/ipv4.ts';
import { UDP_HLEN, udpChecksum, writeUdp } from '../../src/wire/udp.ts';
import { LINE_LEN, PORT, SENDER, SEQ_AT, SEQ_DIGITS, STATION } from './line.ts';

const BATCH = 64;
const STRIDE = 256;
const UDP = ETH_HLEN + IPV4_HLEN;
const PAYLOAD = UDP + UDP_HLEN;
const FRAME_LEN = PAYLOAD + LINE_LEN;
const ZERO = 0x30;
const IP_DF = 0x4000;

const [name = '', seconds = ''] = process.argv.slice(2);
const { index } = interfaceFacts(name, () => []);
const fd = openTxSocket(name, index);
const frames = pinned(STRIDE * BATCH);
const iovecs = pinned(IOVEC_SIZE * BATCH);
const vector = pinned(MMSGHDR_SIZE * BATCH);
const baseSum = prepare();
const { sent, elapsedMs } = flood(Number(seconds) * 1000);
console.log(JSON.stringify({ sent, seconds: elapsedMs / 1000 }));

function flood(forMs: number): { sent: number; elapsedMs: number } {
  const { sendmmsg, errno } = libc();
  const started = performance.now();
  let seq = 0;
  let elapsedMs = 0;
  while (elapsedMs < forMs) {
    for (let i = 0; i < BATCH; i++) number(i, seq + i);
    for (let done = 0; done < BATCH; ) {
      const n = sendmmsg(fd, vector.at + done * MMSGHDR_SIZE, BATCH - done, 0);
      if (n >= 0) done += n;
      else if (![EINTR, EAGAIN, ENOBUFS].includes(errno())) throw new Error(`sendmmsg: errno ${errno()}`);
    }
    seq += BATCH;
    elapsedMs = performance.now() - started;
  }
  return { sent: seq, elapsedMs };
}

/** Writes the sequence number of frame `i`, and the checksum that belongs to it. Numbers rise, so no digit goes back to 0 unwritten. */
function number(i: number, seq: number): void {
  const { bytes, view } = frames;
  const frame = i * STRIDE;
  let sum = baseSum;
  let rest = seq;
  for (let at = frame + PAYLOAD + SEQ_AT + SEQ_DIGITS - 1; rest > 0; at--) {
    const digit = rest % 10;
    rest = (rest - digit) / 10;
    bytes[at] = ZERO + digit;
    sum += (at & 1) === 0 ? digit << 8 : digit;
  }
  view.setUint16(frame + UDP + 6, fold(sum) || 0xffff);
}

/** Set-up: fills all frames with number 0, and gives the sum that their checksum closes. */
function prepare(): number {
  const { bytes, view } = frames;
  const text = `6,${'0'.repeat(SEQ_DIGITS)},81522443,-;veth: link becomes ready, queue 0 `.padEnd(LINE_LEN - 1, 'x');
  for (let i = 0; i < BATCH; i++) {
    const frame = i * STRIDE;
    writeEth(view, frame, STATION, SENDER, ETH_P_IP);
    bytes.write(`${text}\n`, frame + PAYLOAD, 'latin1');
    writeIpv4(view, frame + ETH_HLEN, 1, IPPROTO_UDP, 0x0a000002, 0x0a000001, UDP_HLEN + LINE_LEN);
    // Not to be fragmented, as sockets send: frames of one identification could not be put together (GRO) otherwise.
    view.setUint16(frame + ETH_HLEN + 6, IP_DF);
    view.setUint16(frame + ETH_HLEN + 10, 0);
    view.setUint16(frame + ETH_HLEN + 10, checksum(view, frame + ETH_HLEN, IPV4_HLEN));
    writeUdp(view, frame + ETH_HLEN, 4, frame + UDP, 6665, PORT, LINE_LEN);
    writeWord(iovecs.view, i * IOVEC_SIZE, frames.at + frame);
    writeWord(iovecs.view, i * IOVEC_SIZE + 8, FRAME_LEN);
    writeWord(vector.view, i * MMSGHDR_SIZE + MSG_IOV, iovecs.at + i * IOVEC_SIZE);
    writeWord(vector.view, i * MMSGHDR_SIZE + MSG_IOVLEN, 1);
  }
  return ~udpChecksum(view, UDP) & 0xffff;
}
