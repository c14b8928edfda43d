// The conformance list over Ports that are wrapped: tracer, pcap tap and fault injector around a simulated card. With faults
// on, the cases about order, content and count cannot hold; that no memory is lost and no tag forgotten must.

import type { Port } from '../../src/drivers/nic/port.ts';
import { FaultPort } from '../../src/drivers/wrap/faults.ts';
import { PcapTap } from '../../src/drivers/wrap/pcap_tap.ts';
import { PortTracer } from '../../src/drivers/wrap/tracer.ts';
import { SimPort } from '../../src/sim/sim_port.ts';
import { Wire } from '../../src/sim/wire.ts';
import { World } from '../../src/sim/world.ts';
import { createArena } from '../../src/skb/arena.ts';
import { type PortRig, portCases } from './port_cases.ts';

function wrappedRig(wrap: (inner: Port) => Port): () => PortRig {
  return () => {
    const world = new World({ seed: 1 });
    const wire = new Wire(world);
    const inner = new SimPort(world, { name: 'sim:0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), wire });
    let heard: Uint8Array[] = [];
    const peer = { receive: (bytes: Uint8Array, len: number) => void heard.push(bytes.slice(0, len)) };
    wire.attach(peer);
    return {
      port: wrap(inner),
      memory: createArena(512),
      frame(seed, len) {
        const frame = Uint8Array.from({ length: len }, (_, i) => seed * 29 + i * 3);
        frame.fill(0xff, 0, 6);
        frame.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6);
        return frame;
      },
      inject: (bytes) => wire.transmit(peer, bytes, 0, bytes.length),
      sent() {
        const all = heard;
        heard = [];
        return all;
      },
      async settle() {
        world.runFor(10e6);
      },
      close() {},
    };
  };
}

const tap = (inner: Port) => new PcapTap(inner, { sink: () => {}, wallUs: () => 0 });
const NOISY = { seed: 5, loss: 0.1, corruption: 0.2, duplication: 0.1, delay: 0.2 };
const unordered = 'frames are lost, damaged, doubled and out of order on purpose';
const uncounted = 'as many as were injected do not come on purpose';

portCases(
  'tracer around a sim port',
  wrappedRig((inner) => new PortTracer(inner)),
);
portCases('pcap tap around a sim port', wrappedRig(tap));
portCases(
  'fault injector without faults around a sim port',
  wrappedRig((inner) => new FaultPort(inner, { seed: 1 })),
);
portCases(
  'pcap tap around tracer around a fault injector',
  wrappedRig((inner) => tap(new PortTracer(new FaultPort(inner, { seed: 1 })))),
);
portCases(
  'fault injector that delays only',
  wrappedRig((inner) => new FaultPort(inner, { seed: 3, delay: 0.3, depth: 1 })),
  {},
  {
    'hands frames up in order and whole, each with one reference and headroom': 'the order is broken on purpose',
    'sends frames in order and whole, and gives every tag back once': 'the order is broken on purpose',
    'takes less than it is given when it is full, and goes on when it was reaped':
      'it tells tags as finished that it holds back',
  },
);
portCases(
  'fault injector with every fault',
  wrappedRig((inner) => new FaultPort(inner, NOISY)),
  {},
  {
    'hands frames up in order and whole, each with one reference and headroom': unordered,
    'gives no more than it is asked for, and the rest when asked again': uncounted,
    'interrupts when a frame comes while unmasked, and not while masked': uncounted,
    'loses no wake-up: work that came while masked is told on unmasking, or interrupts': uncounted,
    'sends frames in order and whole, and gives every tag back once': unordered,
    'takes less than it is given when it is full, and goes on when it was reaped':
      'it tells tags as finished that it holds back',
    'does not throw for a frame that no wire carries, and sends the next one': unordered,
    'leaves alone what a consumer holds, while other frames come and go': uncounted,
    'comes back after the arena had no slot left': uncounted,
    'gives all memory back on closing, is quiet afterwards, and opens again': uncounted,
  },
);
