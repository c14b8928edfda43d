/**
 * A simulated machine: Executive, memory and networking put together.
 */
import { Net } from '../device/net.ts';
import { Machine } from '../machine/machine.ts';
import { createArena } from '../skb/arena.ts';
import { netInit, type Stack } from '../stack/net_init.ts';
import { CpuModel, type CpuModelOptions } from './cpu_model.ts';
import { SimExecutive } from './sim_executive.ts';
import type { World } from './world.ts';

export interface SimMachineOptions {
  readonly hostname: string;
  readonly cpus?: number;
  readonly hz?: number;
  readonly release?: string;
  /** Buffers of 2048 bytes; 1024 if absent. */
  readonly slots?: number;
  /** sk_buff objects; twice the buffers if absent. Clones need objects of their own. */
  readonly skbs?: number;
  /** Makes code take time; without it, it takes none. */
  readonly cpuModel?: CpuModelOptions;
}

export interface SimMachine {
  readonly machine: Machine;
  readonly net: Net;
  readonly stack: Stack;
  /** Null: code takes no time. */
  readonly model: CpuModel | null;
}

/** A machine that has booted at the world's present time, with a stack and no device. */
export function createSimMachine(world: World, options: SimMachineOptions): SimMachine {
  const executive = new SimExecutive(world);
  const machine = new Machine({ ...options, executive, arena: createArena(options.slots ?? 1024) });
  executive.onTurn = () => machine.turn();
  const net = new Net(machine);
  const stack = netInit(net);
  const model = options.cpuModel === undefined ? null : new CpuModel(world, machine, executive, options.cpuModel);
  if (model !== null) chargeSinks(net, model);
  return { machine, net, stack, model };
}

/** What a frame costs behind its driver: on its way to the backlog, and up the stack. */
function chargeSinks(net: Net, model: CpuModel): void {
  const { enqueueNs, stackNs } = model.costs;
  for (const softnet of net.softnet) {
    const { deliver, enqueue } = softnet;
    softnet.deliver = (skb) => {
      model.charge(stackNs);
      return deliver(skb);
    };
    softnet.enqueue = (skb) => {
      model.charge(enqueueNs);
      return enqueue(skb);
    };
  }
}
