/**
 * netpoll dump: shows frames as tcpdump does, from a device of any scheme, from a capture file, or from the simulated fleet.
 *
 *     device --> packet tap (sniffer) --\
 *     capture file ----------------------+--> filter --> cut to -s --> lines, JSON (dump_output.ts), or -w FILE
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { createSniffer } from '../clients/sniffer.ts';
import { devSetPromiscuity } from '../device/change.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { createHostMachine } from '../host/host_machine.ts';
import { PcapPort } from '../host/pcap/pcap_port.ts';
import { parsePcapSpec } from '../host/pcap/pcap_spec.ts';
import { createDemoFleet } from '../lab/demo_fleet.ts';
import { CaptureReader } from '../wire/pcap.ts';
import { compilePcapFilter, FilterError, type PcapFilter } from '../wire/pcap_filter.ts';
import { type DumpFrame, type DumpLook, type DumpOutput, fileOutput, textOutput } from './dump_output.ts';
import { addModerationOptions, type ModerationFlags, parseCoalesce, startModeration } from './moderation_options.ts';
import { die, endWithReader, note, onStop, showNetLog } from './terminal.ts';

const EXAMPLES = `
Devices: eth0 or packet:eth0, udp:ADDRESS:PORT, tap:NAME, qemu:SOCKET, pcap:FILE, sim:fleet (the demo fleet's wires; needs nothing).
Expressions are those of pcap-filter(7): host, net, port, portrange, src, dst, ether, vlan, protocols, and, or, not, len,
proto[offset:size]. Names are not looked up (-n is always on). An xdp: device takes frames away from the kernel: use packet:.

Examples:
  # netpoll dump eth0 udp port 6666                    what netconsole sends
  # netpoll dump eth0 -c 10 -e -w out.pcap             ten frames into a file
  $ netpoll dump -r nc.pcap -v 'icmp[0] = 3 or arp'    a capture, more of each frame
  $ netpoll dump -r nc.pcap --netconsole               with the records that the datagrams carry
  $ netpoll dump sim:fleet -c 20 --json                simulated machines, one JSON object a frame
`;
const SNAP_MAX = 262144;
const CHUNK = 1 << 20;
const STEP_MS = 20;

interface DumpFlags extends ModerationFlags {
  readonly r?: string;
  readonly w?: string;
  readonly c?: string;
  readonly s?: string;
  readonly e?: boolean;
  readonly q?: boolean;
  readonly p?: boolean;
  readonly x?: boolean;
  readonly X?: boolean;
  readonly A?: boolean;
  readonly t: number;
  readonly v: number;
  readonly json?: boolean;
  readonly netconsole?: boolean;
}

export function addDump(program: Command): void {
  const more = (_: unknown, times: number): number => times + 1;
  const command = program
    .command('dump')
    .description('show frames as tcpdump does, over any scheme')
    .argument('[words...]', 'a device (none with -r), then an expression')
    .option('-r <file>', 'read a capture file, pcap or pcapng')
    .option('-w <file>', 'write a capture file instead of lines; - is stdout')
    .option('-c <n>', 'end after so many frames')
    .option('-s <bytes>', 'keep so many bytes of each frame')
    .option('-e', 'show the Ethernet header')
    .option('-n', 'print numbers, not names (always so)')
    .option('-q', 'show less')
    .option('-p', 'no promiscuous mode')
    .option('-x', 'show the bytes in hexadecimal')
    .option('-X', 'show the bytes in hexadecimal and as characters')
    .option('-A', 'show the bytes as characters')
    .option('-t', 'no time; -tt seconds since 1970, -ttt since the last frame, -tttt with the date', more, 0)
    .option('-v', 'show more; -vv still more', more, 0)
    .option('--netconsole', 'show netconsole records in UDP payloads')
    .option('--json', 'print one JSON object a frame')
    .addHelpText('after', EXAMPLES);
  addModerationOptions(command).action((words: string[], flags: DumpFlags) => {
    try {
      dump(words, flags);
    } catch (error) {
      die(error);
    }
  });
}

/** Counts, filters, cuts; `done` is true when -c is reached. */
class Sink {
  captured = 0;
  seen = 0;
  done = false;
  readonly #matches: PcapFilter;
  readonly #output: DumpOutput;
  readonly #limit: number;
  readonly #snapLen: number;

  constructor(matches: PcapFilter, output: DumpOutput, limit: number, snapLen: number) {
    this.#matches = matches;
    this.#output = output;
    this.#limit = limit;
    this.#snapLen = snapLen;
  }

  put(frame: DumpFrame): void {
    if (this.done) return;
    this.seen++;
    if (!this.#matches(frame.view, frame.start, frame.length, frame.wireLength)) return;
    const length = Math.min(frame.length, this.#snapLen);
    this.#output.put(length === frame.length ? frame : { ...frame, length });
    if (++this.captured >= this.#limit) this.done = true;
  }

  close(): void {
    this.#output.close();
  }
}

function dump(words: string[], flags: DumpFlags): void {
  const file = flags.r ?? captureOf(words[0]);
  const device = flags.r === undefined ? words[0] : undefined;
  if (file === undefined && device === undefined) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', 'give a device, or a capture file with -r');
  }
  const matches = compile((flags.r === undefined ? words.slice(1) : words).join(' '));
  const limit = flags.c === undefined ? Number.POSITIVE_INFINITY : whole('-c', flags.c);
  const snapLen = flags.s === undefined || flags.s === '0' ? SNAP_MAX : Math.min(whole('-s', flags.s), SNAP_MAX);
  endWithReader();
  const output = flags.w === undefined ? textOutput(look(flags)) : fileOutput(flags.w, snapLen);
  const sink = new Sink(matches, output, limit, snapLen);
  if (file !== undefined) readFile(file, sink);
  else if (device === 'sim:fleet') watchFleet(sink);
  else watchDevice(device!, sink, flags);
}

/** A capture that is to be read as it is, without a pace: no machine is needed for that. */
function captureOf(device: string | undefined): string | undefined {
  if (device?.startsWith('pcap:') !== true) return undefined;
  const { file, pace, loop, out } = parsePcapSpec(device, device.slice('pcap:'.length));
  return file !== null && pace.by === 'max' && loop === 1 && out === null ? file : undefined;
}

function look(flags: DumpFlags): DumpLook {
  return {
    verbose: flags.v,
    quiet: flags.q ?? false,
    ethernet: flags.e ?? false,
    netconsole: flags.netconsole ?? false,
    time: flags.t,
    show: flags.X ? 'both' : flags.x ? 'hex' : flags.A ? 'characters' : 'nothing',
    json: flags.json ?? false,
  };
}

/** Throws SetupError with the place marked. */
function compile(text: string): PcapFilter {
  try {
    return compilePcapFilter(text);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const mark = `${text}\n${' '.repeat(error.at)}^`;
    throw new SetupError('ERR_NETPOLL_OPTIONS', `filter expression: ${error.message}\n${mark}`);
  }
}

function readFile(path: string, sink: Sink): void {
  const reader = new CaptureReader();
  let fd = 0;
  try {
    fd = path === '-' ? 0 : openSync(path, 'r');
    for (;;) {
      const chunk = new Uint8Array(CHUNK);
      const got = readSync(fd, chunk);
      if (got === 0 || sink.done) break;
      reader.push(chunk.subarray(0, got));
      for (let packet = reader.next(); packet !== null && !sink.done; packet = reader.next()) {
        const { bytes } = packet;
        sink.put({ ...packet, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
      }
    }
  } catch (cause) {
    throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `${path}: ${(cause as Error).message}`, { cause });
  } finally {
    if (fd > 0) closeSync(fd);
    sink.close();
  }
  const problem = sink.done ? null : reader.finish();
  if (problem !== null) throw new SetupError('ERR_NETPOLL_PCAP_OPEN', `${path}: ${problem}`);
}

function watchDevice(spec: string, sink: Sink, flags: DumpFlags): void {
  const host = createHostMachine({ coalesce: parseCoalesce(flags.coalesce) });
  showNetLog(host.machine);
  try {
    const dev = host.openDevice(spec, { timestamps: true });
    const sniffer = createSniffer(host.stack, dev, (frame) => {
      sink.put({ ...frame, start: 0, wireLength: frame.length });
      if (sink.done) setImmediate(stop);
    });
    if (flags.p !== true) devSetPromiscuity(dev, 1);
    note(`listening on ${nicPort(dev).name}; Ctrl-C ends`);
    for (const notice of nicPort(dev).notices ?? []) note(notice);
    const polling = startModeration(host, [dev], flags, note);
    let stopped = false;
    const stop = (): void => {
      if (stopped) return;
      stopped = true;
      polling?.stop();
      const counters = Object.entries(nicPort(dev).counters.toJSON() as Record<string, number>);
      const lost = counters.filter(([name, n]) => /^rx_.*(drop|missed|over)/.test(name) && n > 0);
      sniffer.close();
      host.close();
      sink.close();
      summary(sink);
      for (const [name, n] of lost) note(`${name} ${n}`);
    };
    onStop(stop);
    const port = nicPort(dev);
    if (port instanceof PcapPort) port.onEnd(stop);
  } catch (error) {
    host.close();
    throw error;
  }
}

/** What the fleet's collector sees on its two wires, at the pace of real time. */
function watchFleet(sink: Sink): void {
  const startedMs = performance.now();
  const fleet = createDemoFleet({ seed: 1, epochUs: (performance.timeOrigin + startedMs) * 1000 });
  const sniffer = createSniffer(fleet.collector.stack, null, (frame) =>
    sink.put({ ...frame, start: 0, wireLength: frame.length }),
  );
  const timer = setInterval(() => {
    fleet.world.runUntil((performance.now() - startedMs) * 1e6);
    if (sink.done) stop();
  }, STEP_MS);
  let stopped = false;
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    clearInterval(timer);
    sniffer.close();
    sink.close();
    summary(sink);
  };
  onStop(stop);
}

function summary(sink: Sink): void {
  note(`${sink.captured} frames captured, ${sink.seen} seen`);
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a whole number, from 1`);
  }
  return value;
}
