/**
 * A simulated machine: Executive, memory and networking put together.
 */
import { Net } from '../device/net.ts';
import { Machine } from '../machine/machine.ts';
import { createArena } from '../skb/arena.ts';
import { netInit, type Stack } from '../stack/net_init.ts';
import { SimExecutive } from './sim_executive.ts';
import type { World } from './world.ts';

export interface SimMachineOptions {
  readonly hostname: string;
  readonly cpus?: number;
  readonly hz?: number;
  readonly release?: string;
  /** Buffers of 2048 bytes; 1024 if absent. */
  readonly slots?: number;
}

export interface SimMachine {
  readonly machine: Machine;
  readonly net: Net;
  readonly stack: Stack;
}

/** A machine that has booted at the world's present time, with a stack and no device. */
export function createSimMachine(world: World, options: SimMachineOptions): SimMachine {
  const executive = new SimExecutive(world);
  const machine = new Machine({ ...options, executive, arena: createArena(options.slots ?? 1024) });
  executive.onTurn = () => machine.turn();
  const net = new Net(machine);
  return { machine, net, stack: netInit(net) };
}
