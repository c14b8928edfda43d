/**
 * netpoll send: lines to a netpoll target, each one datagram, without the kernel's stack.
 */
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { createNetconsole } from '../clients/netconsole/netconsole.ts';
import { Netpoll } from '../netpoll/netpoll.ts';
import { type NetpollInfo, npinfoOf } from '../netpoll/npinfo.ts';
import { MAX_UDP_CHUNK } from '../netpoll/reserve.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { drained as allSent, startNetconsole } from './netconsole_host.ts';
import { printLine } from './netconsole_lines.ts';
import { lastComplaint, openForOptions } from './netpoll_client.ts';
import { acceptSysrq, addSysrqOptions, type SysrqFlags } from './sysrq_accept.ts';
import { fullOptions } from './target_options.ts';
import { die, note } from './terminal.ts';

const EXAMPLES = `
The option string is netconsole's: [src-port]@[src-ip]/[dev],[tgt-port]@<tgt-ip>/[tgt-mac]
dev is an interface (packet:, root), its hardware address, or a scheme: packet:eth0, xdp:eth0, udp:0.0.0.0:0. Of an address
alone (10.0.0.2, 10.0.0.2:6666, [fd00::2]:6666) the string is made from this host's routes and neighbours.
With + in front each line is a record in netconsole's extended format, with +r the release too; a line may have its priority,
"<6>text" (as to /dev/kmsg), and is of any length. Without, it is sent as it is.

Examples:
  $ netpoll send '6665@10.0.0.1/eth0,6666@10.0.0.2/02:00:00:00:00:02' hello world
  $ netpoll send 10.0.0.2 hello world                 finds interface, source address and next hop by itself
  $ netpoll send '@127.0.0.1/udp:127.0.0.1:0,6666@127.0.0.1/' 'no privileges needed'
  $ dmesg | netpoll send '@/eth0,6666@10.0.0.2/'      each line of stdin a datagram
  $ netpoll send '+r@/eth0,6666@10.0.0.2/' '<3>disk on fire'
  $ tail -f app.log | netpoll send '@/eth0,6666@10.0.0.2/' --sysrq-key-file keys     and takes commands meanwhile
`;

/** How long frames that wait may keep the command from ending. */
const DRAIN_NS = 1e9;

interface SendOptions extends SysrqFlags {
  readonly json?: boolean;
}

export function addSend(program: Command): void {
  const command = program.command('send');
  addSysrqOptions(command)
    .description('send TEXT (or each line of stdin) through netpoll')
    .argument('<options>', 'option string of the target, or its address alone')
    .argument('[text...]', 'the message; words are joined by a blank')
    .option('--json', 'print the counters as JSON')
    .addHelpText('after', EXAMPLES)
    .action((text: string, words: string[], options: SendOptions) => {
      fullOptions(text)
        .then((whole) => send(whole, words, options))
        .catch(die);
    });
}

async function send(text: string, words: string[], flags: SendOptions): Promise<void> {
  if (text.startsWith('+')) return await sendRecords(text, words, flags);
  const { host, options } = openForOptions(text);
  const np = new Netpoll('send', options);
  if (netpollSetup(host.net, np) < 0) throw new SetupError('ERR_NETPOLL_SETUP', lastComplaint(host));
  const listener = acceptSysrq(host, [options], flags);
  if (listener !== null) createNetconsole(host.net, [{ extended: false, release: false, options }]);
  const info = np.dev === null ? null : npinfoOf(np.dev);
  const encoder = new TextEncoder();
  let tooLong = 0;
  const sendLine = (line: string): void => {
    const bytes = encoder.encode(`${line}\n`);
    if (bytes.length > MAX_UDP_CHUNK) tooLong++;
    else netpollSendUdp(np, bytes);
  };
  if (words.length > 0) sendLine(words.join(' '));
  else for await (const line of createInterface({ input: process.stdin })) sendLine(line);

  await drained(info, host.executive.now() + DRAIN_NS, () => host.executive.now());
  const counters = info?.counters.toJSON() ?? {};
  const waiting = info?.txq.length ?? 0;
  listener?.close();
  host.close();
  if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...counters, waiting, too_long: tooLong })}\n`);
  const lost = tooLong + waiting + (info?.counters.get('dropped') ?? 0) + (info?.counters.get('no_memory') ?? 0);
  if (tooLong > 0) note(`${tooLong} lines were longer than ${MAX_UDP_CHUNK - 1} bytes and were not sent`);
  if (lost > tooLong) note(`${lost - tooLong} datagrams could not be sent`);
  process.exitCode = lost > 0 ? 1 : 0;
}

/** The same in the extended format: a netconsole with one target, and a log of these lines. */
async function sendRecords(text: string, words: string[], flags: SendOptions): Promise<void> {
  const { host, netconsole } = startNetconsole(text, { quiet: true });
  const target = netconsole.targets[0];
  if (target?.enabled !== true) throw new SetupError('ERR_NETPOLL_SETUP', lastComplaint(host));
  const { printk } = host.machine;
  printk.consoleLoglevel = 8;
  const listener = acceptSysrq(host, [target.np], flags);
  if (words.length > 0) printLine(printk, words.join(' '));
  else for await (const line of createInterface({ input: process.stdin })) printLine(printk, line);
  const waiting = await allSent(host, DRAIN_NS / 1e6);
  const counters = target.np.dev === null ? {} : npinfoOf(target.np.dev)?.counters.toJSON();
  listener?.close();
  host.close();
  if (flags.json === true)
    process.stdout.write(`${JSON.stringify({ ...counters, waiting, transmit_errors: target.transmitErrors })}\n`);
  const lost = waiting + target.transmitErrors;
  if (lost > 0) note(`${lost} datagrams could not be sent`);
  process.exitCode = lost > 0 ? 1 : 0;
}

/** Until nothing waits on the deferred queue, or the time is up. */
async function drained(info: NetpollInfo | null, untilNs: number, now: () => number): Promise<void> {
  while (info !== null && info.txq.length > 0 && now() < untilNs)
    await new Promise((resolve) => setTimeout(resolve, 10));
}
