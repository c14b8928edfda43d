// hot
/**
 * Child of bench/xdp_tx.ts: sends 60-byte frames through an xdp port, as fast as it can, with a number in each.
 *
 *     argv: xdp:INTERFACE SECONDS BATCH      stdout: {"sent", "seconds", "heapBytes"}
 *
 * Frames lie ready in slots of the arena; `sent` counts tags that came back, as the peer counts completions.
 */
import { FrameBatch } from '../../src/drivers/nic/port.ts';
import { createHostArena } from '../../src/host/arena.ts';
import { HostExecutive } from '../../src/host/executive.ts';
import { openPort } from '../../src/host/open_port.ts';
import { ETH_HLEN, ETH_P_IP, writeEth } from '../../src/wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../../src/wire/ipv4.ts';
import { UDP_HLEN, writeUdp } from '../../src/wire/udp.ts';
import { SENDER, STATION } from '../packet_rx/line.ts';

const LEN = 60;
const FRAMES = 2048;
const NUMBER_AT = 42;

const [spec = '', seconds = '', size = ''] = process.argv.slice(2);
const memory = createHostArena({ slots: 8192 });
const port = openPort(spec, new HostExecutive(), { rxRing: 64, txRing: 2048 });
port.open(memory, () => {});
const batch = new FrameBatch(Number(size));
const done = new FrameBatch(256);
const starts = new Int32Array(FRAMES);
prepare();
run(200);
const before = process.memoryUsage().heapUsed;
const { sent, elapsedMs } = run(Number(seconds) * 1000);
const heapBytes = process.memoryUsage().heapUsed - before;
port.close();
console.log(JSON.stringify({ sent, seconds: elapsedMs / 1000, heapBytes }));
process.exit(0);

function run(forMs: number): { sent: number; elapsedMs: number } {
  const { view } = memory;
  const n = batch.size;
  const started = performance.now();
  let elapsedMs = 0;
  let next = 0;
  let left = 0;
  let inFlight = 0;
  for (let turn = 0; elapsedMs < forMs; turn++) {
    for (let reaped = port.txReap(0, done); reaped > 0; reaped = reaped === done.size ? port.txReap(0, done) : 0) {
      left += reaped;
      inFlight -= reaped;
    }
    if (inFlight + n <= FRAMES) {
      for (let i = 0; i < n; i++) {
        const at = starts[(next + i) & (FRAMES - 1)]!;
        batch.offset[i] = at;
        view.setUint32(at + NUMBER_AT, next + i, true);
      }
      const taken = port.txBurst(0, batch, n);
      next += taken;
      inFlight += taken;
    }
    if ((turn & 15) === 0) elapsedMs = performance.now() - started;
  }
  return { sent: left, elapsedMs };
}

/** Set-up. */
function prepare(): void {
  const { view } = memory;
  for (let i = 0; i < FRAMES; i++) {
    const at = memory.start(memory.alloc()) + 64;
    starts[i] = at;
    writeEth(view, at, STATION, SENDER, ETH_P_IP);
    writeIpv4(view, at + ETH_HLEN, 1, IPPROTO_UDP, 0x0a000002, 0x0a000001, LEN - ETH_HLEN - IPV4_HLEN);
    writeUdp(view, at + ETH_HLEN, 4, at + ETH_HLEN + IPV4_HLEN, 20000, 6666, LEN - ETH_HLEN - IPV4_HLEN - UDP_HLEN);
  }
  batch.len.fill(LEN);
  batch.csum.fill(0);
}
