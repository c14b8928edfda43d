/**
 * Child of bench/xdp_rx.ts: our whole way up from the receive ring to a protocol's handler, which frees.
 *
 *     xdp port -> nic -> NAPI -> sk_buff -> netif_receive_skb -> handler of IPv4: reads what the peer reads, frees
 *
 *     argv: INTERFACE poll|spin      stderr: "listening" once it is      SIGUSR2: stdout gets {"received"}, a line of JSON
 *
 * poll: the interrupt wakes it. spin: it busy polls, and gives the event loop a turn every 20 ms.
 */

import { NET_RX_SUCCESS } from '../../src/base/status.ts';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';
import { napiBusyLoop } from '../../src/napi/busy_poll.ts';
import { ETH_P_IP } from '../../src/wire/eth.ts';
import { STATION } from '../packet_rx/line.ts';

const SLICE_NS = 20e6;
const BUDGET = 64;

const [name = '', mode = ''] = process.argv.slice(2);
const host = createHostMachine();
const dev = host.openDevice(`xdp:${name}`);
dev.devAddr.set(STATION);
let received = 0;
let touched = 0;
host.stack.types.add(ETH_P_IP, (skb) => {
  const { bytes } = skb.arena;
  touched = (touched + bytes[skb.data]! + bytes[skb.data + 1]! + skb.len) | 0;
  received++;
  skb.pool.consume(skb);
  return NET_RX_SUCCESS;
});
process.on('SIGUSR2', () => {
  console.log(JSON.stringify({ received, touched, ...nicPort(dev).counters.toJSON() }));
});
if (mode === 'spin') spin();
console.error('listening');

function spin(): void {
  napiBusyLoop(host.net, dev.napiList[0]!.id, SLICE_NS, never, { budget: BUDGET });
  setImmediate(spin);
}

function never(): boolean {
  return false;
}
