// Does our data path make V8 collect garbage, and how long does it stop for that? Each port under a flood for half a minute, all the way up
// to a UDP socket of our own stack, after the compiler has done its work.
//
//   heap bytes        that the receiver took from V8's heap, a frame. The frames take none (rx_alloc, xdp_alloc, tap_alloc); what there
//                     is belongs to the turns of Node's loop: 56 bytes that Node takes in each, 56 for koffi's event. While Node has
//                     nothing to do our thread stays out of it for up to 4 ms (src/host/node_loop.ts), so there are 250 a second
//   longest pause     of a collection in that half minute, as V8 itself measures it; 0 where there was none
//   collections       in that half minute
//
// Without V8's memory reducer, as bin/netpoll.js starts: eight seconds after the start that gives back what starting took, in a collection
// with pauses of 6 to 15 ms, once. A program of one's own has it; `node --no-memory-reducer` is without.
//
// The processor is shared with the sender's half of the machine and whoever else runs: a pause that was interrupted itself counts whole.

import { amount, type Figure } from './figures.ts';
import { type FloodSite, flood, onEachPort, withReceiver } from './livelock/ports.ts';
import type { FloodReport } from './livelock/receiver.ts';

export const question = 'pauses of the garbage collector, and heap bytes a frame, in a 30-second flood on each port';

const WARM_SECONDS = 4;
const SECONDS = 30;
/** The flood's patience is 10 s: it comes in pieces, one right behind the other. */
const PIECE_SECONDS = 6;

export const run = (): Promise<Figure[]> => onEachPort(question, onPort);

function onPort(site: FloodSite, name: string, spec: string): Promise<Figure[]> {
  return withReceiver(site, spec, { v8: ['--no-memory-reducer'] }, async (receiver) => {
    await flood(site, { seconds: WARM_SECONDS });
    let { received } = await receiver.ask<FloodReport>();
    const began = received;
    let heapBytes = 0;
    let longestMs = 0;
    let collections = 0;
    for (let left = SECONDS; left > 0; left -= PIECE_SECONDS) {
      await flood(site, { seconds: Math.min(left, PIECE_SECONDS) });
      const report = await receiver.ask<FloodReport>();
      received = report.received;
      heapBytes += report.heapBytes;
      collections += report.collections;
      longestMs = Math.max(longestMs, report.longestMs);
    }
    return [
      amount(`${name} longest pause`, 'ms', [longestMs], { atMost: 1 }),
      amount(`${name} collections`, `in ${SECONDS} s`, [collections]),
      amount(`${name} heap`, 'bytes a frame', [heapBytes / (received - began)], { atMost: 0.1 }),
    ];
  });
}
