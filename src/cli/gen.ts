/**
 * netpoll gen: a packet generator with pktgen's words, over any scheme, and its receiver.
 *
 *     options, --pgset lines --> PktgenParams --> Pktgen --> device
 */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { hasFlag, type PktgenParams, pgset, pktgenParams } from '../clients/pktgen/params.ts';
import type { PktgenPayload } from '../clients/pktgen/payload.ts';
import { Pktgen } from '../clients/pktgen/pktgen.ts';
import type { NetDevice } from '../device/net_device.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { createHostMachine } from '../host/host_machine.ts';
import { missingAddresses } from './gen_addresses.ts';
import { dec, range, rate, seconds, size } from './gen_options.ts';
import { receive } from './gen_receive.ts';
import { report } from './gen_report.ts';
import { generateInSim } from './gen_sim.ts';
import { die, endWithReader, onStop } from './terminal.ts';

const EXAMPLES = `
Devices: eth0 or packet:eth0, xdp:eth0, tap:NAME, udp:ADDRESS:PORT, qemu:..., pcap:,out=FILE, and sim: (two simulated machines;
needs nothing). Frames are UDP, 60 bytes without check sequence, and carry pktgen's header: magic, number, time. BEWARE, as the
kernel's pktgen says: without --rate it sends as fast as it can.
--pgset takes any of pktgen's command lines (clone_skb, flag, src_mac_count, flows, vlan_p, queue_map_max, ...).

Examples:
  # netpoll gen eth0 --dst 10.0.0.2 --count 100000                 as fast as it goes
  # netpoll gen xdp:eth0 --dst 10.0.0.2 --rate 100k --duration 10  a hundred thousand a second
  # netpoll gen eth0 --dst 10.0.0.1-10.0.0.254 --src-port 1000-2000 --bps 300M --size 1514
  # netpoll gen eth0 --dst 10.0.0.2 --pgset 'flag UDPSRC_RND' --pgset 'src_mac_count 16'
  $ netpoll gen udp:0 --dst 127.0.0.1 --dst-port 6666 --netconsole --src-port 9 --rate 1k     flood a collector
  # netpoll gen --receive eth1                                     count what comes: lost, out of order, delay
  $ netpoll gen sim: --rate 100k --json
`;

export interface GenFlags {
  readonly receive?: boolean;
  readonly dst?: string;
  readonly src?: string;
  readonly dstMac?: string;
  readonly srcMac?: string;
  readonly dstPort?: string;
  readonly srcPort?: string;
  readonly size?: string;
  readonly vlan?: string;
  readonly count?: string;
  readonly duration?: string;
  readonly rate?: string;
  readonly bps?: string;
  readonly burst?: string;
  readonly pgset: readonly string[];
  readonly payload?: string;
  readonly netconsole?: boolean | string;
  readonly udpCsum: boolean;
  readonly seed: string;
  readonly json?: boolean;
  readonly show?: boolean;
}

export function addGen(program: Command): void {
  const gather = (line: string, lines: readonly string[]): readonly string[] => [...lines, line];
  program
    .command('gen')
    .description('generate frames at a rate, with pktgen’s words, over any scheme; or count what a generator sends')
    .argument('<device>', 'packet:eth0, xdp:eth0, tap:NAME, udp:ADDRESS:PORT, pcap:,out=FILE, sim:')
    .option('--receive', 'count the frames of a generator that arrive, instead')
    .option('--dst <ip[-ip]>', 'destination address, or a range')
    .option('--src <ip[-ip]>', 'source address, or a range (default: the interface’s)')
    .option('--dst-mac <mac>', 'destination hardware address (default: the neighbour’s)')
    .option('--src-mac <mac>', 'source hardware address (default: the device’s)')
    .option('--dst-port <n[-n]>', 'UDP destination port, or a range (default: 9)')
    .option('--src-port <n[-n]>', 'UDP source port, or a range (default: 9)')
    .option('--size <n[-n]>', 'frame length without check sequence, or a range (default: 60)')
    .option('--vlan <id>', 'put a VLAN tag in')
    .option('--count <n>', 'end after so many frames (default: none; K and M count)')
    .option('--duration <seconds>', 'end after so long')
    .option('--rate <pps>', 'frames a second: 1k, 2.5M, max', 'max')
    .option('--bps <bits>', 'bits a second instead, of frames without check sequence: 300M')
    .option('--burst <n>', 'frames for one doorbell (default: 64)')
    .option('--pgset <line>', 'a command line of pktgen; may be repeated', gather, [])
    .option('--payload <file>', 'what stands behind the UDP header instead; - is stdin')
    .option('--netconsole [text]', 'netconsole records, numbered for each source')
    .option('--no-udp-csum', 'no UDP checksum')
    .option('--seed <n>', 'of random ranges', '1')
    .option('--show', 'print what /proc/net/pktgen/DEV would')
    .option('--json', 'print one JSON object, at the end')
    .addHelpText('after', EXAMPLES)
    .action((device: string, flags: GenFlags) => {
      gen(device, flags).catch(die);
    });
}

async function gen(spec: string, flags: GenFlags): Promise<void> {
  endWithReader();
  const durationMs = flags.duration === undefined ? null : seconds('--duration', flags.duration) * 1000;
  if (flags.receive === true) {
    receive(spec, durationMs, flags);
    return;
  }
  const params = paramsOf(flags);
  const payload = payloadOf(flags);
  const seed = dec('--seed', flags.seed);
  if (spec === 'sim:' || spec === 'sim') {
    generateInSim(params, payload, seed, durationMs, flags);
    return;
  }
  if (/^(packet:|xdp:|udp:|[^:]+$)/.test(spec)) await missingAddresses(spec, params, flags);
  const host = createHostMachine();
  try {
    const dev = host.openDevice(spec);
    const pktgen = new Pktgen(dev, params, { payload, seed, spinNs: 100e3, onStop: () => end() });
    const progress = flags.json === true ? null : startProgress(pktgen);
    const limit = durationMs === null ? undefined : setTimeout(() => pktgen.stop(), durationMs);
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      clearTimeout(limit);
      progress?.();
      // What the device still has may leave first.
      setImmediate(() => {
        report(pktgen, spec, flags, portLosses(dev));
        host.close();
      });
    };
    onStop(() => pktgen.stop());
    pktgen.start();
  } catch (error) {
    host.close();
    throw error;
  }
}

function portLosses(dev: NetDevice): Record<string, number> {
  const counters = nicPort(dev).counters.toJSON() as Record<string, number>;
  return Object.fromEntries(
    Object.entries(counters).filter(([name]) => /^tx_(errors|busy|not_udp|dropped|ring)/.test(name)),
  );
}

/** A line on a terminal, twice a second; gives what ends it. */
function startProgress(pktgen: Pktgen): () => void {
  if (!process.stderr.isTTY) return () => {};
  let sofar = 0;
  let atMs = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const pps = ((pktgen.sofar - sofar) * 1000) / (now - atMs);
    sofar = pktgen.sofar;
    atMs = now;
    process.stderr.write(`\r${sofar} sofar  ${Math.round(pps)}pps  errors: ${pktgen.errors}\x1b[K`);
  }, 500);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r\x1b[K');
  };
}

/** Throws SetupError for what was typed wrong. */
function paramsOf(flags: GenFlags): PktgenParams {
  const params = pktgenParams();
  params.count = 0;
  const lines: string[] = [];
  const put = (min: string, max: string, text: string | undefined): void => {
    if (text === undefined) return;
    const [low, high] = range(text);
    lines.push(`${min} ${low}`, `${max} ${high}`);
  };
  const six = (flags.dst ?? flags.src ?? '').includes(':');
  put(six ? 'dst6_min' : 'dst_min', six ? 'dst6_max' : 'dst_max', flags.dst);
  if (six) {
    if (flags.src !== undefined) lines.push(`src6 ${flags.src}`);
  } else {
    put('src_min', 'src_max', flags.src);
  }
  put('udp_dst_min', 'udp_dst_max', flags.dstPort);
  put('udp_src_min', 'udp_src_max', flags.srcPort);
  put('min_pkt_size', 'max_pkt_size', flags.size);
  if (flags.dstMac !== undefined) lines.push(`dst_mac ${flags.dstMac}`);
  if (flags.srcMac !== undefined) lines.push(`src_mac ${flags.srcMac}`);
  if (flags.vlan !== undefined) lines.push(`vlan_id ${flags.vlan}`);
  if (flags.count !== undefined) lines.push(`count ${size('--count', flags.count)}`);
  if (flags.burst !== undefined) lines.push(`burst ${flags.burst}`);
  if (!flags.udpCsum) lines.push('flag !UDPCSUM');
  for (const line of [...lines, ...flags.pgset]) pgset(params, line);
  if (flags.bps !== undefined) {
    const bits = size('--bps', flags.bps);
    params.delayNs = (((params.minPktSize + params.maxPktSize) / 2) * 8 * 1e9) / bits;
  } else if (flags.rate !== undefined && flags.rate !== 'max') {
    params.delayNs = 1e9 / rate(flags.rate);
  }
  if (hasFlag(params, 'IPV6') && !flags.udpCsum) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', '--no-udp-csum: UDP over IPv6 has a checksum');
  }
  return params;
}

function payloadOf(flags: GenFlags): PktgenPayload {
  if (flags.payload !== undefined && flags.netconsole !== undefined) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', 'give --payload or --netconsole, not both');
  }
  if (flags.netconsole !== undefined) {
    const text = flags.netconsole === true ? 'eth0: link up, 1000Mbps, full duplex' : String(flags.netconsole);
    return { kind: 'netconsole', text };
  }
  if (flags.payload === undefined) return { kind: 'pktgen' };
  try {
    return { kind: 'bytes', bytes: readFileSync(flags.payload === '-' ? 0 : flags.payload) };
  } catch (cause) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--payload ${flags.payload}: ${(cause as Error).message}`, { cause });
  }
}
