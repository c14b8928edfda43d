/**
 * netpoll collect --cpus: the program of a CPU that receives. It parses what comes to its queues, and posts messages, many at once, as
 * JSON: one string is copied between threads faster than the objects in it.
 *
 *     queue --> NAPI --> IP, UDP --> Streams (fragments, order, copies) --> batch --turn of the loop--> CPU 0: panics, store, page
 *
 * A flow keeps its thread (fanout, SO_REUSEPORT), and so does a source that sends from one port, as kernels do.
 *
 * CPU 0 is behind: batches wait here, up to WAIT_MAX messages; more are lost, and counted.
 */
import { type CollectorCounters, counterNames, newCollectorCounters } from '../collector/counters.ts';
import type { Message } from '../collector/message.ts';
import { receiveInto } from '../collector/receive.ts';
import { defaultStreamsLimits, Streams } from '../collector/streams.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { type ProgramCpu, runOnCpu } from '../host/smp/program.ts';
import { Inet } from '../inet/inet.ts';
import type { ListenSpec } from './listen_spec.ts';
import { watchLoss } from './loss_watch.ts';

/** What CPU 0 gives each of them. */
export interface CollectCpuData {
  readonly specs: readonly ListenSpec[];
  readonly cpus: readonly number[];
}

/** What each of them posts: messages with the time of the last one, what was counted since, and once what it listens on. */
export interface CollectBatch {
  readonly messages: string;
  readonly atUs: number;
  readonly counted: readonly number[];
  readonly lost: number;
  readonly listening?: readonly string[];
  /** At the end: what did not reach this thread, and where. */
  readonly losses?: readonly string[];
}

const BATCH_MAX = 512;
const WAIT_MAX = 65_536;

runOnCpu((cpu) => new CollectCpu(cpu).open());

class CollectCpu {
  readonly #cpu: ProgramCpu;
  readonly #counters: CollectorCounters = newCollectorCounters();
  readonly #told = new Array<number>(counterNames.length).fill(0);
  readonly #streams: Streams;
  #messages: Message[] = [];
  #lost = 0;
  #flushing = false;
  readonly #timer;

  constructor(cpu: ProgramCpu) {
    this.#cpu = cpu;
    this.#streams = new Streams(defaultStreamsLimits, this.#counters, (message) => this.#take(message));
    this.#timer = cpu.host.machine.timers.create(() => this.#tick());
  }

  /** Throws SetupError. */
  open(): void {
    const cpu = this.#cpu;
    const { specs, cpus } = cpu.data as CollectCpuData;
    const wallUs = (): number => cpu.host.executive.wallUs();
    const inet = new Inet(cpu.host.stack, { promiscuous: specs.some(({ scheme }) => scheme === 'tap') });
    const ports = new Set<number>();
    const listening: string[] = [];
    const losses = watchLoss();
    for (const spec of specs) {
      const on = shared(spec) ? cpus : [cpus[0]!];
      if (!on.includes(cpu.number)) continue;
      const filter = spec.scheme === 'packet' || spec.scheme === 'xdp' ? { udpPort: spec.port } : {};
      const dev = cpu.openDevice(spec.device, { ...filter, timestamps: true, on, name: `${spec.scheme}%d` });
      const port = spec.port === 0 ? Number(nicPort(dev).name.split(':').at(-1)) : spec.port;
      if (!ports.has(port)) receiveInto(this.#streams, inet, { port, wallUs, onDatagram: () => this.#soon() });
      ports.add(port);
      losses.add(dev);
      listening.push(`${nicPort(dev).name}, UDP port ${port}`);
    }
    cpu.onStop = () => {
      this.#streams.flush(wallUs());
      this.#flush();
      const lines = losses.stop().map((line) => `${line} (cpu ${cpu.number})`);
      cpu.post({ messages: '[]', atUs: wallUs(), counted: [], lost: 0, losses: lines } satisfies CollectBatch);
    };
    cpu.post({ messages: '[]', atUs: wallUs(), counted: [], lost: 0, listening } satisfies CollectBatch);
  }

  #take(message: Message): void {
    if (this.#messages.length >= WAIT_MAX) this.#lost++;
    else this.#messages.push(message);
  }

  /** After the frames of this turn. */
  #soon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
      this.#arm();
    });
  }

  #flush(): void {
    while (!this.#cpu.behind) {
      const batch = this.#messages.splice(0, BATCH_MAX);
      const counted = [...this.#counters.values].map((value, i) => value - this.#told[i]!);
      if (batch.length === 0 && this.#lost === 0 && counted.every((n) => n === 0)) return;
      const atUs = this.#cpu.host.executive.wallUs();
      this.#cpu.post({ messages: JSON.stringify(batch), atUs, counted, lost: this.#lost } satisfies CollectBatch);
      for (let i = 0; i < counted.length; i++) this.#told[i]! += counted[i]!;
      this.#lost = 0;
    }
    // Looked at again when the boot CPU has had time.
    const { timers, executive } = this.#cpu.host.machine;
    timers.mod(this.#timer, executive.now() + 1e6);
  }

  #tick(): void {
    this.#streams.tick(this.#cpu.host.executive.wallUs());
    this.#flush();
    this.#arm();
  }

  /** The streams' next time-out. */
  #arm(): void {
    const nextUs = this.#streams.nextTimeoutUs();
    if (nextUs === null) return;
    const { timers, executive } = this.#cpu.host.machine;
    timers.mod(this.#timer, executive.now() + Math.max(1000, nextUs - this.#cpu.host.executive.wallUs()) * 1000);
  }
}

/** Whose frames the kernel deals out to several threads. A descriptor that was passed is one queue. */
function shared({ scheme, device }: ListenSpec): boolean {
  return scheme === 'packet' || scheme === 'tap' || (scheme === 'udp' && !device.startsWith('udp:fd='));
}
