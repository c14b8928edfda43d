/**
 * netpoll ls: a machine's counters as people know them, in the words and columns of ip, ethtool, nstat and /proc.
 *
 * The machine is one of the demo fleet, simulated for so many seconds: the same seed and time give the same figures.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import {
  nstatText,
  procInterrupts,
  procNetDev,
  procNetPtype,
  procSoftirqs,
  procSoftnetStat,
  SOFTIRQ_NAMES,
  softnetRows,
} from '../clients/procfs.ts';
import type { NetDevice } from '../device/net_device.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { createDemoFleet, NETCONSOLE_PORT } from '../lab/demo_fleet.ts';
import type { SimMachine } from '../sim/sim_machine.ts';
import { type LsBondOptions, lsBond } from './ls_bond.ts';
import { type EthtoolQuery, ethtoolJson, ethtoolText } from './ls_ethtool.ts';
import { linkJson, linkText } from './ls_link.ts';
import { die, endWithReader } from './terminal.ts';

const EXAMPLES = `
What: link [DEV], ethtool DEV, nstat, dev, softnet_stat, interrupts, softirqs, ptype, drops, bond.

Examples:
  $ netpoll ls link -s                           counters of every device, as ip -s link
  $ netpoll ls ethtool -S eth0 --machine web-1   the driver's own, as ethtool -S
  $ netpoll ls softnet_stat --after 6.5          what the network softirq did until web-1 was dead
  $ netpoll ls drops --json
  $ netpoll ls bond --bond 'mode=802.3ad lacp_rate=fast' --after 12     two bonds that find each other
`;

interface LsOptions extends LsBondOptions {
  readonly machine: string;
  readonly json?: boolean;
  readonly stats?: boolean;
  readonly statistics?: boolean;
  readonly rings?: boolean;
  readonly coalesce?: boolean;
  readonly features?: boolean;
  readonly channels?: boolean;
  readonly driver?: boolean;
}

export function addLs(program: Command): void {
  program
    .command('ls')
    .description('counters of a simulated machine, as ip, ethtool, nstat and /proc show them')
    .argument('<what>', 'link, ethtool, nstat, dev, softnet_stat, interrupts, softirqs, ptype, drops or bond')
    .argument('[device]', 'for link and ethtool')
    .option('--machine <name>', 'whose: collector, web-1, db-1 or edge-1', 'collector')
    .option('--after <seconds>', 'seconds of simulated time', '5')
    .option('--seed <n>', 'seed of the simulation', '1')
    .option('-s, --stats', 'link: with counters')
    .option('-S, --statistics', 'ethtool: the driver’s own statistics')
    .option('-g, --rings', 'ethtool: descriptors')
    .option('-c, --coalesce', 'ethtool: interrupt coalescing')
    .option('-k, --features', 'ethtool: offloads')
    .option('-l, --channels', 'ethtool: queues')
    .option('-i, --driver', 'ethtool: the driver')
    .option('--bond <options>', 'bond: as name=value ..., of both ends')
    .option('--slaves <n>', 'bond: how many cables', '2')
    .option('--pull <cables>', 'bond: eth1@3 is pulled after 3 seconds, eth1@3-5 for two')
    .option('--json', 'as JSON')
    .addHelpText('after', EXAMPLES)
    .action((what: string, device: string | undefined, options: LsOptions) => {
      try {
        endWithReader();
        process.stdout.write(ls(what, device, options));
      } catch (error) {
        die(error);
      }
    });
}

/** What the command prints. Throws SetupError for what is not there. */
export function ls(what: string, device: string | undefined, options: LsOptions): string {
  const report = what === 'bond' ? lsBond(options) : reportOf(what, device, options);
  if (report === undefined) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `nothing is called ${what}: netpoll ls --help shows what is`);
  }
  return options.json === true ? `${JSON.stringify(report.json())}\n` : report.text();
}

function reportOf(what: string, device: string | undefined, options: LsOptions): Report | undefined {
  const { sim, inet } = grow(options);
  return reports(sim, inet, device, options)[what];
}

interface Report {
  readonly text: () => string;
  readonly json: () => unknown;
}

function reports(
  sim: SimMachine,
  inet: Inet | null,
  device: string | undefined,
  options: LsOptions,
): Readonly<Record<string, Report>> {
  const { machine, net, stack } = sim;
  const devices = () => (device === undefined ? net.devices : [find(sim, device)]);
  const query = queryOf(options);
  const one = () => find(sim, device ?? 'eth0');
  const snmp = (): Record<string, number> => inet?.snmp.toJSON() ?? {};
  const drops = () => Object.entries(machine.skbs.drops.toJSON()).filter(([, n]) => n > 0);
  return {
    link: {
      text: () =>
        devices()
          .map((dev) => linkText(dev, options.stats === true))
          .join(''),
      json: () => devices().map((dev) => linkJson(dev, options.stats === true)),
    },
    ethtool: {
      text: () => ethtoolText(one(), query),
      json: () => [{ ifname: one().name, ...ethtoolJson(one(), query) }],
    },
    nstat: { text: () => nstatText(snmp()), json: () => ({ kernel: snmp() }) },
    dev: { text: () => procNetDev(net), json: () => devices().map((dev) => linkJson(dev, true)) },
    softnet_stat: { text: () => procSoftnetStat(stack), json: () => softnetRows(stack) },
    interrupts: {
      text: () => procInterrupts(machine),
      json: () => machine.irqLines.map(({ number, name, cpu, count }) => ({ irq: number, name, cpu: cpu.id, count })),
    },
    softirqs: {
      text: () => procSoftirqs(machine),
      json: () =>
        Object.fromEntries(SOFTIRQ_NAMES.map((name, v) => [name, machine.cpus.map((cpu) => cpu.softirqCount[v])])),
    },
    ptype: {
      text: () => procNetPtype(stack),
      json: () => stack.types.list().map((type) => type.toString(16).padStart(4, '0')),
    },
    drops: {
      text: () =>
        drops()
          .map(([name, n]) => `${String(n).padStart(10)} drops by reason ${name}\n`)
          .join(''),
      json: () => Object.fromEntries(drops()),
    },
  };
}

function queryOf(options: LsOptions): EthtoolQuery {
  const asked = (['statistics', 'rings', 'coalesce', 'features', 'channels', 'driver'] as const).filter(
    (each) => options[each] === true,
  );
  if (asked.length > 1) throw new SetupError('ERR_NETPOLL_OPTIONS', `--${asked[0]} and --${asked[1]}: one at a time`);
  return asked[0] ?? 'statistics';
}

function find(sim: SimMachine, name: string): NetDevice {
  const dev = sim.net.byName(name);
  if (dev === undefined) throw new SetupError('ERR_NETPOLL_OPTIONS', `Device "${name}" does not exist.`);
  return dev;
}

function grow(options: LsOptions): { readonly sim: SimMachine; readonly inet: Inet | null } {
  const seconds = Number(options.after);
  const seed = Number(options.seed);
  if (!(seconds >= 0 && seconds <= 3600)) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--after ${options.after}: give seconds up to 3600`);
  }
  if (!Number.isInteger(seed))
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--seed ${options.seed}: give a whole number`);
  const fleet = createDemoFleet({ seed, epochUs: 0 });
  const inet = new Inet(fleet.collector.stack);
  // Somebody listens there, as the collector does.
  udpBind(inet, NETCONSOLE_PORT, () => {});
  const machines = [fleet.collector, ...fleet.machines];
  const sim = machines.find(({ machine }) => machine.hostname === options.machine);
  if (sim === undefined) {
    const names = machines.map(({ machine }) => machine.hostname).join(', ');
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--machine ${options.machine}: there are ${names}`);
  }
  fleet.world.runUntil(seconds * 1e9);
  return { sim, inet: sim === fleet.collector ? inet : null };
}
