/**
 * netpoll collect --cpus N: N threads receive and parse (collect_cpu.ts), this one finds panics, stores, prints and serves the page.
 *
 * A thread that dies is said in the log and started again; the others go on meanwhile.
 */
import { SetupError } from '../base/status.ts';
import type { Message } from '../collector/message.ts';
import { createSmp, type Smp } from '../host/smp/smp.ts';
import type { CollectBatch, CollectCpuData } from './collect_cpu.ts';
import { type CollectorConsole, createCollectorConsole } from './collector_console.ts';
import type { ListenSpec } from './listen_spec.ts';
import { softnetLines } from './softnet_lines.ts';
import { die, note, onStop } from './terminal.ts';

const CPUS_MAX = 15;
/** Each thread's room for kernel rings. */
const RESERVE_BYTES = 48 << 20;

export interface CollectOnCpusOptions {
  readonly cpus: number;
  readonly jsonl: boolean;
  readonly http: string | null;
  /** Says at the end what each CPU did. */
  readonly stats: boolean;
}

/** Throws SetupError. */
export async function collectOnCpus(specs: readonly ListenSpec[], options: CollectOnCpusOptions): Promise<void> {
  const { cpus } = options;
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--cpus: give 1 to ${CPUS_MAX} threads`);
  }
  const wallUs = (): number => Date.now() * 1000;
  const output = await createCollectorConsole({ jsonl: options.jsonl, http: options.http, wallUs });
  const numbers = Array.from({ length: cpus }, (_, i) => i + 1);
  let lost = 0;
  const losses: string[] = [];
  const smp = await createSmp({
    cpus: cpus + 1,
    reserveBytes: RESERVE_BYTES,
    program: new URL('./collect_cpu.js', import.meta.url),
    data: { specs, cpus: numbers } satisfies CollectCpuData,
    restart: true,
    onMessage: (value, cpu) => {
      const batch = value as CollectBatch;
      losses.push(...(batch.losses ?? []));
      lost += take(output, batch, cpu);
    },
    onDeath: ({ cpu, why, unread }) => {
      note(`cpu ${cpu}       has died: ${why}; ${unread} datagrams that it had not read are lost`);
    },
  });
  onStop(() => {
    smp
      .close()
      .then(() => output.close())
      .then(() => {
        summary(smp, output, lost, losses);
        if (options.stats) softnetLines(smp.softnetRows()).forEach(note);
      })
      .catch(die);
  });
}

/** Gives how many messages the thread had to leave out. */
function take({ collector }: CollectorConsole, batch: CollectBatch, cpu: number): number {
  for (const where of batch.listening ?? []) note(`listening   ${where}, cpu ${cpu}`);
  batch.counted.forEach((n, i) => {
    // How many sources there are now is a state; of several threads each has its own.
    if (n !== 0) collector.counters.add(i, n);
  });
  for (const message of JSON.parse(batch.messages) as Message[]) collector.message(message, batch.atUs);
  return batch.lost;
}

function summary(smp: Smp, { collector }: CollectorConsole, lost: number, losses: readonly string[]): void {
  const counted = collector.counters;
  const parts = [`${counted.get('messages')} messages from ${counted.get('datagrams')} datagrams`];
  const { unread } = smp.counters();
  const told = [...losses];
  if (lost > 0) told.push(`${lost} messages that this thread was too slow for`);
  if (unread > 0) told.push(`${unread} datagrams of threads that died`);
  if (told.length > 0) parts.push(`lost: ${told.join(', ')}`);
  note(parts.join('; '));
}
