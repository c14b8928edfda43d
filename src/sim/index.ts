/** The simulated world: machines, cards and wires under one virtual clock. */
export { SimExecutive } from './sim_executive.ts';
export { createSimMachine, type SimMachine, type SimMachineOptions } from './sim_machine.ts';
export { SimPort, type SimPortOptions } from './sim_port.ts';
export { type Attachment, Wire, type WireOptions } from './wire.ts';
export { World } from './world.ts';
