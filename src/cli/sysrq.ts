/**
 * netpoll sysrq: SysRq keys for a machine that logs over netconsole, authenticated, with an answer for each.
 *
 *  1. The host's key comes from the key file; a question tells where its counter stands.
 *  2. Each key is a command, sent again until its result comes; the machine obeys it once.
 *  3. The first key that is not accepted ends it: what was to follow may depend on it.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { SysrqSender } from '../clients/sysrq/sender.ts';
import { hmacSha256, randomFill } from '../host/sysrq_mac.ts';
import { isSysrqKey } from '../machine/sysrq.ts';
import { SysrqStatus } from '../wire/sysrq_command.ts';
import { readSysrqKeys, sysrqKeyOf } from './sysrq_keys.ts';
import { printKeyTable } from './sysrq_list.ts';
import { die, EXIT_FAILED, endWithReader, note } from './terminal.ts';

const EXAMPLES = `
HOST is a name or an address, with :PORT if it is not 6665. What the keys print comes out where the machine logs to: see it with
netpoll collect. --list shows the keys.

Examples:
  $ netpoll sysrq --new-key                          a key for the key file
  $ netpoll sysrq web-1 t --key-file ~/sysrq.keys    show task states
  $ netpoll sysrq 10.0.0.11 s u b -k ~/sysrq.keys    sync, remount read-only, reset: each after the one before was accepted
  $ netpoll sysrq 10.0.0.11 h --insecure             a plain character, to a machine that was told to take those

A machine takes commands when it was started with --sysrq-key-file (netpoll send, netconsole, start). Key file: a line for each host,
HOST KEY [ADDRESS], readable by its owner only.
`;

/** How long to wait for an answer before the same is said again, in milliseconds. */
const WAITS_MS = [100, 200, 400, 800, 1600, 3200];
const DEFAULT_PORT = 6665;

interface SysrqCommandOptions {
  readonly keyFile?: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
  readonly list?: boolean;
  readonly newKey?: boolean;
}

export function addSysrq(program: Command): void {
  program
    .command('sysrq')
    .description('give SysRq commands to a machine over netconsole, authenticated')
    .argument('[host]', 'HOST or HOST:PORT')
    .argument('[keys...]', 'SysRq keys, in this order')
    .option('-k, --key-file <file>', 'file with the keys of the hosts')
    .option('--insecure', 'send plain characters that nobody can authenticate; no answer comes')
    .option('--json', 'print one JSON object a key')
    .option('--list', 'show the SysRq keys and the masks that allow them')
    .option('--new-key', 'print a new random key')
    .addHelpText('after', EXAMPLES)
    .action((host: string | undefined, keys: string[], options: SysrqCommandOptions) => {
      sysrq(host, keys, options).catch(die);
    });
}

async function sysrq(host: string | undefined, words: readonly string[], options: SysrqCommandOptions): Promise<void> {
  endWithReader();
  if (options.list === true) return printKeyTable(options.json ?? false);
  if (options.newKey === true) {
    const key = new Uint8Array(32);
    randomFill(key);
    process.stdout.write(`${Buffer.from(key).toString('hex')}\n`);
    return;
  }
  if (host === undefined) throw usage('which host? netpoll sysrq HOST KEY...');
  const keys = [...words.join('')];
  const bad = keys.find((key) => !isSysrqKey(key));
  if (keys.length === 0 || bad !== undefined) {
    throw usage(
      `${bad === undefined ? 'which key?' : `${JSON.stringify(bad)} is not a key:`} letters and digits; --list shows them`,
    );
  }
  const to = parseHost(host);
  if (options.insecure === true) return sendPlain(to, keys, options);
  if (options.keyFile === undefined) throw usage('--key-file is missing (or --insecure)');
  const entry = sysrqKeyOf(readSysrqKeys(options.keyFile), to.host, options.keyFile);
  const sender = new SysrqSender({
    mac: hmacSha256(entry.key),
    random: randomFill,
    ...(entry.hostId === null ? {} : { hostId: entry.hostId }),
  });
  const line = await openLine(
    entry.address === null ? to : { ...parseHost(entry.address), ...givenPort(host) },
    sender,
  );
  try {
    await talk(line, sender, keys, options.json ?? false);
  } finally {
    line.socket.close();
  }
}

async function talk(line: Line, sender: SysrqSender, keys: readonly string[], json: boolean): Promise<void> {
  if (!(await line.ask(sender.question()))) {
    throw new SetupError(
      'ERR_NETPOLL_SYSRQ_SILENT',
      `no answer from ${line.name}: it is off, does not take commands (--sysrq-key-file), or has another key`,
    );
  }
  for (const key of keys) {
    const answered = await line.ask(sender.command(key));
    const { result } = sender;
    const known = answered && result !== null;
    const status = known ? (STATUS[result.status] ?? 'refused') : 'unknown';
    const host = sender.machine?.hostId ?? line.name;
    if (json) process.stdout.write(`${JSON.stringify({ host, key, status, command: result?.command ?? null })}\n`);
    else process.stdout.write(`${host}  ${key}  ${status === 'accepted' ? pc.green(status) : pc.red(status)}\n`);
    if (status === 'accepted') continue;
    if (!known) note(`no result for ${key}: it may have been obeyed. The log of the machine says (netpoll collect)`);
    process.exitCode = EXIT_FAILED;
    return;
  }
}

const STATUS: Readonly<Record<number, string>> = {
  [SysrqStatus.ACCEPTED]: 'accepted',
  [SysrqStatus.DISABLED]: 'disabled by the mask',
  [SysrqStatus.LIMITED]: 'too many at once',
};

interface Place {
  readonly host: string;
  readonly port: number;
}

interface Line {
  readonly name: string;
  readonly socket: Socket;
  /** Says `bytes` until the sender has heard what answers them; false: it never did. */
  ask(bytes: Uint8Array): Promise<boolean>;
}

function openLine(to: Place, sender: SysrqSender): Promise<Line> {
  return connect(to).then((socket) => {
    let heard: () => void = () => {};
    socket.on('message', (bytes) => {
      if (sender.hear(bytes) !== null) heard();
    });
    // Nobody listens there: said by ICMP, at once; the time-out says it, too.
    socket.on('error', () => {});
    const ask = async (bytes: Uint8Array): Promise<boolean> => {
      const copy = Uint8Array.from(bytes);
      for (const waitMs of WAITS_MS) {
        socket.send(copy, () => {});
        const answered = await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => resolve(false), waitMs);
          heard = () => {
            clearTimeout(timer);
            resolve(true);
          };
        });
        heard = () => {};
        if (answered) return true;
      }
      return false;
    };
    return { name: `${to.host} port ${to.port}`, socket, ask };
  });
}

async function sendPlain(to: Place, keys: readonly string[], { json }: SysrqCommandOptions): Promise<void> {
  note(pc.yellow('insecure: nobody can tell who sent these characters, and anybody could send them'));
  const socket = await connect(to);
  await new Promise<void>((resolve, reject) => {
    socket.send(keys.join(''), (error) => (error === null ? resolve() : reject(error)));
  });
  socket.close();
  if (json === true) process.stdout.write(`${JSON.stringify({ host: to.host, keys, status: 'sent' })}\n`);
  else process.stdout.write(`${to.host}  ${keys.join(' ')}  sent, no answer is possible\n`);
}

function connect({ host, port }: Place): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => {
      reject(new SetupError('ERR_NETPOLL_SYSRQ_HOST', `${host}: ${error.message}`));
    };
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.once('error', refuse);
    socket.connect(port, host, () => {
      socket.off('error', refuse);
      resolve(socket);
    });
  });
}

/** HOST, HOST:PORT, [IPV6]:PORT or IPV6. */
export function parseHost(text: string): Place {
  const match =
    /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([^:]+)(?::(\d+))?$/.exec(text) ?? /^([0-9a-fA-F:.%\w]+)$/.exec(text);
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  if (match === null || port < 1 || port > 65535) throw usage(`${text}: give HOST or HOST:PORT`);
  return { host: match[1]!, port };
}

/** The port that was typed goes before the one in the key file. */
function givenPort(text: string): { port?: number } {
  return /[^:]:\d+$/.test(text) && (text.startsWith('[') || text.split(':').length === 2)
    ? { port: parseHost(text).port }
    : {};
}

function usage(what: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', what);
}
