/**
 * netpoll pong: the test module of seed 003. Answers each datagram with PONG.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { createPong } from '../clients/pong.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { printIp } from '../wire/address.ts';
import { printableText } from '../wire/netconsole_text.ts';
import { lastComplaint, openForOptions } from './netpoll_client.ts';
import { die, endWithReader, note, onStop } from './terminal.ts';

const EXAMPLES = `
Answers whoever asks, from any address, unless --only-target is given.

Examples:
  $ netpoll pong '7@10.0.0.1/eth0,7@10.0.0.2/'              on eth0 (root), answers on port 7
  $ netpoll pong '7777@127.0.0.1/udp:127.0.0.1:7777,1@127.0.0.1/'
  $ echo ping | nc -u -w1 127.0.0.1 7777
`;

interface PongCommandOptions {
  readonly count?: string;
  readonly onlyTarget?: boolean;
  readonly json?: boolean;
}

export function addPong(program: Command): void {
  program
    .command('pong')
    .description('answer each datagram with PONG, from netpoll’s receive hook')
    .argument('<options>', 'option string: where to listen; its target is used with --only-target')
    .option('--count <n>', 'end after so many answers')
    .option('--only-target', 'answer the target address alone')
    .option('--json', 'print one JSON object a datagram')
    .addHelpText('after', EXAMPLES)
    .action((text: string, options: PongCommandOptions) => {
      try {
        pong(text, options);
      } catch (error) {
        die(error);
      }
    });
}

function pong(text: string, options: PongCommandOptions): void {
  const count = options.count === undefined ? Number.POSITIVE_INFINITY : Number(options.count);
  if (!(count >= 1)) throw new SetupError('ERR_NETPOLL_OPTIONS', `--count ${options.count}: give a number from 1`);
  endWithReader();
  const client = openForOptions(text);
  const { host } = client;
  const decoder = new TextDecoder();
  const made = createPong(host.net, client.options, {
    anyRemote: !(options.onlyTarget ?? false),
    onPing(datagram) {
      const payload = decoder.decode(datagram.bytes.slice(datagram.offset, datagram.offset + datagram.len));
      const from = `${printIp(datagram.remoteIp)} port ${datagram.remotePort}`;
      const answered = made === undefined || typeof made === 'number' ? 0 : made.answered;
      if (answered >= count) return;
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ from: printIp(datagram.remoteIp), port: datagram.remotePort, length: datagram.len, text: payload })}\n`
          : `${datagram.len} bytes from ${from}: ${printableText(payload.trimEnd())}\n`,
      );
      if (answered + 1 === count) setImmediate(stop);
    },
  });
  if (typeof made === 'number') throw new SetupError('ERR_NETPOLL_SETUP', lastComplaint(host));
  const dev = made.np.dev;
  note(`answering on ${dev?.name}, UDP port ${client.options.localPort}; Ctrl-C ends`);
  const stop = (): void => {
    const counters = dev === null ? null : npinfoOf(dev)?.counters.toJSON();
    const waits = dev === null ? 0 : (npinfoOf(dev)?.txq.length ?? 0);
    if (waits > 0) {
      setTimeout(stop, 10);
      return;
    }
    note(
      `answered ${made.answered}${counters === undefined ? '' : ` (sent ${(counters?.sent ?? 0) + (counters?.deferred_sent ?? 0)})`}`,
    );
    made.close();
    host.close();
  };
  onStop(stop);
}
