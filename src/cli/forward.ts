/**
 * netpoll forward: joins two devices, of whatever schemes, like a cable.
 */
import type { Command } from 'commander';
import { Errno, SetupError } from '../base/status.ts';
import { createL2Forward, type ForwardWay, type L2Forward } from '../clients/l2_forward.ts';
import type { NetDevice } from '../device/net_device.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { createHostMachine, type HostMachine } from '../host/host_machine.ts';
import { PcapPort } from '../host/pcap/pcap_port.ts';
import { addModerationOptions, type ModerationFlags, parseCoalesce, startModeration } from './moderation_options.ts';
import { die, endWithReader, note, onStop, showNetLog } from './terminal.ts';

const EXAMPLES = `
What A receives B sends, and the other way round, until Ctrl-C. Devices: eth0 or packet:eth0, xdp:eth0, tap:NAME,
udp:ADDRESS:PORT, qemu:SOCKET (a guest's NIC), pcap:FILE[,pace=1] (a capture, whose end is the end), pcap:,out=FILE.
tap:NAME[,queues=N][,mtu=N][,persist][,offload=off] is made if it is not there, and goes when we end. Super-frames pass
whole between two taps. On an interface that the kernel uses too, the kernel answers beside us: give it no addresses.

Examples:
  # netpoll forward tap:left tap:right                 ip link set left netns ... : two namespaces on one cable
  # netpoll forward eth0 tap:vm0                       a guest of QEMU (-netdev tap,ifname=...) on the wire of eth0
  $ netpoll forward qemu:/tmp/a.sock qemu:/tmp/b.sock   two guests on one cable, no privileges
  # netpoll forward pcap:in.pcap,pace=10x tap:replay    a capture ten times as fast, as tcpreplay --multiplier=10
  # netpoll forward tap:q0 pcap:,out=q0.pcap            what comes out of q0 into a file
  # netpoll forward eth0 eth1 --interval 1             frames and bits a second, each second
  # netpoll forward tap:a tap:b --for 10 --json        one JSON object, at the end
  # netpoll forward xdp:eth0,busy-poll xdp:eth1,busy-poll   polls both cards itself, without their interrupts
`;

/** What waits in the other device's queue has so long to leave. */
/** Both ports' rings of 2048, and as many frames on their way. */
const SLOTS = 8192;
const LAST_FRAMES_MS = 100;

interface ForwardFlags extends ModerationFlags {
  readonly interval?: string;
  readonly for?: string;
  readonly json?: boolean;
}

/** Figures of one direction, since the beginning or the last report. */
interface WayReport {
  readonly from: string;
  readonly to: string;
  readonly [counter: string]: string | number;
}

export function addForward(program: Command): void {
  const command = program
    .command('forward')
    .description('join two devices: what one receives the other sends')
    .argument('<a>', 'a device: eth0, packet:eth0, xdp:eth0, tap:NAME, udp:ADDRESS:PORT')
    .argument('<b>', 'the other one')
    .option('--interval <seconds>', 'report every so often')
    .option('--for <seconds>', 'end after so long')
    .option('--json', 'print one JSON object a report')
    .addHelpText('after', EXAMPLES);
  addModerationOptions(command).action((a: string, b: string, flags: ForwardFlags) => {
    try {
      forward(a, b, flags);
    } catch (error) {
      die(error);
    }
  });
}

function forward(a: string, b: string, flags: ForwardFlags): void {
  const intervalMs = milliseconds('--interval', flags.interval);
  const limitMs = milliseconds('--for', flags.for);
  endWithReader();
  const host = createHostMachine({ slots: SLOTS, coalesce: parseCoalesce(flags.coalesce) });
  showNetLog(host.machine);
  const joined = joinDevices(host, a, b);
  const polling = startModeration(host, [joined.ways[0].from, joined.ways[1].from], flags, note);
  const [first, second] = joined.ways;
  note(`forwarding between ${nameOf(first.from)} and ${nameOf(second.from)}; Ctrl-C ends`);
  for (const { from } of joined.ways) for (const notice of nicPort(from).notices ?? []) note(notice);
  const startedMs = performance.now();
  const seen: Record<string, number>[] = [{}, {}];
  let lastMs = startedMs;
  const report = (): void => {
    const now = performance.now();
    const seconds = (now - lastMs) / 1000;
    lastMs = now;
    const reports = joined.ways.map((way, i) => since(way, seen[i]!));
    print(flags.json ?? false, 'report', seconds, reports);
  };
  const timers = [
    ...(intervalMs === null ? [] : [setInterval(report, intervalMs)]),
    ...(limitMs === null ? [] : [setTimeout(() => stop(), limitMs)]),
  ];
  let stopped = false;
  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    polling?.stop();
    for (const timer of timers) clearTimeout(timer);
    const reports = joined.ways.map((way) => since(way, {}));
    joined.close();
    host.close();
    print(flags.json ?? false, 'total', (performance.now() - startedMs) / 1000, reports);
  };
  onStop(stop);
  stopAfterCaptures(joined, stop);
}

/** Where frames come out of captures that nothing is written to beside, their end is ours, when what they gave has left. */
function stopAfterCaptures({ ways }: L2Forward, stop: () => void): void {
  const captures = ways.map(({ from }) => nicPort(from)).filter((port) => port instanceof PcapPort && port.reads);
  if (captures.some((port) => (port as PcapPort).writes)) return;
  let left = captures.length;
  for (const port of captures) (port as PcapPort).onEnd(() => --left === 0 && setTimeout(stop, LAST_FRAMES_MS));
}

/** Throws SetupError; nothing is left open then. */
function joinDevices(host: HostMachine, a: string, b: string): L2Forward {
  try {
    const joined = createL2Forward(host.openDevice(a), host.openDevice(b));
    if (typeof joined !== 'number') return joined;
    const why =
      joined === -Errno.EINVAL ? 'one device has nobody to forward to' : 'somebody else has the frames of one of them';
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${a} and ${b} cannot be joined: ${why}`);
  } catch (error) {
    host.close();
    throw error;
  }
}

/** What the way and the device's port have counted beyond `seen`, which is brought up to now. */
function since(way: ForwardWay, seen: Record<string, number>): WayReport {
  const port = nicPort(way.from).counters.toJSON() as Record<string, number>;
  const now: Record<string, number> = { ...way.counters.toJSON() };
  for (const [name, value] of Object.entries(port)) if (name.startsWith('rx_') && lossOf(name)) now[name] = value;
  const out = nicPort(way.to).counters.toJSON() as Record<string, number>;
  if (out.tx_errors !== undefined) now.tx_errors = out.tx_errors;
  const report: Record<string, string | number> = { from: nameOf(way.from), to: nameOf(way.to) };
  for (const [name, value] of Object.entries(now)) report[name] = value - (seen[name] ?? 0);
  Object.assign(seen, now);
  return report as WayReport;
}

/** Of what a port counts on receiving: not what came, but what did not get through. */
function lossOf(name: string): boolean {
  return !/_(frames|bytes)$/.test(name);
}

function nameOf(dev: NetDevice): string {
  return nicPort(dev).name;
}

function print(json: boolean, what: 'report' | 'total', seconds: number, reports: readonly WayReport[]): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ what, seconds: Number(seconds.toFixed(3)), ways: reports })}\n`);
    return;
  }
  for (const { from, to, ...counters } of reports) {
    const { frames = 0, bytes = 0, super_frames: whole = 0, ...losses } = counters as Record<string, number>;
    const rate = `${(frames / seconds).toFixed(0)}/s, ${((bytes * 8) / seconds / 1e6).toFixed(1)} Mbit/s`;
    const lost = Object.entries(losses).filter(([, n]) => n !== 0);
    const tail = lost.length === 0 ? '' : `; ${lost.map(([name, n]) => `${name} ${n}`).join(', ')}`;
    const supers = whole === 0 ? '' : `, ${whole} of them super-frames`;
    process.stdout.write(`${from} -> ${to}: ${frames} frames (${rate}${supers}), ${bytes} bytes${tail}\n`);
  }
}

function milliseconds(option: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const seconds = Number(text);
  if (!(seconds > 0 && seconds < 2 ** 31 / 1000)) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give seconds, more than 0`);
  }
  return seconds * 1000;
}
