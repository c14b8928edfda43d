/**
 * netpoll doctor: can this host's kernel log to that target, what stands in the way, and which lines make it do so?
 *
 * Looks only, but for one datagram to the discard port of the target where the next hop's hardware address is not known. Needs
 * neither root nor koffi; without koffi it reads /proc, knows less and says so. Exit code 1: something would keep it from working.
 */
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { driverOf, isWireless, type KernelFacts, kernelFacts } from '../host/kernel_facts.ts';
import { type NetTables, openNetTables } from '../host/netlink/net_tables.ts';
import { isLinkLocal, type NextHop, type NoRoute, resolveNextHop } from '../host/netlink/next_hop.ts';
import { probe } from '../host/netlink/probe.ts';
import { type IpAddress, parseIp, printIp, printMac } from '../wire/address.ts';
import { type Finding, findings, type Verdict } from './doctor_checks.ts';
import { type LineOptions, type Lines, linesFor } from './doctor_lines.ts';
import { die, EXIT_FAILED, endWithReader } from './terminal.ts';

const EXAMPLES = `
Examples:
  $ netpoll doctor 10.0.0.2                     this host as a sender to 10.0.0.2: what is wrong, and the lines to type
  $ netpoll doctor fe80::2 --dev eth0           a link-local target needs its interface
  $ netpoll doctor 10.0.0.2 --basic --port 514  plain lines, for a syslog daemon
  $ netpoll doctor 10.0.0.2 --json | jq -r .lines.option
`;

export interface DoctorOptions {
  readonly dev?: string;
  readonly port: string;
  readonly sourcePort: string;
  readonly basic?: boolean;
  readonly release?: boolean;
  /** False with --no-probe. */
  readonly probe: boolean;
  readonly json?: boolean;
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check this host as a netconsole sender, and print the lines for its kernel')
    .argument('<target>', 'IP address of the receiver')
    .option('--dev <interface>', 'send through this interface')
    .option('--port <n>', 'port of the receiver', '6666')
    .option('--source-port <n>', 'port to send from', '6665')
    .option('--basic', 'plain text instead of the extended format')
    .option('--release', 'with the kernel’s release in front of each record (extended, kernel 6.6)')
    .option('--no-probe', 'send nothing, even if the next hop’s hardware address is not known')
    .option('--json', 'as JSON')
    .addHelpText('after', EXAMPLES)
    .action((target: string, options: DoctorOptions) => {
      doctor(target, options).catch(die);
    });
}

/** What the command found out, as --json prints it. */
export interface Diagnosis {
  readonly target: string;
  readonly dev: string | null;
  readonly source: string | null;
  readonly gateway: string | null;
  readonly mac: string | null;
  readonly neighbour: string | null;
  readonly tables: NetTables['source'];
  readonly kernel: string;
  readonly works: boolean;
  readonly findings: readonly Finding[];
  readonly lines: Lines | null;
}

async function doctor(text: string, options: DoctorOptions): Promise<void> {
  endWithReader();
  const diagnosis = await diagnose(text, options);
  process.stdout.write(options.json === true ? `${JSON.stringify(diagnosis)}\n` : report(diagnosis));
  process.exitCode = diagnosis.works ? 0 : EXIT_FAILED;
}

/** Throws SetupError for what was typed wrong. */
async function diagnose(text: string, options: DoctorOptions): Promise<Diagnosis> {
  const [address = '', zone] = text.split('%');
  const target = parseTarget(address, text);
  const dev = options.dev ?? zone;
  if (isLinkLocal(target) && dev === undefined) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${text} is link-local: name its interface with --dev`);
  }
  const lineOptions: LineOptions = {
    port: port('--port', options.port),
    sourcePort: port('--source-port', options.sourcePort),
    extended: options.basic !== true,
    release: options.release === true,
  };
  const tables = openNetTables();
  try {
    const hop = await resolveNextHop(tables, target, {
      ...(dev !== undefined && { dev }),
      ...(options.probe && { probe }),
    });
    return conclude(text, hop, tables, kernelFacts(), lineOptions);
  } finally {
    tables.close();
  }
}

function conclude(
  target: string,
  hop: NextHop | NoRoute,
  tables: NetTables,
  kernel: KernelFacts,
  options: LineOptions,
): Diagnosis {
  const found = 'reason' in hop ? null : hop;
  const { driver, isModule } =
    found === null ? { driver: null, isModule: null } : driverOf(found.link.name, found.link.ifindex);
  const all = findings({
    hop,
    links: tables.links(),
    kernel,
    driver,
    driverIsModule: isModule,
    wireless: found !== null && isWireless(found.link.name),
    extended: options.extended,
    release: options.release,
  });
  if (tables.source !== 'netlink') {
    const text = `read from /proc: main routing table only, no states of neighbours (${tables.because})`;
    all.push({ check: 'tables', verdict: 'note', text });
  }
  return {
    target,
    dev: found?.link.name ?? null,
    source: found?.source == null ? null : printIp(found.source),
    gateway: found?.route.gateway == null ? null : printIp(found.route.gateway),
    mac: found?.mac == null ? null : printMac(found.mac),
    neighbour: found?.state ?? null,
    tables: tables.source,
    kernel: kernel.release,
    works: all.every(({ verdict }) => verdict !== 'fail'),
    findings: all,
    lines: found === null ? null : linesFor(found, kernel, options),
  };
}

const MARKS: Readonly<Record<Verdict, (text: string) => string>> = {
  ok: pc.green,
  note: pc.cyan,
  warn: pc.yellow,
  fail: pc.red,
};

/** For people: a line a finding, then the lines to type. */
function report({ findings: all, lines, works, target }: Diagnosis): string {
  const text = all.map(({ check, verdict, text, mend }) => {
    const line = `${MARKS[verdict](verdict.padEnd(5))}${check.padEnd(12)}${text}\n`;
    return mend === undefined ? line : `${line}${' '.repeat(17)}${pc.dim('mend:')} ${mend}\n`;
  });
  if (lines === null) return `${text.join('')}\nno lines: ${target} cannot be reached as things are\n`;
  const block = (title: string, body: readonly string[]) =>
    `\n${pc.bold(title)}\n${body.map((line) => `  ${line}\n`).join('')}`;
  text.push(
    block('now', lines.module),
    block(
      'at every boot',
      lines.files.map(([path, line]) => `echo '${line}' > ${path}`),
    ),
    block('on the kernel’s command line', [lines.boot]),
    block('beside other targets, through configfs', lines.configfs),
    block('from this process, without the kernel’s netconsole', [`netpoll send '${lines.send}' hello`]),
    works ? '' : `\n${pc.red('as things are, these lines will not work: see fail above')}\n`,
  );
  return text.join('');
}

function parseTarget(address: string, text: string): IpAddress {
  const target = parseIp(address);
  if (target !== null) return target;
  throw new SetupError('ERR_NETPOLL_OPTIONS', `${text}: give an IP address; a kernel resolves no names`);
}

function port(option: string, text: string): number {
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value >= 1 && value <= 0xffff) return value;
  throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a port from 1 to 65535`);
}
