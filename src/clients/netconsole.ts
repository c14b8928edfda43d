/**
 * netconsole: the console that writes to the network.
 *
 *     printk --> Netconsole.write(record) --> for each target: message --> datagrams of at most 1000 bytes --> netpollSendUdp
 *
 * Two consoles, as in the kernel, since a target wants either plain text (basic) or records with their sequence numbers
 * (extended, `+`). Either may be called in any context, after a panic as well; nothing here prints, waits or throws.
 *
 *     netconsole=[+][r]SPEC[;[+][r]SPEC...]     SPEC = [src-port]@[src-ip]/[dev],[tgt-port]@<tgt-ip>/[tgt-mac]
 *     +  extended format        r  with the kernel's release in front (extended only)
 */
import { NET_XMIT_DROP } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import type { Console, LogRecord } from '../machine/printk.ts';
import { Netpoll } from '../netpoll/netpoll.ts';
import { explainOptionError, type NetpollOptions, netpollParseOptions } from '../netpoll/options.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollCleanup, netpollSetup } from '../netpoll/setup.ts';
import { printIp, printMac } from '../wire/address.ts';
import {
  type EmitDatagram,
  forEachBasicDatagram,
  forEachExtendedDatagram,
  formatBasic,
  formatExtended,
  MESSAGE_MAX,
} from '../wire/netconsole_emit.ts';
import { DATAGRAM_MAX } from '../wire/netconsole_record.ts';

/** What one SPEC asks for. */
export interface NetconsoleSpec {
  readonly extended: boolean;
  readonly release: boolean;
  readonly options: NetpollOptions;
}

export type ParsedParam = { ok: true; specs: NetconsoleSpec[] } | { ok: false; reason: string };

/** Reads the value of `netconsole=`. Never throws; the reason shows the place. */
export function parseNetconsoleParam(param: string): ParsedParam {
  const specs: NetconsoleSpec[] = [];
  for (const text of param.split(';')) {
    if (text === '' && specs.length > 0) continue;
    const extended = text.startsWith('+');
    const afterPlus = extended ? text.slice(1) : text;
    const release = afterPlus.startsWith('r');
    if (release && !extended)
      return { ok: false, reason: 'r: the release is prepended in the extended format only (+r)' };
    const spec = release ? afterPlus.slice(1) : afterPlus;
    const parsed = netpollParseOptions(spec);
    if (!parsed.ok) return { ok: false, reason: explainOptionError(spec, parsed.error) };
    specs.push({ extended, release, options: parsed.options });
  }
  return { ok: true, specs };
}

/** One receiver of the log. */
export class NetconsoleTarget {
  readonly np: Netpoll;
  readonly extended: boolean;
  readonly release: Uint8Array | undefined;
  /** Datagrams that were refused at once: device down, or no memory. (`transmit_errors`) */
  transmitErrors = 0;
  readonly send: EmitDatagram;

  constructor(np: Netpoll, spec: NetconsoleSpec, release: string) {
    this.np = np;
    this.extended = spec.extended;
    this.release = spec.release ? new TextEncoder().encode(release) : undefined;
    this.send = (bytes, offset, length) => {
      const status = netpollSendUdp(np, bytes, offset, length);
      if (status < 0 || status === NET_XMIT_DROP) this.transmitErrors++;
    };
  }
}

/** One of the two consoles: all targets of one format. */
class NetconsoleConsole implements Console {
  readonly name: string;
  readonly targets: NetconsoleTarget[];
  readonly #extended: boolean;
  readonly #message = new Uint8Array(MESSAGE_MAX);
  readonly #scratch = new Uint8Array(DATAGRAM_MAX);

  constructor(name: string, extended: boolean, targets: NetconsoleTarget[]) {
    this.name = name;
    this.#extended = extended;
    this.targets = targets;
  }

  write(record: LogRecord): void {
    const length = this.#extended
      ? formatExtended(record, this.#message)
      : formatBasic(record, this.#message, { time: true, priority: false });
    for (const target of this.targets) {
      if (this.#extended) forEachExtendedDatagram(this.#message, length, target, this.#scratch, target.send);
      else forEachBasicDatagram(this.#message, length, target.send);
    }
  }
}

export interface Netconsole {
  readonly targets: readonly NetconsoleTarget[];
  /** Stops logging and releases the devices. */
  close(): void;
}

/**
 * Starts logging to every target whose device can be set up; the others are left out, with the reason in the log. The
 * records that the log still holds are sent first. (`init_netconsole`)
 */
export function createNetconsole(net: Net, specs: readonly NetconsoleSpec[]): Netconsole {
  const { machine } = net;
  const { printk } = machine;
  const targets: NetconsoleTarget[] = [];
  for (const [index, spec] of specs.entries()) {
    const np = new Netpoll('netconsole', spec.options);
    printBanner(spec.options, (line) => printk.info(`netconsole: ${line}`));
    if (netpollSetup(net, np) === 0) targets.push(new NetconsoleTarget(np, spec, machine.release));
    else printk.err(`netconsole: Not enabling netconsole for cmdline${index}. Netpoll setup failed`);
  }
  const consoles: NetconsoleConsole[] = [];
  for (const extended of [false, true]) {
    const of = targets.filter((target) => target.extended === extended);
    if (of.length > 0) consoles.push(new NetconsoleConsole(extended ? 'netcon_ext' : 'netcon', extended, of));
  }
  for (const console of consoles) printk.registerConsole(console, { replay: true });
  printk.info('netconsole: network logging started');
  return {
    targets,
    close() {
      for (const console of consoles) printk.unregisterConsole(console);
      for (const target of targets) netpollCleanup(target.np);
    },
  };
}

/** What netpoll_print_options prints, a line a field. */
function printBanner(options: NetpollOptions, line: (text: string) => void): void {
  const family = options.remoteIp.family === 4 ? 'IPv4' : 'IPv6';
  line(`local port ${options.localPort}`);
  if (options.localIp !== null) line(`local ${family} address ${printIp(options.localIp)}`);
  line(`interface name '${options.devName}'`);
  line(`remote port ${options.remotePort}`);
  line(`remote ${family} address ${printIp(options.remoteIp)}`);
  line(`remote ethernet address ${printMac(options.remoteMac)}`);
}
