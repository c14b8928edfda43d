/**
 * Child of bench/forward.ts: `netpoll forward`, and what it costs the collector.
 *
 *     argv: A B [at-once]      stderr: "listening" once it does      SIGUSR2: stdout gets a Report, a line of JSON
 *
 * at-once: every frame interrupts when it comes (packet: with a ring of single frames, not of blocks); else interrupts are moderated, as
 * they are by default.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { createL2Forward } from '../../src/clients/l2_forward.ts';
import { nicPort } from '../../src/drivers/nic/nic.ts';
import { createHostMachine } from '../../src/host/host_machine.ts';

export interface Report {
  /** From A to B. */
  readonly frames: number;
  readonly dropped: number;
  /** Garbage collections since the report before, and the longest one's milliseconds. */
  readonly collections: number;
  readonly longestMs: number;
  readonly heapBytes: number;
  readonly polls: number;
}

let collections = 0;
let longestMs = 0;
const [a = '', b = '', when] = process.argv.slice(2);
const host = createHostMachine({ slots: 8192 });
const open = (spec: string) => {
  if (when !== 'at-once') return host.openDevice(spec);
  if (spec.startsWith('packet:')) return host.openDevice(`${spec},wake=frame`, { coalesce: { adaptiveRx: false } });
  return host.openDevice(spec, { coalesce: { adaptiveRx: false, rxUsecs: 0 } });
};
const [from, to] = [open(a), open(b)];
const joined = createL2Forward(from, to);
if (typeof joined === 'number') throw new Error(`cannot join ${a} and ${b}: ${joined}`);
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    collections++;
    longestMs = Math.max(longestMs, duration);
  }
}).observe({ entryTypes: ['gc'] });
process.on('SIGUSR2', () => {
  const { frames, dropped } = joined.ways[0].counters.toJSON();
  const polls = from.napiList.reduce((sum, napi) => sum + napi.polls, 0);
  const report = { frames, dropped, collections, longestMs, heapBytes: process.memoryUsage().heapUsed, polls };
  console.log(JSON.stringify({ ...report, in: nicPort(from).counters.toJSON(), out: nicPort(to).counters.toJSON() }));
  collections = longestMs = 0;
});
console.error('listening');
