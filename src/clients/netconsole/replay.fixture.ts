/**
 * For tests: the records of a recording of a real kernel, and a simulated machine with that kernel's card and addresses, on
 * which our netconsole sends them again; what passes on the wire, frame by frame.
 *
 * Compared is the whole frame. The IP identification (a counter of the sender that counts its other frames too) is made the
 * recorded one, and the header's checksum made right for it; it is counted how often even that was equal by itself.
 */
import { join } from 'node:path';
import { corporaDir, goldenDir, readBytes } from '../../../test/golden/netconsole/read_capture.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import type { LogRecord } from '../../machine/printk.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { parseIp, parseMac } from '../../wire/address.ts';
import { checksum } from '../../wire/checksum.ts';
import { parseExtendedBody, parseExtendedHeader } from '../../wire/netconsole_parse.ts';
import { decodeText, encodeText } from '../../wire/netconsole_text.ts';
import { CaptureReader } from '../../wire/pcap.ts';

export { corporaDir, goldenDir, readBytes };

export type ReplayRecord = Pick<LogRecord, 'seq' | 'level' | 'facility' | 'tsUs' | 'cont' | 'caller' | 'text' | 'dict'>;

/** A netconsole frame: Ethernet, IPv4 or IPv6, UDP from port 6665. */
export interface UdpFrame {
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly payload: Uint8Array;
}

/** Null for anything that is no UDP datagram of netconsole. */
export function readUdpFrame(bytes: Uint8Array): UdpFrame | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = bytes.length >= 42 ? view.getUint16(12) : 0;
  const udp = type === 0x0800 && bytes[23] === 17 ? 34 : type === 0x86dd && bytes[20] === 17 ? 54 : 0;
  if (udp === 0 || view.getUint16(udp) !== 6665) return null;
  return { bytes, port: view.getUint16(udp + 2), payload: bytes.subarray(udp + 8, udp + view.getUint16(udp + 4)) };
}

/** All of them in a capture of the golden folder, in order. */
export function recordedFrames(name: string): UdpFrame[] {
  return framesOf(join(goldenDir, `${name}.pcap.gz`));
}

/** All of them in a capture file, in order. */
export function framesOf(path: string): UdpFrame[] {
  const reader = new CaptureReader();
  reader.push(readBytes(path));
  const frames: UdpFrame[] = [];
  for (let packet = reader.next(); packet !== null; packet = reader.next()) {
    const frame = readUdpFrame(packet.bytes.slice(packet.start, packet.start + packet.length));
    if (frame !== null) frames.push(frame);
  }
  return frames;
}

/** The records in the extended datagrams for `port`; `uncut` finds the text of one that the kernel had to cut. */
export function recordsOf(
  frames: readonly UdpFrame[],
  port: number,
  uncut: (prio: number, tsUs: number) => Uint8Array | null = () => null,
): ReplayRecord[] {
  const records: ReplayRecord[] = [];
  let parts: number[] = [];
  for (const { payload } of frames.filter((frame) => frame.port === port)) {
    const header = parseExtendedHeader(payload);
    if (header === null) throw new Error(`not an extended datagram: ${decodeText(payload)}`);
    parts.push(...payload.subarray(header.bodyStart));
    if (header.fragment !== null && parts.length < header.fragment.total) continue;
    const whole = Uint8Array.from(parts);
    parts = [];
    const body = parseExtendedBody(whole, 0, whole.length);
    const kernel = Object.fromEntries(body.dict.map((entry) => [entry.key, entry.value]));
    const tsUs = Number(header.usec);
    records.push({
      seq: Number(header.seq),
      level: header.level,
      facility: header.facility,
      tsUs,
      cont: header.flag === 'c',
      caller: header.extras.find((entry) => entry.key === 'caller')?.value,
      text: uncut(header.facility * 8 + header.level, tsUs) ?? encodeText(body.text),
      dict: {
        ...(kernel.SUBSYSTEM === undefined ? {} : { subsystem: kernel.SUBSYSTEM }),
        ...(kernel.DEVICE === undefined ? {} : { device: kernel.DEVICE }),
      },
    });
  }
  return records;
}

/** The lines of /proc/kmsg or `dmesg -r` as records: `<prio>[secs.usecs] text`, the lines of one record joined. */
export function recordsOfDmesg(bytes: Uint8Array): { prio: number; tsUs: number; text: Uint8Array }[] {
  const records: { prio: number; tsUs: number; text: string }[] = [];
  for (const line of decodeText(bytes).split('\n')) {
    const match = /^<(\d+)>\[ *(\d+)\.(\d{6})\] (.*)$/s.exec(line);
    if (match === null) continue;
    const [prio, tsUs] = [Number(match[1]), Number(match[2]) * 1e6 + Number(match[3])];
    const last = records.at(-1);
    if (last?.prio === prio && last.tsUs === tsUs) last.text += `\n${match[4]}`;
    else records.push({ prio, tsUs, text: match[4]! });
  }
  return records.map((record) => ({ ...record, text: encodeText(record.text) }));
}

export interface Replay extends SimMachine {
  readonly world: World;
  readonly port: SimPort;
  readonly dev: NetDevice;
  /** What passed on the wire so far. */
  readonly sent: UdpFrame[];
}

/** A machine with one card, `eth0`, up. */
export function replayMachine(
  mac: string,
  addresses: readonly string[],
  release = '7.2.13+deb14-amd64',
  cpus = 1,
): Replay {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const sim = createSimMachine(world, { hostname: 'guest', release, cpus });
  const port = new SimPort(world, { name: 'sim:eth0', mac: parseMac(mac)!, wire });
  const dev = createNic(sim.net, port, 'eth0');
  dev.addresses.push(...addresses.map((address) => parseIp(address)!));
  if (devOpen(dev) !== 0) throw new Error('eth0 does not come up');
  const sent: UdpFrame[] = [];
  wire.attach({
    receive(bytes, len) {
      const frame = readUdpFrame(bytes.slice(0, len));
      if (frame !== null) sent.push(frame);
    },
  });
  return { ...sim, world, port, dev, sent };
}

export interface Equality {
  /** Datagrams equal, of how many; and of them those whose identification was equal as well (IPv6 has none). */
  equal: number;
  of: number;
  sameId: number;
  differences: string[];
}

/** Our datagrams to `port` against the kernel's, in order. */
export function compareFrames(ours: readonly UdpFrame[], theirs: readonly UdpFrame[], port: number): Equality {
  const mine = ours.filter((frame) => frame.port === port);
  const real = theirs.filter((frame) => frame.port === port);
  const result: Equality = { equal: 0, of: real.length, sameId: 0, differences: [] };
  for (let i = 0; i < Math.max(mine.length, real.length); i++) {
    const [a, b] = [mine[i]?.bytes.slice(), real[i]?.bytes];
    if (a !== undefined && b !== undefined) {
      if (a[18] === b[18] && a[19] === b[19]) result.sameId++;
      else takeId(a, b);
    }
    if (a !== undefined && b !== undefined && Buffer.compare(a, b) === 0) result.equal++;
    else if (result.differences.length < 3) result.differences.push(`${i}: ${shown(mine[i])}\n   ${shown(real[i])}`);
  }
  return result;
}

/** Gives an IPv4 frame the other's identification, and a checksum that is right for it. */
function takeId(frame: Uint8Array, other: Uint8Array): void {
  if (frame[12] !== 0x08 || frame.length < 42) return;
  const view = new DataView(frame.buffer);
  if (checksum(view, 14, 20) !== 0) return;
  view.setUint16(18, (other[18]! << 8) | other[19]!);
  view.setUint16(24, 0);
  view.setUint16(24, checksum(view, 14, 20));
}

function shown(frame: UdpFrame | undefined): string {
  if (frame === undefined) return '(nothing)';
  const headers = Buffer.from(frame.bytes.subarray(0, frame.bytes.length - frame.payload.length)).toString('hex');
  return `${headers} ${frame.payload.length} ${JSON.stringify(decodeText(frame.payload))}`;
}
