/**
 * Child of bench/tap_rx.ts: receives through a tap port.
 *
 *     argv: NAME stack|port|bare      stderr: "listening" once it is      SIGUSR2: stdout gets {"received", ...}
 *
 *     stack    the whole way: port -> nic -> NAPI -> sk_buff -> netif_receive_skb -> handler of the EtherType, which frees
 *     port     rxBurst, and the buffers go back, in turns of the event loop
 *     bare     as port, without offloads, and so without headers, as C reads
 */
import { NET_RX_SUCCESS } from '../../src/base/status.ts';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { FrameBatch } from '../../src/drivers/nic/port.ts';
import { createHostArena } from '../../src/host/arena.ts';
import { HostExecutive } from '../../src/host/executive.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { openPort } from '../../src/host/open_port.ts';

/** Of the peer's frames. */
const ETH_P_802_EX1 = 0x88b5;
const BURST = 64;
/** Bursts in a turn of the loop. */
const BURSTS = 32;

const [name = '', mode = ''] = process.argv.slice(2);
let received = 0;
const counters = mode === 'stack' ? throughStack() : throughPort();
process.on('SIGUSR2', () => console.log(JSON.stringify({ received, ...counters() })));
console.error('listening');

function throughStack(): () => object {
  const host = createHostMachine();
  const dev = host.openDevice(`tap:${name}`);
  host.stack.types.add(ETH_P_802_EX1, (skb) => {
    received++;
    skb.pool.consume(skb);
    return NET_RX_SUCCESS;
  });
  return () => nicPort(dev).counters.toJSON();
}

function throughPort(): () => object {
  const memory = createHostArena();
  const port = openPort(`tap:${name}`, new HostExecutive(), { offload: mode === 'port' });
  const out = new FrameBatch(BURST);
  const poll = (): void => {
    for (let i = 0; i < BURSTS; i++) {
      const n = port.rxBurst(0, out, BURST);
      for (let k = 0; k < n; k++) memory.release(out.buf[k]!);
      received += n;
      if (n === 0) break;
    }
    if (port.irqEnable(0, true)) setImmediate(poll);
  };
  port.open(memory, poll);
  poll();
  return () => port.counters.toJSON();
}
