/**
 * What a worker CPU of the bench runs: it opens its queue, waits at the gate with its event loop stopped while the queue is filled,
 * and then hands each datagram to the collector's parser, or to nobody.
 */

import { readlinkSync } from 'node:fs';
import { newCollectorCounters } from '../../src/collector/counters.ts';
import { defaultStreamsLimits, Streams } from '../../src/collector/streams.ts';
import type { NetDevice } from '../../src/device/net_device.ts';
import { unregisterNetdevice } from '../../src/device/register.ts';
import { runOnCpu } from '../../src/host/smp/program.ts';
import { printIpv4 } from '../../src/wire/address.ts';
import { ETH_P_IP } from '../../src/wire/eth.ts';
import { ipv4Source } from '../../src/wire/ipv4.ts';
import { clockNs, DONE, ENDS, GATE, type Order, PORT, RECEIVE_SIDE, RETIRE_MS } from './order.ts';

const BLOCKS = 256;
/** Frames between two looks at the clock. */
const LOOK = 16;

runOnCpu((cpu) => {
  const { words, ends } = cpu.data as { words: Int32Array; ends: Float64Array };
  const done = DONE + cpu.number * 16;
  const { machine, stack } = cpu.host;
  const { view, bytes } = machine.arena;
  const names = new Map<number, string>();
  let parse = true;
  let dev: NetDevice | undefined;
  let streams = fresh();

  function fresh(): Streams {
    return new Streams(defaultStreamsLimits, newCollectorCounters(), () => {});
  }

  stack.types.add(ETH_P_IP, (skb) => {
    const ip = skb.data;
    if (parse) {
      const source = ipv4Source(view, ip);
      let name = names.get(source);
      if (name === undefined) {
        name = printIpv4(source);
        names.set(source, name);
      }
      const payload = bytes.subarray(ip + 28, ip + view.getUint16(ip + 2));
      streams.datagram(name, view.getUint16(ip + 20), PORT, payload, skb.tstampUs);
    }
    skb.pool.consume(skb);
    if ((++words[done]! & (LOOK - 1)) === 0) ends[cpu.number * ENDS] = clockNs();
    return 0;
  });

  cpu.onMessage = (value) => {
    const order = value as Order;
    if (dev !== undefined) unregisterNetdevice(dev);
    parse = order.parse;
    streams = fresh();
    dev = cpu.openDevice(`packet:${RECEIVE_SIDE}`, {
      on: order.on,
      udpPort: PORT,
      blocks: BLOCKS,
      retireMs: RETIRE_MS,
    });
    if (order.on.includes(cpu.number)) stack.rps.setCpus(dev, 0, order.rps);
    for (const remote of cpu.remotes) remote.heldMax = order.heldMax;
    cpu.post(readlinkSync('/proc/thread-self'));
    // The message leaves before this thread stops.
    setImmediate(() => Atomics.wait(words, GATE, 0));
  };
});
