/** Flows of numbered datagrams from one end of a veth to the other, and what a host there says of them. */
import type { Child } from './child.ts';
import type { Namespace, VethPair } from './rig.ts';

/** A host with one port of several queues (fixtures/fanout_host.mjs, xdp_queues.mjs): a line on SIGUSR1. */
export interface QueuesTold {
  /** Numbers of the queues that each flow came in on. */
  readonly queues: readonly (readonly number[])[];
  readonly disordered: number;
  readonly received: number;
  readonly rx_dropped_kernel: number;
}

export interface Flows {
  readonly port: number;
  readonly flows: number;
  /** Datagrams of all flows together, by turns, and how many in a millisecond. */
  readonly count: number;
  readonly perMs: number;
}

/** Sends them from `space` to an address, and gives how many were sent. */
export async function sendFlows(space: Namespace, to: string, { port, flows, count, perMs }: Flows): Promise<number> {
  const words = [to, port, flows, count, perMs].map(String);
  const { stdout } = await space.run([process.execPath, 'test/netns/fixtures/smp_sender.mjs', ...words]);
  return (JSON.parse(stdout) as { sent: number }).sent;
}

/** The same over a pair. */
export function sendAcross({ a, b }: VethPair, flows: Flows): Promise<number> {
  return sendFlows(a.space, b.address, flows);
}

/** Asks the host, and gives its next line. */
export async function askHost<Told>(host: Child, waitMs: number): Promise<Told> {
  const had = host.lines.length;
  process.kill(host.pid, 'SIGUSR1');
  await host.until('report', () => host.lines.length > had, waitMs);
  return JSON.parse(host.lines.at(-1)!) as Told;
}
