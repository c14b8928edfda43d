/**
 * netpoll netconsole run: a netconsole of this process. What comes in on stdin, or through `netpoll netconsole kmsg`, goes to
 * its targets; targets are made and changed while it runs, through the control socket.
 */
import { createInterface } from 'node:readline';
import { Errno, SetupError } from '../base/status.ts';
import { kstrtobool } from '../clients/netconsole/attributes.ts';
import type { Netconsole } from '../clients/netconsole/netconsole.ts';
import type { Printk } from '../machine/printk.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { decodeText, printableText } from '../wire/netconsole_text.ts';
import { type ControlAnswer, type ControlRequest, defaultControlPath, serveControl } from './netconsole_control.ts';
import { drained, startNetconsole } from './netconsole_host.ts';
import { printLine } from './netconsole_lines.ts';
import { lastComplaint } from './netpoll_client.ts';
import { acceptSysrq, type SysrqFlags } from './sysrq_accept.ts';
import { note, onStop } from './terminal.ts';

export interface RunOptions extends SysrqFlags {
  readonly control?: string | false;
  readonly stay?: boolean;
  readonly oopsOnly?: boolean;
  readonly loglevel?: string;
  readonly syslog?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** How long frames that wait may keep the command from ending. */
const DRAIN_MS = 1000;

export async function runNetconsole(param: string | undefined, options: RunOptions): Promise<void> {
  const { host, netconsole, links, openDevice } = startNetconsole(param ?? null, {
    oopsOnly: options.oopsOnly ?? false,
  });
  const { printk } = host.machine;
  if (param !== undefined && !netconsole.targets.some((target) => target.enabled)) {
    throw new SetupError('ERR_NETPOLL_SETUP', lastComplaint(host));
  }
  printk.consoleLoglevel = loglevel(options.loglevel);
  printk.syslogFormat = options.syslog ?? false;
  if (options.verbose === true) {
    const write = ({ level, text }: { level: number; text: Uint8Array }): void =>
      note(`<${level}>${printableText(decodeText(text))}`);
    printk.registerConsole({ name: 'tty', write }, { replay: true });
  }

  const control = options.control === false ? null : (options.control ?? defaultControlPath());
  let lines = 0;
  const handle = (request: ControlRequest): ControlAnswer => {
    if (request.op === 'kmsg') lines++;
    return answer(netconsole, printk, request);
  };
  const server = control === null ? null : await serveControl(control, handle);
  if (control !== null) note(`control     ${control}`);
  for (const target of netconsole.targets.toReversed()) {
    note(`target      ${target.name}, ${target.enabled ? 'enabled' : 'not enabled'}`);
  }

  const enabled = netconsole.targets.filter((target) => target.enabled);
  const acceptance = acceptSysrq(
    host,
    enabled.map(({ np }) => np),
    options,
  );
  links.start(netconsole, openDevice);
  const input = createInterface({ input: process.stdin });
  const ended = new Promise<void>((resolve) => {
    onStop(resolve);
    input.on('line', (line) => {
      printLine(printk, line);
      lines++;
    });
    input.on('close', () => {
      if (options.stay !== true) resolve();
    });
  });
  // Neither sockets nor the clock of this machine keep the process alive by themselves.
  const alive = setInterval(() => {}, 60_000);
  await ended;
  clearInterval(alive);
  input.close();
  server?.close();
  acceptance?.close();
  links.stop();
  const waiting = await drained(host, DRAIN_MS);
  const targets = netconsole.targets.toReversed().map((target) => ({
    name: target.name,
    enabled: target.enabled,
    transmit_errors: target.transmitErrors,
    skipped_down: target.skippedDown,
    ...(target.np.dev === null ? {} : npinfoOf(target.np.dev)?.counters.toJSON()),
  }));
  host.close();
  process.stdin.unref?.();
  if (options.json === true) process.stdout.write(`${JSON.stringify({ lines, waiting, targets })}\n`);
  else note(`${lines} lines; ended`);
  const lost = targets.some((target) => target.transmit_errors > 0);
  process.exitCode = lost || waiting > 0 ? 1 : 0;
  process.stdin.destroy();
}

/** Does what is asked; the log's new lines come along. */
function answer(netconsole: Netconsole, printk: Printk, { op, path, value }: ControlRequest): ControlAnswer {
  const { configfs } = netconsole;
  const from = printk.nextSeq;
  let result: ControlAnswer['answer'] = 0;
  if (op === 'kmsg') printLine(printk, value);
  else if (op === 'param') result = parameter(netconsole, printk, path, value);
  else if (op === 'write') result = configfs.write(path, value);
  else result = configfs[op](path);
  const log: string[] = [];
  for (let seq = from; op !== 'kmsg' && seq < printk.nextSeq; seq++) {
    const record = printk.record(seq);
    if (record !== undefined) log.push(`<${record.level}>${decodeText(record.text)}`);
  }
  return { answer: result, log };
}

/** Shows a setting of the whole instance, or changes it where `value` is not empty. */
function parameter(netconsole: Netconsole, printk: Printk, name: string, value: string): string | number {
  if (name === 'oops_only') {
    const on = value === '' ? netconsole.oopsOnly : kstrtobool(value);
    if (on === null) return -Errno.EINVAL;
    netconsole.oopsOnly = on;
    return on ? 'Y' : 'N';
  }
  if (name !== 'loglevel') return -Errno.ENOENT;
  const level = value === '' ? printk.consoleLoglevel : Number(value);
  if (!Number.isInteger(level) || level < printk.minimumConsoleLoglevel || level > 8) return -Errno.EINVAL;
  printk.consoleLoglevel = level;
  return String(level);
}

function loglevel(text: string | undefined): number {
  const level = text === undefined ? 7 : Number(text);
  if (!Number.isInteger(level) || level < 1 || level > 8) {
    throw new SetupError(
      'ERR_NETPOLL_OPTIONS',
      `--loglevel ${text}: give a number from 1 (emergencies only) to 8 (all)`,
    );
  }
  return level;
}
