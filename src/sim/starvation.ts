/**
 * No starvation beyond the bound: what is to be polled is polled, softirqs that are pending run, a frame that came in goes out or ends.
 *
 *     every quarter of the bound:   an instance that is scheduled has been polled since
 *                                   a CPU with softirqs pending has run some since
 *     ledger:                       the age of every frame when it ends, and of those that live
 *
 * The bound is the caller's: it depends on how long the machine may be kept from its softirqs (interrupts off, a task of higher
 * priority). A machine that is dead is not watched any more.
 */
import { NAPI_STATE_DISABLE, NAPI_STATE_NPSVC, NAPI_STATE_SCHED, type NapiStruct } from '../device/napi_struct.ts';
import type { Cpu } from '../machine/cpu.ts';
import type { SimMachine } from './sim_machine.ts';
import type { World } from './world.ts';

interface Watched {
  /** Polls, or softirqs, when it was last seen to go on. */
  seen: number;
  sinceNs: number;
}

export class Starvation {
  readonly boundNs: number;
  readonly wrong: string[] = [];
  readonly #world: World;
  readonly #sim: SimMachine;
  readonly #watched = new Map<NapiStruct | Cpu, Watched>();
  #over = false;

  /** Set-up: watches from now on, until stop(). */
  constructor(world: World, sim: SimMachine, boundNs: number) {
    this.#world = world;
    this.#sim = sim;
    this.boundNs = boundNs;
    this.#again();
  }

  /** The last look; what was found. */
  stop(): string[] {
    this.#look();
    this.#over = true;
    return this.wrong;
  }

  #again(): void {
    this.#world.after(this.boundNs / 4, () => {
      if (this.#over) return;
      this.#look();
      this.#again();
    });
  }

  #look(): void {
    const { machine, net, stack } = this.#sim;
    if (machine.dead) return;
    for (const dev of net.devices) for (const napi of dev.napiList) this.#lookAt(napi, dev.name);
    for (const { napi } of stack.backlogs) this.#lookAt(napi, napi.dev.name);
    for (const cpu of machine.cpus) {
      const count = cpu.softirqCount.reduce((sum, n) => sum + n, 0);
      this.#waits(cpu, cpu.softirqPending !== 0, count, `softirqs of CPU ${cpu.id}`);
    }
  }

  #lookAt(napi: NapiStruct, name: string): void {
    const owned = NAPI_STATE_SCHED | NAPI_STATE_NPSVC | NAPI_STATE_DISABLE;
    this.#waits(napi, (napi.state & owned) === NAPI_STATE_SCHED, napi.polls, `napi ${napi.id} of ${name}`);
  }

  #waits(what: NapiStruct | Cpu, waits: boolean, seen: number, name: string): void {
    const now = this.#world.nowNs;
    const known = this.#watched.get(what);
    if (known === undefined || !waits || known.seen !== seen) {
      this.#watched.set(what, { seen, sinceNs: now });
    } else if (now - known.sinceNs > this.boundNs) {
      known.sinceNs = now;
      const ms = this.boundNs / 1e6;
      this.wrong.push(`${this.#sim.machine.hostname}: ${name}: starved, not run for more than ${ms} ms`);
    }
  }
}
