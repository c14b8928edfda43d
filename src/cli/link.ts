/**
 * netpoll link: shows and changes network interfaces in the words of `ip link`. The kernel's, over netlink; with --machine or --on the
 * devices of a machine of ours, as `netpoll ls link` does.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { openNetConfig } from '../host/netlink/net_config.ts';
import { kernelLooks } from './link_kernel.ts';
import { type LinkLook, type LookOptions, lookJson, lookText } from './link_look.ts';
import { parseChange, parseNewLink } from './link_words.ts';
import { ls, lsOn } from './ls.ts';
import { die, endWithReader } from './terminal.ts';

const EXAMPLES = `
Words, as ip link has them:
  show [DEV] [up] [type KIND] [master DEV]   (also without "show"); stats [DEV] shows counters too
  set DEV  up | down | mtu N | address MAC | broadcast MAC | name NAME | alias TEXT | txqueuelen N | gso_max_size N | gso_max_segs N
           | promisc on|off | allmulticast on|off | multicast on|off | arp on|off | master DEV | nomaster | netns PID | group N
  add [link DEV] NAME [words of set] type  veth [peer NAME] | dummy | vlan id N [protocol 802.1ad] | bridge [stp_state 0|1] [vlan_filtering 0|1]
           | tap [multi_queue] [vnet_hdr]   (it stays until it is deleted)
  del DEV

Examples:
  $ netpoll link                                     every interface
  $ netpoll link show eth0 -d -s                     one, with details and counters; --json for programs
  # netpoll link set eth0 up mtu 9000                several changes in one request
  # netpoll link add v0 type veth peer v1
  # netpoll link add link eth0 name eth0.5 type vlan id 5
  # netpoll link del v0
  $ netpoll link stats --machine web-1               devices of a simulated machine
  # netpoll link stats --on packet:eth0 --after 2    the device that this process opens over eth0, after two seconds
`;

interface LinkOptions {
  readonly details?: boolean;
  readonly stats: number;
  readonly json?: boolean;
  readonly machine?: string;
  readonly on?: string;
  readonly after: string;
  readonly seed: string;
}

export function addLink(program: Command): void {
  const more = (_: unknown, times: number): number => times + 1;
  program
    .command('link')
    .description('show and change network interfaces, as ip link does')
    .argument('[words...]', 'show, set, add, del or stats, and what follows')
    .option('-d, --details', 'show what is particular to a kind of interface, too')
    .option('-s, --stats', 'show counters; -s -s errors by kind', more, 0)
    .option('--json', 'as JSON')
    .option('--machine <name>', 'of a simulated machine: collector, web-1, db-1 or edge-1')
    .option('--on <port>', 'of this process, over packet:eth0, udp:0.0.0.0:6666, ...')
    .option('--after <seconds>', 'with --machine or --on: after so long', '5')
    .option('--seed <n>', 'with --machine: seed of the simulation', '1')
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], options: LinkOptions) => {
      try {
        endWithReader();
        process.stdout.write(await link(words, options));
      } catch (error) {
        die(error);
      }
    });
}

/** What the command prints. Throws SetupError. */
export async function link(words: readonly string[], options: LinkOptions): Promise<string> {
  const [verb = 'show', ...rest] = words;
  switch (verb) {
    case 'set':
      set(rest);
      return '';
    case 'add':
      using((config) => config.addLink(parseNewLink(rest, config.indexOf)));
      return '';
    case 'del':
    case 'delete':
      using((config) => config.deleteLink(deviceOf(rest, verb).name));
      return '';
    case 'stats':
      return await show(rest, { ...options, stats: Math.max(1, options.stats) });
    case 'show':
    case 'list':
    case 'ls':
      return await show(rest, options);
    default:
      return await show(words, options);
  }
}

function using(work: (config: ReturnType<typeof openNetConfig>) => void): void {
  const config = openNetConfig();
  try {
    work(config);
  } finally {
    config.close();
  }
}

function set(words: readonly string[]): void {
  const { name, rest } = deviceOf(words, 'set');
  using((config) => config.setLink(name, parseChange(rest, config.indexOf)));
}

/** `[dev] NAME`, and what is behind it. */
function deviceOf(words: readonly string[], verb: string): { name: string; rest: readonly string[] } {
  const at = words[0] === 'dev' ? 1 : 0;
  const name = words[at];
  if (name === undefined) throw new SetupError('ERR_NETPOLL_OPTIONS', `link ${verb}: which device?`);
  return { name, rest: words.slice(at + 1) };
}

async function show(words: readonly string[], options: LinkOptions): Promise<string> {
  const wanted = parseFilter(words);
  if (options.machine !== undefined || options.on !== undefined) return await showOurs(wanted.name, options);
  const all = kernelLooks();
  if (wanted.name !== undefined && !all.some(({ name }) => name === wanted.name)) {
    throw new SetupError('ERR_NETPOLL_NO_INTERFACE', `Device "${wanted.name}" does not exist.`);
  }
  const looks = all.filter((look) => matches(look, wanted));
  const how: LookOptions = { details: options.details ?? false, stats: options.stats };
  if (options.json === true) return `${JSON.stringify(looks.map((look) => lookJson(look, how)))}\n`;
  return looks.map((look) => lookText(look, how)).join('');
}

/** One report prints both: that of `netpoll ls link`. */
async function showOurs(name: string | undefined, options: LinkOptions): Promise<string> {
  const how = { ...options, stats: options.stats > 0, machine: options.machine ?? 'collector' };
  return options.on === undefined ? ls('link', name, how) : await lsOn(options.on, 'link', name, how);
}

interface Filter {
  name?: string;
  up?: boolean;
  kind?: string;
  master?: string;
}

function parseFilter(words: readonly string[]): Filter {
  const filter: Filter = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const value = (): string => {
      const next = words[++i];
      if (next === undefined) throw new SetupError('ERR_NETPOLL_OPTIONS', `link show: ${word}: a value is missing`);
      return next;
    };
    if (word === 'up') filter.up = true;
    else if (word === 'type') filter.kind = value();
    else if (word === 'master') filter.master = value();
    else if (word === 'dev') filter.name = value();
    else if (filter.name === undefined) filter.name = word;
    else
      throw new SetupError(
        'ERR_NETPOLL_OPTIONS',
        `link show: "${word}": one device at a time; see netpoll link --help`,
      );
  }
  return filter;
}

function matches({ name, flags, details, master }: LinkLook, wanted: Filter): boolean {
  if (wanted.name !== undefined && name !== wanted.name) return false;
  if (wanted.up === true && !flags.includes('UP')) return false;
  if (wanted.master !== undefined && master !== wanted.master) return false;
  return wanted.kind === undefined || details?.kind?.kind === wanted.kind;
}
