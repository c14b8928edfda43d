/**
 * The two machines of a bond storm, joined by two to four wires, each end a bond.
 *
 *     storm  10.0.0.1                                   watcher  10.0.0.2
 *     PONG server, netconsole, SysRq   eth0 ---wire---- eth0     pings, hears PONGs and the log,
 *     all on bond0, 2 to 4 CPUs        eth1 ---wire---- eth1     gives SysRq commands, through its stack
 *
 * The watcher's mode suits the storm's: what stands at the other end of a bond has to hear it on the wires that it may use.
 */
import type { Prng } from '../base/prng.ts';
import { NETDEV_TX_OK } from '../base/status.ts';
import { createNetconsole, type Netconsole, parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { createPong, type Pong } from '../clients/pong.ts';
import { createSysrqListener, type SysrqListener } from '../clients/sysrq/listener.ts';
import { addSysrqNet } from '../clients/sysrq/net.ts';
import type { DeviceOps, NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { Sysrq } from '../machine/sysrq.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { watchDevice, watchSinks } from '../sim/contexts.ts';
import { Ledger } from '../sim/ledger.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  type Bonding,
  bondOf,
} from '../stacked/bond/bond.ts';
import { createBond } from '../stacked/bond/bond_dev.ts';
import { bondEnslave } from '../stacked/bond/enslave.ts';
import { printMac } from '../wire/address.ts';
import { simulatedMac } from './bond_storm_mac.ts';

export const PONG_PORT = 7;
export const SYSRQ_PORT = 6665;
export const LOG_PORT = 6666;
export const STORM_IP = 0x0a000001;
export const WATCHER_IP = 0x0a000002;
/** The storm's mode, and one that its other end may have. */
export const STORM_MODES: readonly (readonly [storm: number, watcher: number])[] = [
  [BOND_MODE_ROUNDROBIN, BOND_MODE_XOR],
  [BOND_MODE_ACTIVEBACKUP, BOND_MODE_BROADCAST],
  [BOND_MODE_XOR, BOND_MODE_ROUNDROBIN],
  [BOND_MODE_BROADCAST, BOND_MODE_ACTIVEBACKUP],
  [BOND_MODE_8023AD, BOND_MODE_8023AD],
  [BOND_MODE_TLB, BOND_MODE_BROADCAST],
  [BOND_MODE_ALB, BOND_MODE_BROADCAST],
];

/**
 * Faults for the canary: a frame freed once more than it was taken, one that nobody frees, one that is freed and counted nowhere, a
 * machine that hears no command.
 */
export const STORM_PLANTS = ['double free', 'swallowed', 'uncounted', 'deaf'] as const;
export type StormPlant = (typeof STORM_PLANTS)[number];

/** Puts a fault into every twentieth frame that the machine sends, or into its SysRq. */
export function plantFault(host: StormHost, plant: StormPlant): void {
  if (plant === 'deaf') {
    host.listener.np.rxHook = () => {};
    return;
  }
  let count = 0;
  for (const dev of host.slaves) {
    const { ops } = dev;
    const startXmit: DeviceOps['startXmit'] = (skb, self, queue) => {
      if (++count % 20 !== 0) return ops.startXmit(skb, self, queue);
      if (plant === 'double free') skb.pool.consume(skb);
      if (plant !== 'swallowed') skb.pool.consume(skb);
      return NETDEV_TX_OK;
    };
    (dev as { ops: DeviceOps }).ops = { ...ops, startXmit };
  }
}

/** The key that both ends have. */
export const stormMac = simulatedMac(0x5e11);

export interface StormMachine {
  readonly sim: SimMachine;
  readonly ports: readonly SimPort[];
  readonly slaves: readonly NetDevice[];
  readonly bond: Bonding;
  readonly ledger: Ledger;
}

export interface StormHost extends StormMachine {
  readonly sysrq: Sysrq;
  readonly netconsole: Netconsole;
  readonly pong: Pong;
  readonly listener: SysrqListener;
}

/** The wires of a storm, all of one kind. */
export function stormWires(world: World, chance: Prng): Wire[] {
  const rateBps = [100e6, 1e9, 10e9][chance.below(3)]!;
  const delayNs = [0, 500, 5_000][chance.below(3)]!;
  return Array.from({ length: 2 + chance.below(3) }, () => new Wire(world, { rateBps, delayNs }));
}

/** A machine whose cards are on the wires and in a bond, which is up. Interrupts of the cards are spread over its CPUs. */
export function bondedMachine(
  world: World,
  wires: readonly Wire[],
  chance: Prng,
  options: {
    readonly name: string;
    readonly ip: number;
    readonly mode: number;
    readonly slots: number;
    readonly cpus: number;
    readonly lacpRate: number;
  },
): StormMachine {
  const model = chance.chance(0.3) ? { cpuModel: { ksoftirqdNice: chance.below(40) - 20 } } : {};
  // Buffers may run out, objects not: a driver counts that among the drops of the stack, where the ledger cannot tell them apart.
  const { name: hostname, cpus, slots } = options;
  const sim = createSimMachine(world, { hostname, cpus, slots, skbs: 8 * slots, ...model });
  watchSinks(sim.net);
  const ring = 16 << chance.below(4);
  const cards = wires.map((wire, i) => {
    const mac = Uint8Array.of(2, 0, 0, 0, options.ip & 255, i);
    const port = new SimPort(world, { name: `${options.name}:${i}`, mac, wire, ring, model: sim.model });
    const dev = createNic(sim.net, port, `eth${i}`);
    watchDevice(dev);
    return { port, dev };
  });
  for (const [i, line] of sim.machine.irqLines.entries()) line.setAffinity(sim.machine.cpus[i % options.cpus]!);
  const ledger = new Ledger(sim, cards);
  const dev = createBond(sim.net, 'bond0', { mode: options.mode, miimon: 10, lacpRate: options.lacpRate });
  const bond = bondOf(dev);
  for (const card of cards) must(bondEnslave(bond, card.dev), `enslaving ${card.dev.name}`);
  dev.addresses.push({ family: 4, v4: options.ip });
  must(devOpen(dev), 'opening bond0');
  return { sim, ports: cards.map(({ port }) => port), slaves: cards.map((card) => card.dev), bond, ledger };
}

/** The clients of netpoll on the storm's bond; its log goes to the address `watcherMac`. */
export function stormClients(storm: StormMachine, watcherMac: Uint8Array, chance: Prng): StormHost {
  const { net, machine } = storm.sim;
  machine.printk.consoleLoglevel = 8;
  const target = `@10.0.0.1/bond0,${LOG_PORT}@10.0.0.2/${printMac(watcherMac)}`;
  const param = parseNetconsoleParam(`+${chance.chance(0.5) ? 'r' : ''}${SYSRQ_PORT}${target}`);
  const options = netpollParseOptions(`${SYSRQ_PORT}${target}`);
  const pongOptions = netpollParseOptions(`${PONG_PORT}${target}`);
  if (!param.ok || !options.ok || !pongOptions.ok) throw new Error('the options are right');
  const netconsole = createNetconsole(net, param.specs);
  const pong = createPong(net, pongOptions.options, { anyRemote: true });
  const sysrq = new Sysrq(machine, { reboot() {}, powerOff() {} });
  sysrq.mask = 1;
  addSysrqNet(net, sysrq);
  const bootId = Uint8Array.from({ length: 16 }, () => chance.below(256));
  const secured = { mac: stormMac, bootId, burst: 1000, perSecond: 1e6 };
  const listener = createSysrqListener(net, options.options, sysrq, secured);
  if (typeof pong === 'number' || typeof listener === 'number') throw new Error(`refused: ${pong} ${listener}`);
  return { ...storm, sysrq, netconsole, pong, listener };
}

function must(error: number, what: string): void {
  if (error < 0) throw new Error(`${what}: ${error}`);
}
