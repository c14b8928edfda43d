/**
 * netpoll netconsole: run a netconsole, and set its targets up while it runs.
 *
 *     run [netconsole=]         the instance
 *     ls, get, set, mkdir, rmdir, tree, kmsg, param      what one does to it: mostly the operations of its tree of attributes
 */
import { createInterface } from 'node:readline';
import { getSystemErrorMap } from 'node:util';
import type { Command } from 'commander';
import { Errno, SetupError } from '../base/status.ts';
import { printableText } from '../wire/netconsole_text.ts';
import { type ControlClient, connectControl, defaultControlPath } from './netconsole_control.ts';
import { type RunOptions, runNetconsole } from './netconsole_run.ts';
import { addSysrqOptions } from './sysrq_accept.ts';
import { die, note } from './terminal.ts';

const RUN_EXAMPLES = `
TARGETS is the value of the kernel's netconsole= parameter:
  [+][r][src-port]@[src-ip]/[dev],[tgt-port]@<tgt-ip>/[tgt-mac][;...]     + extended format, r with the release in front
dev is an interface (root) or a scheme: packet:eth0, xdp:eth0, udp:0.0.0.0:0.
Lines of stdin: "text", "<6>text" (as to /dev/kmsg), "<6>[   12.345678] text" (as of dmesg --raw).

Examples:
  $ dmesg --follow --raw | netpoll netconsole run '+6665@10.0.0.1/eth0,6666@10.0.0.2/02:00:00:00:00:02'
  $ netpoll netconsole run '+@/eth0,@10.0.0.2/' --sysrq-key-file keys     and takes commands of netpoll sysrq
  $ netpoll netconsole run --stay &                        no target yet
  $ netpoll netconsole mkdir t1
  $ netpoll netconsole set t1/dev_name eth0
  $ netpoll netconsole set t1/remote_ip 10.0.0.2
  $ netpoll netconsole set t1/remote_mac 02:00:00:00:00:02
  $ netpoll netconsole set t1/extended 1
  $ netpoll netconsole set t1/enabled 1
  $ netpoll netconsole kmsg '<5>hello'
`;

const CLIENT_EXAMPLES = `
Paths are those of configfs, /sys/kernel/config/netconsole/ in front or not:
  TARGET/{enabled,extended,release,dev_name,local_port,remote_port,local_ip,remote_ip,local_mac,remote_mac,transmit_errors}
  TARGET/userdata/{cpu_nr_enabled,taskname_enabled,release_enabled,msgid_enabled}    TARGET/userdata/KEY/value
A refusal is the kernel's: its errno, its line in the log (on stderr), exit code 1.

Examples:
  $ netpoll netconsole tree
  $ netpoll netconsole set t1/userdata/cpu_nr_enabled 1
  $ netpoll netconsole mkdir t1/userdata/role && netpoll netconsole set t1/userdata/role/value web
  $ netpoll netconsole get t1/transmit_errors --json
  $ netpoll netconsole param loglevel 8                     send debug messages, too
`;

interface ClientOptions {
  readonly control?: string;
  readonly json?: boolean;
}

export function addNetconsole(program: Command): void {
  const group = program.command('netconsole').description('a netconsole of this host, and its targets while it runs');
  addSysrqOptions(group.command('run'))
    .description('send the lines of stdin as records of a log to netconsole targets')
    .argument('[targets]', 'the value of netconsole=; targets can be made later')
    .option('--control <path>', 'socket for the other commands', defaultControlPath())
    .option('--no-control', 'no socket')
    .option('--stay', 'stay after the end of stdin; Ctrl-C ends')
    .option('--oops-only', 'send only what is printed while the machine oopses')
    .option('--loglevel <n>', 'send records whose level is below this, 1 to 8 (dmesg -n)', '7')
    .option('--syslog', 'plain format with <priority> in front of each line (console_msg_format=syslog)')
    .option('-v, --verbose', 'show the log on stderr, too')
    .option('--json', 'print counters as JSON at the end')
    .addHelpText('after', RUN_EXAMPLES)
    .action((targets: string | undefined, options: RunOptions) => {
      runNetconsole(targets, options).catch(die);
    });

  const client = (
    name: string,
    description: string,
    args: readonly (readonly [string, string])[],
    act: (ask: ControlClient['ask'], args: string[], options: ClientOptions) => Promise<void>,
  ): void => {
    const command = group.command(name).description(description);
    for (const [argument, what] of args) command.argument(argument, what);
    command
      .option('--control <path>', 'socket of the instance', defaultControlPath())
      .option('--json', 'print the answer as JSON')
      .addHelpText('after', CLIENT_EXAMPLES)
      .action((...all: unknown[]) => {
        const given = all
          .slice(0, args.length)
          .flat()
          .filter((each) => each !== undefined) as string[];
        withInstance(all[args.length] as ClientOptions, given, act).catch(die);
      });
  };
  client('ls', 'list a folder', [['[path]', 'default: the targets']], async (ask, [path = ''], { json }) => {
    const names = await expectResult(ask, 'list', path);
    print(json, names, () => (names as string[]).join('\n'));
  });
  client('get', 'show an attribute', [['<path>', 'such as t1/enabled']], async (ask, [path = ''], { json }) => {
    const value = String(await expectResult(ask, 'read', path)).replace(/\n$/, '');
    print(json, { path, value }, () => printableText(value, true));
  });
  client(
    'set',
    'write an attribute',
    [
      ['<path>', 'such as t1/enabled'],
      ['<value>', 'such as 1'],
    ],
    async (ask, [path = '', value = ''], { json }) => {
      const written = await expectResult(ask, 'write', path, value);
      print(json, { path, written }, () => '');
    },
  );
  for (const [op, what] of [
    ['mkdir', 'make a target (t1) or a key (t1/userdata/KEY)'],
    ['rmdir', 'take a target or a key away'],
  ] as const) {
    client(op, what, [['<path>', 'such as t1']], async (ask, [path = ''], { json }) => {
      await expectResult(ask, op, path);
      print(json, { path }, () => '');
    });
  }
  client(
    'tree',
    'show every attribute of every target',
    [['[path]', 'of this folder only']],
    async (ask, [path = ''], { json }) => {
      const values: Record<string, string> = {};
      await walk(ask, path.replace(/\/+$/, ''), values);
      print(json, values, () =>
        Object.entries(values)
          .map(([at, value]) => `${at} ${printableText(value)}`)
          .join('\n'),
      );
    },
  );
  client(
    'param',
    'show or change a setting of the instance',
    [
      ['<name>', 'loglevel (1 to 8) or oops_only'],
      ['[value]', 'the new value'],
    ],
    async (ask, [name = '', value = ''], { json }) => {
      const now = await expectResult(ask, 'param', name, value);
      print(json, { [name]: now }, () => String(now));
    },
  );
  client(
    'kmsg',
    'put a record into the log',
    [['[text...]', 'words, or each line of stdin']],
    async (ask, words, { json }) => {
      let lines = 0;
      const put = async (line: string): Promise<void> => {
        await ask('kmsg', '', line);
        lines++;
      };
      if (words.length > 0) await put(words.join(' '));
      else for await (const line of createInterface({ input: process.stdin })) await put(line);
      print(json, { lines }, () => '');
    },
  );
}

async function withInstance(
  options: ClientOptions,
  args: string[],
  act: (ask: ControlClient['ask'], args: string[], options: ClientOptions) => Promise<void>,
): Promise<void> {
  const instance = await connectControl(options.control ?? defaultControlPath());
  try {
    await act(instance.ask, args, options);
  } finally {
    instance.close();
  }
}

/** The result; an errno ends the command, after the log's lines. */
async function expectResult(
  ask: ControlClient['ask'],
  op: Parameters<ControlClient['ask']>[0],
  path: string,
  value = '',
): Promise<unknown> {
  const { answer, log } = await ask(op, path, value);
  for (const line of log) note(printableText(line));
  if (typeof answer === 'number' && answer < 0) {
    throw new SetupError('ERR_NETPOLL_ERRNO', `${COMMAND_OF[op] ?? op} ${path}: ${errnoText(answer)}`);
  }
  return answer;
}

async function walk(ask: ControlClient['ask'], path: string, values: Record<string, string>): Promise<void> {
  const names = (await expectResult(ask, 'list', path)) as string[];
  for (const name of names) {
    const at = path === '' ? name : `${path}/${name}`;
    if (at.endsWith('/')) await walk(ask, at.slice(0, -1), values);
    else values[at] = String(await expectResult(ask, 'read', at)).replace(/\n$/, '');
  }
}

/** What the operations are called on the command line, where that is another word. */
const COMMAND_OF: Readonly<Record<string, string>> = { list: 'ls', read: 'get', write: 'set' };

/** `EINVAL, invalid argument`. */
function errnoText(negative: number): string {
  const known = getSystemErrorMap().get(negative);
  if (known !== undefined) return `${known[0]}, ${known[1]}`;
  return Object.entries(Errno).find(([, value]) => value === -negative)?.[0] ?? `error ${-negative}`;
}

function print(json: boolean | undefined, value: unknown, text: () => string): void {
  const line = json === true ? JSON.stringify(value) : text();
  if (line !== '') process.stdout.write(`${line}\n`);
}
