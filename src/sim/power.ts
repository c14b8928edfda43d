/**
 * A simulated computer with a power switch: what SysRq's reboot and power off do to a member of a simulated fleet.
 *
 *     boot(n) --> machine n --reboot()--> dead at once, its cards let go of the wire --bootNs later--> boot(n + 1)
 *                           --powerOff()--> the same, and it stays off
 *
 * A machine that has been replaced is dead: nothing of it runs any more. Its frames die with its memory. Who boots makes everything
 * anew: machine, cards, drivers, clients; nothing is left from before but the seed's chance.
 */
import type { SimMachine } from './sim_machine.ts';
import type { SimPort } from './sim_port.ts';
import type { World } from './world.ts';

export interface Booted {
  readonly sim: SimMachine;
  /** Cards that are open now. */
  readonly ports: readonly SimPort[];
}

export interface PowerOptions {
  /** From the reset to the first instruction of the next boot; 2 s if absent. */
  readonly bootNs?: number;
  /** Called for boot 1, 2, ...; with the switch, so that the machine can press it. */
  readonly boot: (boot: number, power: Power) => Booted;
}

const BOOT_NS = 2e9;
const RESET_NS = 1e6;

export class Power {
  /** What runs now; null while it is off or between two boots. */
  running: Booted | null = null;
  /** How often it has booted. */
  boots = 0;
  readonly #world: World;
  readonly #options: PowerOptions;

  /** Boots at once. */
  constructor(world: World, options: PowerOptions) {
    this.#world = world;
    this.#options = options;
    this.on();
  }

  /** Boots; nothing happens if it runs. */
  on(): void {
    if (this.running !== null) return;
    this.running = this.#options.boot(++this.boots, this);
  }

  /** From any context of the machine: it stops here. It boots again after a while. */
  reboot(): void {
    if (!this.#stop()) return;
    const { boots } = this;
    this.#world.after(this.#options.bootNs ?? BOOT_NS, () => {
      if (this.boots === boots) this.on();
    });
  }

  /** From any context of the machine: it stops here, until somebody calls on(). */
  powerOff(): void {
    this.#stop();
  }

  #stop(): boolean {
    const { running } = this;
    if (running === null) return false;
    this.running = null;
    running.sim.machine.dead = true;
    running.sim.machine.cpu.localIrqSave();
    // The reset takes its time to reach the cards: what they were given before leaves, and the code that runs comes out of them.
    this.#world.after(RESET_NS, () => {
      for (const port of running.ports) port.close();
    });
    return true;
  }
}
