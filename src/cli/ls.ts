/**
 * netpoll ls: a machine's counters as people know them, in the words and columns of ip, ethtool, nstat and /proc.
 *
 * The machine is one of the demo fleet, simulated for so many seconds: the same seed and time give the same figures. With --on it is
 * this process, which listens on a real device for so many seconds.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { createHostMachine } from '../host/host_machine.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { createDemoFleet, NETCONSOLE_PORT } from '../lab/demo_fleet.ts';
import { type LsBondOptions, lsBond } from './ls_bond.ts';
import { type MachineView, type Report, type ReportOptions, reports } from './ls_reports.ts';
import { die, endWithReader } from './terminal.ts';

const EXAMPLES = `
What: link [DEV], ethtool DEV, nstat, dev, softnet_stat, interrupts, softirqs, ptype, drops, bond.

Examples:
  $ netpoll ls link -s                           counters of every device, as ip -s link
  $ netpoll ls ethtool -S eth0 --machine web-1   the driver's own, as ethtool -S
  $ netpoll ls softnet_stat --after 6.5          what the network softirq did until web-1 was dead
  $ netpoll ls drops --json
  $ netpoll ls nstat --on packet:eth0 --after 2  what this process has received from eth0 in two seconds
  $ netpoll ls bond --bond 'mode=802.3ad lacp_rate=fast' --after 12     two bonds that find each other
`;

interface LsOptions extends LsBondOptions, ReportOptions {
  readonly machine: string;
  readonly on?: string;
  readonly json?: boolean;
}

export function addLs(program: Command): void {
  program
    .command('ls')
    .description('counters of a simulated machine, as ip, ethtool, nstat and /proc show them')
    .argument('<what>', 'link, ethtool, nstat, dev, softnet_stat, interrupts, softirqs, ptype, drops or bond')
    .argument('[device]', 'for link and ethtool')
    .option('--machine <name>', 'whose: collector, web-1, db-1 or edge-1', 'collector')
    .option('--on <port>', 'not a simulated machine but this process, over packet:eth0, udp:0.0.0.0:6666, pcap:file')
    .option('--after <seconds>', 'seconds of simulated time; with --on, of time', '5')
    .option('--seed <n>', 'seed of the simulation', '1')
    .option('-s, --stats', 'link: with counters')
    .option('-z, --zeros', 'nstat: also those that are 0')
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
    .action(async (what: string, device: string | undefined, options: LsOptions) => {
      try {
        endWithReader();
        const text =
          options.on === undefined ? ls(what, device, options) : await lsOn(options.on, what, device, options);
        process.stdout.write(text);
      } catch (error) {
        die(error);
      }
    });
}

/** What the command prints of a simulated machine. Throws SetupError for what is not there. */
export function ls(what: string, device: string | undefined, options: LsOptions): string {
  if (what === 'bond') return printed(lsBond(options), what, options);
  return printed(reports(grow(options), device, options)[what], what, options);
}

/** The same of this process over a real device, after `--after` seconds. Throws SetupError. */
export async function lsOn(
  spec: string,
  what: string,
  device: string | undefined,
  options: LsOptions,
): Promise<string> {
  const seconds = secondsOf(options);
  const host = createHostMachine();
  const inet = new Inet(host.stack, { promiscuous: spec.startsWith('pcap:') });
  try {
    const dev = host.openDevice(spec);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    // What opening has asked for is done at the loop's next look at its descriptors.
    await new Promise((resolve) => setImmediate(resolve));
    return printed(reports({ ...host, inet }, device ?? dev.name, options)[what], what, options);
  } finally {
    host.close();
  }
}

function printed(report: Report | undefined, what: string, options: LsOptions): string {
  if (report === undefined) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `nothing is called ${what}: netpoll ls --help shows what is`);
  }
  return options.json === true ? `${JSON.stringify(report.json())}\n` : report.text();
}

function secondsOf(options: LsOptions): number {
  const seconds = Number(options.after);
  if (seconds >= 0 && seconds <= 3600) return seconds;
  throw new SetupError('ERR_NETPOLL_OPTIONS', `--after ${options.after}: give seconds up to 3600`);
}

function grow(options: LsOptions): MachineView {
  const seconds = secondsOf(options);
  const seed = Number(options.seed);
  if (!Number.isInteger(seed))
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--seed ${options.seed}: give a whole number`);
  const fleet = createDemoFleet({ seed, epochUs: 0 });
  const machines = [fleet.collector, ...fleet.machines];
  const sim = machines.find(({ machine }) => machine.hostname === options.machine);
  if (sim === undefined) {
    const names = machines.map(({ machine }) => machine.hostname).join(', ');
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--machine ${options.machine}: there are ${names}`);
  }
  const inets = machines.map(({ stack }) => new Inet(stack));
  // Somebody listens there, as the collector does.
  udpBind(inets[0]!, NETCONSOLE_PORT, () => {});
  fleet.world.runUntil(seconds * 1e9);
  return { ...sim, inet: inets[machines.indexOf(sim)]! };
}
