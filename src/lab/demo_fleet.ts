/**
 * The demo fleet: three machines that log over netconsole, one of which dies.
 *
 *     web-1   NAPI NIC            --\
 *     db-1    interrupt-only NIC  ---+-- 1 Gbit/s wire -- the collector's NIC
 *     edge-1  NAPI NIC, 2 CPUs    --/   (edge-1 through a 10 Mbit/s wire of its own)
 *
 * web-1's driver dereferences a null pointer after about six seconds, in an interrupt. Its oops and its panic leave through
 * netpoll: by then no interrupt, no softirq and no scheduler runs on it any more. Each computer can be reset; web-1 then dies again.
 * What they log is made up; how it travels is not: printk, netconsole, netpoll, driver, ring, wire, driver, NAPI, stack, UDP.
 */

import { assert } from '../base/assert.ts';
import { createNetconsole, parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { Loglevel } from '../machine/printk.ts';
import { type Booted, Power } from '../sim/power.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { printIpv4, printMac } from '../wire/address.ts';
import { nullDereference } from './oops_report.ts';

const COLLECTOR_IP = 0x0a000001;
const COLLECTOR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const NETCONSOLE_PORT = 6666;

/** Virtual time at which web-1 dies. */
export const PANIC_AT_NS = 6e9;
/** From reset until web-1 logs. */
const BOOTED_NS = 150e6;

export interface DemoFleet {
  readonly world: World;
  /** The collector's machine and its device, which is up. */
  readonly collector: SimMachine;
  readonly collectorDev: NetDevice;
  /** As they were first booted. */
  readonly machines: readonly SimMachine[];
  readonly members: readonly DemoMember[];
  /** Names by IPv4 address, as a resolver would give them. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** A computer of the fleet, which can be reset and switched off. */
export interface DemoMember {
  readonly hostname: string;
  readonly ip: number;
  readonly mac: Uint8Array;
  readonly wire: Wire;
  readonly power: Power;
}

export interface DemoFleetOptions {
  readonly seed: number;
  readonly epochUs: number;
  /** Called whenever a member has booted and logs. */
  readonly onBoot?: (sim: SimMachine, member: DemoMember) => void;
}

interface Member {
  readonly hostname: string;
  readonly ip: number;
  readonly release: string;
  readonly cpus: number;
  readonly driver: (net: Net, port: SimPort, name: string) => NetDevice;
  readonly wire: Wire;
  readonly life: (machine: SimMachine, world: World) => void;
}

/** Boots the fleet at virtual time 0; nothing happens until the world runs. */
export function createDemoFleet(options: DemoFleetOptions): DemoFleet {
  const world = new World(options);
  const lan = new Wire(world);
  const uplink = new Wire(world, { rateBps: 10e6, delayNs: 8e6 });
  const collector = createSimMachine(world, { hostname: 'collector', slots: 4096 });
  const collectorDev = openCollector(world, collector, lan, 'eth0', COLLECTOR_MAC);
  openCollector(world, collector, uplink, 'eth1', Uint8Array.of(2, 0, 0, 0, 0, 9));
  const members: Member[] = [
    { hostname: 'web-1', ip: 0x0a00000b, release: '6.12.57-sim', cpus: 1, driver: createNic, wire: lan, life: webLife },
    { hostname: 'db-1', ip: 0x0a00000c, release: '6.1.158-sim', cpus: 1, driver: createSnull, wire: lan, life: dbLife },
    {
      hostname: 'edge-1',
      ip: 0x0a00000d,
      release: '6.18.2-sim',
      cpus: 2,
      driver: createNic,
      wire: uplink,
      life: edgeLife,
    },
  ];
  const booted = members.map((member, index) =>
    switchOn(world, member, index, member.wire === lan ? 1 : 9, options.onBoot ?? (() => {})),
  );
  const machines = booted.map(({ power }) => power.running!.sim);
  const hosts = new Map(members.map((member) => [printIpv4(member.ip), member.hostname]));
  return { world, collector, collectorDev, machines, members: booted, hosts };
}

function openCollector(world: World, collector: SimMachine, wire: Wire, name: string, mac: Uint8Array): NetDevice {
  const dev = createNic(collector.net, new SimPort(world, { name: `sim:${name}`, mac, wire, ring: 1024 }), name);
  dev.addresses.push({ family: 4, v4: COLLECTOR_IP });
  const error = devOpen(dev);
  assert(error === 0, 'a simulated device can be opened');
  return dev;
}

function switchOn(
  world: World,
  member: Member,
  index: number,
  gatewayMac: number,
  onBoot: (sim: SimMachine, member: DemoMember) => void,
): DemoMember {
  const { hostname, ip, wire } = member;
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x0b + index);
  const power: Power = new Power(world, {
    boot: () => boot(world, member, index, mac, gatewayMac, (sim) => onBoot(sim, made)),
  });
  const made: DemoMember = { hostname, ip, mac, wire, power };
  return made;
}

function boot(
  world: World,
  member: Member,
  index: number,
  mac: Uint8Array,
  gatewayMac: number,
  onBoot: (sim: SimMachine) => void,
): Booted {
  const sim = createSimMachine(world, member);
  const port = new SimPort(world, { name: `sim:${member.hostname}`, mac, wire: member.wire });
  const dev = member.driver(sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: member.ip });
  world.after((index + 1) * BOOTED_NS, () => {
    if (sim.machine.dead) return;
    const { printk } = sim.machine;
    printk.consoleLoglevel = 8;
    printk.notice(`Linux version ${member.release} (netpoll@sim) #1 SMP PREEMPT_DYNAMIC`);
    printk.info('Command line: console=ttyS0 netconsole=+r@/eth0 panic=0 loglevel=8');
    printk.info(`smp: Brought up 1 node, ${member.cpus} CPU${member.cpus > 1 ? 's' : ''}`);
    printk.info(
      `eth0: ${member.driver === createSnull ? 'snull, interrupt only' : 'nic, NAPI weight 64'}, ${printMac(mac)}`,
    );
    const target = printMac(Uint8Array.of(2, 0, 0, 0, 0, gatewayMac));
    const param = parseNetconsoleParam(`+r6665@/eth0,${NETCONSOLE_PORT}@${printIpv4(COLLECTOR_IP)}/${target}`);
    assert(param.ok, 'the demo has a valid option string');
    createNetconsole(sim.net, param.specs);
    onBoot(sim);
    member.life(sim, world);
  });
  return { sim, ports: [port] };
}

/** Repeats `task` on a live machine every `periodNs`, give or take a third. */
function every(sim: SimMachine, world: World, periodNs: number, task: (count: number) => void): void {
  const { machine } = sim;
  let count = 0;
  const timer = machine.timers.create(() => {
    task(count++);
    machine.timers.mod(timer, machine.executive.now() + periodNs * (0.67 + world.prng.below(67) / 100));
  });
  machine.timers.mod(timer, machine.executive.now() + periodNs * (world.prng.below(100) / 100));
}

function webLife(sim: SimMachine, world: World): void {
  const { printk } = sim.machine;
  every(sim, world, 700e6, (n) => {
    printk.printk(Loglevel.INFO, `nginx[${812 + (n % 4)}]: worker accepted ${40 + world.prng.below(200)} connections`, {
      facility: 3,
    });
  });
  every(sim, world, 1.9e9, () => {
    printk.warn(`TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:443. Sending cookies.`);
  });
  const line = sim.machine.requestIrq('mlx5_comp0', sim.machine.cpus[0]!, () =>
    nullDereference(sim.machine, 'mlx5e_poll_rx_cq'),
  );
  world.after(PANIC_AT_NS - BOOTED_NS, () => line.raise());
}

function dbLife(sim: SimMachine, world: World): void {
  const { printk } = sim.machine;
  every(sim, world, 900e6, (n) => {
    printk.printk(Loglevel.INFO, `postgres[1403]: checkpoint ${n} complete: wrote ${world.prng.below(4000)} buffers`, {
      facility: 3,
    });
  });
  every(sim, world, 2.6e9, (n) => {
    const sector = 2048 + 8 * world.prng.below(1e6);
    printk.printk(
      Loglevel.ERR,
      `blk_update_request: I/O error, dev sdb, sector ${sector} op 0x0:(READ) flags 0x${n % 2}000`,
      {
        dict: { subsystem: 'block', device: 'b8:16' },
      },
    );
  });
}

function edgeLife(sim: SimMachine, world: World): void {
  const { printk } = sim.machine;
  every(sim, world, 1.1e9, (n) => {
    const up = n % 2 === 1;
    printk.printk(
      up ? Loglevel.INFO : Loglevel.NOTICE,
      `wwan0: signal ${-60 - world.prng.below(45)} dBm, link ${up ? 'up' : 'degraded'}`,
      {
        dict: { subsystem: 'net', device: 'n4' },
      },
    );
  });
  every(sim, world, 3.3e9, () => {
    printk.warn(`thermal thermal_zone0: temperature ${61 + world.prng.below(18)}000 mC, passive cooling engaged`);
  });
}
