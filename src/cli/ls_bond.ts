/**
 * netpoll ls bond: two simulated machines with a bond of cables between them, for so many seconds, and what /proc/net/bonding says
 * of the bond then.
 *
 *     left: bond0 (eth0, eth1, ...) ===== cables ===== bond0 (eth0, eth1, ...): right       the same options at both ends
 */
import { SetupError } from '../base/status.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { type Bonding, bondOf } from '../stacked/bond/bond.ts';
import { createBond } from '../stacked/bond/bond_dev.ts';
import { bondEnslave } from '../stacked/bond/enslave.ts';
import { BOND_OPTIONS } from '../stacked/bond/option_table.ts';
import { bondGetOption, bondSetOptions } from '../stacked/bond/options.ts';
import { bondReport } from '../stacked/bond/proc_bonding.ts';

export interface LsBondOptions {
  /** The bond's options, `mode=802.3ad lacp_rate=fast`. */
  readonly bond?: string;
  /** Cables; 2 if absent. */
  readonly slaves?: string;
  /** `eth1@3`: this cable is pulled after so many seconds; several with commas, and `eth1@3-5` puts it back. */
  readonly pull?: string;
  readonly after: string;
  readonly seed: string;
}

const SLAVES_MAX = 16;

/** The report of the left end, as text or as an object for JSON. Throws SetupError. */
export function lsBond(options: LsBondOptions): { readonly text: () => string; readonly json: () => unknown } {
  const slaves = Number(options.slaves ?? 2);
  if (!Number.isInteger(slaves) || slaves < 1 || slaves > SLAVES_MAX) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--slaves ${options.slaves}: give a number from 1 to ${SLAVES_MAX}`);
  }
  const seconds = Number(options.after);
  if (!(seconds >= 0 && seconds <= 3600)) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--after ${options.after}: give seconds up to 3600`);
  }
  const world = new World({ seed: Number(options.seed) });
  const wires = Array.from({ length: slaves }, () => new Wire(world));
  const [left] = [1, 2].map((machine) => end(world, wires, machine, options.bond ?? 'mode=802.3ad lacp_rate=fast'));
  for (const { port, fromS, toS } of pulls(options.pull ?? '', left!.ports)) {
    world.at(fromS * 1e9, () => port.setLink(false));
    if (toS !== null) world.at(toS * 1e9, () => port.setLink(true));
  }
  world.runUntil(seconds * 1e9);
  const { bond } = left!;
  return { text: () => bondReport(bond), json: () => bondJson(bond) };
}

interface End {
  readonly bond: Bonding;
  readonly ports: readonly SimPort[];
}

function end(world: World, wires: readonly Wire[], machine: number, options: string): End {
  const { net, machine: made } = createSimMachine(world, {
    hostname: machine === 1 ? 'left' : 'right',
    release: '6.18.0',
  });
  let complaint = '';
  const decoder = new TextDecoder();
  const log = { name: 'last', write: ({ text }: { text: Uint8Array }) => void (complaint = decoder.decode(text)) };
  made.printk.registerConsole(log);
  const dev = createBond(net, 'bond0');
  const bond = bondOf(dev);
  if (bondSetOptions(bond, options) < 0) throw new SetupError('ERR_NETPOLL_OPTIONS', complaint);
  made.printk.unregisterConsole(log);
  const ports = wires.map((wire, i) => {
    const mac = Uint8Array.of(2, 0, 0, 0, machine, i + 1);
    const port = new SimPort(world, { name: `sim:${machine}.${i}`, mac, wire });
    bondEnslave(bond, createNic(net, port, `eth${i}`));
    return port;
  });
  devOpen(dev);
  return { bond, ports };
}

interface Pull {
  readonly port: SimPort;
  readonly fromS: number;
  readonly toS: number | null;
}

function pulls(text: string, ports: readonly SimPort[]): Pull[] {
  return text
    .split(',')
    .filter((each) => each !== '')
    .map((each) => {
      const [, index, from, to] = /^eth(\d+)@(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?$/.exec(each) ?? [];
      const port = ports[Number(index)];
      if (port === undefined) {
        const why = `--pull ${each}: give eth0@SECONDS or eth0@FROM-TO, up to eth${ports.length - 1}`;
        throw new SetupError('ERR_NETPOLL_OPTIONS', why);
      }
      return { port, fromS: Number(from), toS: to === undefined ? null : Number(to) };
    });
}

function bondJson(bond: Bonding): object {
  const options = Object.fromEntries(Object.keys(BOND_OPTIONS).map((name) => [name, bondGetOption(bond, name)]));
  const slaves = bond.slaves.map((slave) => ({
    ifname: slave.dev.name,
    link: ['up', 'going down', 'down', 'going back'][slave.link],
    active: slave.backup === 0,
    speed: slave.speed,
    failures: slave.linkFailureCount,
    aggregator: slave.ad?.aggregator?.id ?? null,
    partner_state: slave.ad?.partner.state ?? null,
  }));
  return { ifname: bond.dev.name, options, slaves };
}
