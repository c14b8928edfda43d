/**
 * The C peers of bench/packet_ring.ts, compiled once, and one trial of each kind.
 *
 *     processor 0:  flood -f ==== veth ====> receiver  :processor 1          60-byte UDP frames of a thousand flows
 *
 * CPU time is the scheduler's, of all threads of the receiver. What the kernel does up to the ring is done on the sender's
 * processor and in neither figure. The C receiver prints its counts when it is told to end, ours whenever it is asked.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { STATION } from '../packet_rx/line.ts';
import { createVethNamespace, RECEIVE_SIDE, SEND_SIDE } from '../packet_rx/veth_namespace.ts';
import { RECEIVE_CPU, Running, SEND_CPU, script } from '../xdp_speed/lab.ts';
import type { RingReport } from './receiver.ts';

/** Where the peers' sources are; relative to the repository's root. */
const SOURCES = resolve(process.env.NETPOLL_PEERS ?? '../shared/bench/src');
/** A flood that V8 compiles in; the first frames after a pause have it throw code away, so there are pauses between them, too. */
const WARM_SECONDS = 0.8;
const SETTLE_MS = 60;
const TRIES = 50;

export interface Trial {
  readonly sent: number;
  readonly seconds: number;
  readonly received: number;
  readonly cpuNs: number;
}

export interface OwnTrial extends Trial {
  readonly report: RingReport;
  readonly heapBytes: number;
}

/** Our receiver's modes, or the size of the C receiver's ring. */
export type Way = 'handler' | 'socket';

export interface Lab {
  /** After so many other floods. */
  ours(way: Way, seconds: number, warmUps: number): Promise<OwnTrial>;
  /** The bare walk of a ring of `blocks` blocks. */
  ring(blockKib: number, blocks: number, retireMs: number, seconds: number): Promise<Trial>;
  close(): void;
}

/** Why the peers cannot be had; null: they can. */
export function noPeers(): string | null {
  return existsSync(join(SOURCES, 'rx_tpv3.c')) ? null : `no rx_tpv3.c and flood.c in ${SOURCES} (NETPOLL_PEERS)`;
}

export function openLab(): Lab {
  const folder = mkdtempSync(join(tmpdir(), 'packet_ring-'));
  for (const name of ['rx_tpv3', 'flood']) {
    execFileSync('gcc', ['-O2', '-w', '-o', join(folder, name), join(SOURCES, `${name}.c`)], { stdio: 'inherit' });
  }
  const veth = createVethNamespace();
  const running = new Set<Running>();
  const close = () => {
    for (const each of running) each.child.kill('SIGKILL');
    veth.remove();
    rmSync(folder, { recursive: true });
  };
  const stop = () => {
    close();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const start = (cpu: number, command: readonly string[]) => {
    const one = new Running(veth, cpu, command);
    running.add(one);
    one.child.on('close', () => running.delete(one));
    return one;
  };
  const station = Array.from(STATION, (byte) => byte.toString(16)).join(':');
  const flood = async (seconds: number): Promise<{ sent: number; seconds: number }> => {
    const command = [join(folder, 'flood'), '-i', SEND_SIDE, '-m', station, '-D', '10.0.0.1', '-f', '-t', `${seconds}`];
    const { sent, err, elapsed } = await start(SEND_CPU, command).result<Record<'sent' | 'err' | 'elapsed', number>>();
    return { sent: sent - err, seconds: elapsed };
  };
  return {
    async ours(way, seconds, warmUps) {
      const command = [
        process.execPath,
        '--no-memory-reducer',
        ...process.execArgv,
        script('../packet_ring/receiver.js'),
      ];
      const receiver = start(RECEIVE_CPU, [...command, `packet:${RECEIVE_SIDE}`, way]);
      try {
        await receiver.until(() => receiver.stderr.includes('listening'));
        let before = await receiver.ask<RingReport>();
        for (let i = 0; i < warmUps; i++) {
          await flood(WARM_SECONDS);
          before = await receiver.ask<RingReport>();
        }
        const given = await flood(seconds);
        let after = await receiver.ask<RingReport>();
        const since = (key: keyof RingReport) => after[key] - before[key];
        const missing = () => given.sent - since('received') - since('dropped');
        // On a busy machine it may not have got round to the last of them.
        for (let tries = 0; tries < TRIES && missing() !== 0; tries++) {
          const { heapBytes, collections } = after;
          const again = await receiver.ask<RingReport>();
          after = { ...again, heapBytes: heapBytes + again.heapBytes, collections: collections + again.collections };
        }
        const received = since('received');
        if (missing() !== 0) {
          throw new Error(`${given.sent} sent, ${received} received, ${since('dropped')} dropped by the kernel`);
        }
        const cpuNs = after.cpuNs - before.cpuNs;
        return { ...given, received, cpuNs, report: after, heapBytes: after.heapBytes / received };
      } finally {
        await receiver.kill();
      }
    },
    async ring(blockKib, blocks, retireMs, seconds) {
      const sizes = [blockKib, blocks, retireMs].map(String);
      const receiver = start(RECEIVE_CPU, [join(folder, 'rx_tpv3'), RECEIVE_SIDE, '0', ...sizes]);
      try {
        await receiver.until(() => receiver.stderr.includes('ready'));
        const before = cpuNsOf(receiver);
        const given = await flood(seconds);
        await new Promise((done) => setTimeout(done, SETTLE_MS));
        const cpuNs = cpuNsOf(receiver) - before;
        receiver.child.kill('SIGTERM');
        const { recv } = await receiver.result<{ recv: number }>();
        return { ...given, received: recv, cpuNs };
      } finally {
        await receiver.kill();
      }
    },
    close() {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
      close();
    },
  };
}

function cpuNsOf({ child }: Running): number {
  return readdirSync(`/proc/${child.pid}/task`).reduce((sum, task) => {
    const [ns = ''] = readFileSync(`/proc/${child.pid}/task/${task}/schedstat`, 'latin1').split(' ');
    return sum + Number(ns);
  }, 0);
}
