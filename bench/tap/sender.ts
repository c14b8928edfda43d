/**
 * Child of bench/tap_tx.ts: sends COUNT frames of LEN bytes through a tap port, and says what that took.
 *
 *     argv: NAME LEN COUNT port|device|polled|bare|plain      stdout: {"sent", "cpuNs", "heapBytes"}
 *
 *     port     FrameBatch -> txBurst, bursts of 64: frames lie ready in slots of their own
 *     device   an sk_buff is taken from the pool, filled, and given to devQueueXmit, one after the other
 *     polled   the same while the CPU polls, as a forwarder does: the driver rings once a poll of 64
 *     bare     as port, without offloads, and so without headers, as C writes
 *     plain    as bare, without io_uring
 */
import { xmitFlush } from '../../src/device/xmit_flush.ts';
import { FrameBatch } from '../../src/drivers/nic/port.ts';
import { createHostArena } from '../../src/host/arena.ts';
import { HostExecutive } from '../../src/host/executive.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { openPort } from '../../src/host/open_port.ts';
import { skbPut, skbReserve } from '../../src/skb/sk_buff.ts';
import { devQueueXmit } from '../../src/stack/dev_queue_xmit.ts';

const BURST = 64;
const HEADROOM = 64;
const WARM = 100_000;
/** Of the hardware address that nobody has. */
const NOBODY = 0x02000000;
const ETH_P_802_EX1 = 0x88b5;

const [name = '', lenText = '', countText = '', mode = ''] = process.argv.slice(2);
const len = Number(lenText);
const send = mode === 'device' || mode === 'polled' ? throughDevice(mode === 'polled') : throughPort();
send(WARM);
const before = process.cpuUsage();
const heapBefore = process.memoryUsage().heapUsed;
const sent = send(Number(countText));
const heapBytes = process.memoryUsage().heapUsed - heapBefore;
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ sent, cpuNs: (user + system) * 1e3, heapBytes }));
process.exit(0);

function throughPort(): (count: number) => number {
  const memory = createHostArena();
  const port = openPort(`tap:${name}`, new HostExecutive(), { ioUring: mode !== 'plain', offload: mode === 'port' });
  port.open(memory, () => {});
  const batch = new FrameBatch(BURST);
  const done = new FrameBatch(BURST);
  for (let i = 0; i < BURST; i++) {
    const buf = memory.alloc();
    batch.buf[i] = buf;
    batch.offset[i] = memory.start(buf) + HEADROOM;
    header(memory.view, batch.offset[i]!);
  }
  batch.len.fill(len);
  return (count) => {
    let n = 0;
    while (n < count) {
      n += port.txBurst(0, batch, BURST);
      while (port.txReap(0, done) > 0);
    }
    return n;
  };
}

function throughDevice(polled: boolean): (count: number) => number {
  const host = createHostMachine();
  const dev = host.openDevice(`tap:${name}`);
  const pool = host.machine.skbs;
  const softnet = dev.net.softnet[0]!;
  return (count) => {
    let n = 0;
    while (n < count) {
      softnet.polling = polled;
      for (let i = 0; i < BURST; i++) {
        const skb = pool.alloc(len + HEADROOM);
        if (skb === null) break;
        skbReserve(skb, HEADROOM);
        header(skb.arena.view, skbPut(skb, len));
        skb.dev = dev;
        if (devQueueXmit(skb) === 0) n++;
      }
      softnet.polling = false;
      xmitFlush(softnet);
    }
    return n;
  };
}

function header(view: DataView, at: number): void {
  view.setUint32(at, NOBODY);
  view.setUint32(at + 4, 0x00090200);
  view.setUint32(at + 8, 0x00000007);
  view.setUint16(at + 12, ETH_P_802_EX1);
}
