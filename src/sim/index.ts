/** The simulated world: machines, cards and wires under one virtual clock. */

export { watchDevice, watchSinks } from './contexts.ts';
export { CpuModel, type CpuModelOptions } from './cpu_model.ts';
export { CPU_TIMES, type CpuCosts, type CpuTimeName, DEFAULT_COSTS } from './cpu_time.ts';
export { RecordingPrng, ReplayPrng } from './draws.ts';
export { checkWire, Ledger } from './ledger.ts';
export { type CardAccount, ringCard, simPortCard, softwareCard } from './ledger_cards.ts';
export { type Booted, Power, type PowerOptions } from './power.ts';
export type { SimTask } from './sim_cpu.ts';
export { SimExecutive } from './sim_executive.ts';
export { createSimMachine, type SimMachine, type SimMachineOptions } from './sim_machine.ts';
export { SimPort, type SimPortOptions } from './sim_port.ts';
export { Starvation } from './starvation.ts';
export { type Attachment, Wire, type WireOptions } from './wire.ts';
export { World } from './world.ts';
