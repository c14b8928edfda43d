// What does one netconsole line cost on the host? From printk to the datagram in the kernel (record, format, netpoll, headers and
// checksums, driver, port, system call), against the least that any sender pays: sendto() of the same bytes, ready made, on a
// socket of the same kind, through the same FFI. Processor time, user and system, of this process; alternating.
//
//   udp      the port on a UDP socket       against sendto() on a UDP socket, the payload
//   packet   the port on a packet socket    against sendto() on a packet socket (bypassing the qdisc), the whole frame
//
// The datagrams end in this host: on a UDP socket that nobody reads, and on a veth whose other end nobody listens to.

import { createNetconsole, parseNetconsoleParam } from '../src/clients/netconsole/netconsole.ts';
import { nicPort } from '../src/drivers/nic/nic.ts';
import { createHostMachine, type HostMachine } from '../src/host/host_machine.ts';
import type { PacketPort } from '../src/host/packet/packet_port.ts';
import { libc } from '../src/host/sys/libc.ts';
import { PACKET_QDISC_BYPASS, sockaddrLl } from '../src/host/sys/packet.ts';
import { AF_INET, AF_PACKET, openSocket, SOCK_DGRAM, SOCK_RAW, SOL_PACKET, setInt } from '../src/host/sys/socket.ts';
import { SOCKADDR_IN_SIZE, writeSockaddrIn } from '../src/host/udp/socket_address.ts';
import type { UdpPort } from '../src/host/udp/udp_port.ts';
import { createVeth, noVeth, type Veth } from '../src/host/veth.fixture.ts';
import { compare, type Figure } from './harness.ts';

export const question = 'processor time of one netconsole line on the host, against a bare sendto() of the same bytes';

const LINES = 20_000;
const ROUNDS = 7;
/** The goal. */
const LIMIT = 1.5;
/** A line as kernels print them. */
const TEXT =
  'usb 1-1.2: new high-speed USB device number 7 using ehci-pci, idVendor=0781, idProduct=5567, bcdDevice= 1.00';

interface Sender {
  /** Sends n lines. */
  readonly send: (n: number) => void;
  readonly close: () => void;
}

export async function run(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const sink = udpSink();
  for (const format of ['', '+'] as const) {
    const name = format === '' ? 'basic' : 'extended';
    const ours = line(`${format}@127.0.0.1/udp:127.0.0.1:0,${sink.port}@127.0.0.1/`);
    const bare = bareUdp(sink.port, ours.payloadLen);
    figures.push(await against(`udp:, ${name} line`, ours, bare));
  }
  sink.close();
  if (noVeth !== null) {
    figures.push({ kind: 'unanswered', what: 'packet:', reason: noVeth });
    return figures;
  }
  const veth = createVeth();
  try {
    for (const format of ['', '+'] as const) {
      const name = format === '' ? 'basic' : 'extended';
      const ours = line(`${format}6665@10.99.0.1/packet:${veth.a},6666@10.99.0.2/02:00:00:00:00:02`);
      const bare = barePacket(veth, ours.payloadLen + 42);
      figures.push(await against(`packet:, ${name} line`, ours, bare));
    }
  } finally {
    veth.remove();
  }
  return figures;
}

async function against(what: string, ours: Sender, bare: Sender): Promise<Figure> {
  const side = (name: string, { send }: Sender) => ({ name, measure: () => cpuUs(send) });
  const figure = await compare(`${what}: processor time`, 'us a datagram', side('line', ours), side('sendto', bare), {
    rounds: ROUNDS,
    warmUps: 3,
    atMost: LIMIT,
  });
  ours.close();
  bare.close();
  return figure;
}

/** Microseconds of this process's processors for each of LINES. */
function cpuUs(send: (n: number) => void): number {
  const before = process.cpuUsage();
  send(LINES);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / LINES;
}

/** A machine of the host with a netconsole target. */
function line(param: string): Sender & { readonly payloadLen: number } {
  const host: HostMachine = createHostMachine({ reserveBytes: 64 << 20 });
  const { printk } = host.machine;
  printk.ignoreLoglevel = true;
  const parsed = parseNetconsoleParam(param);
  if (!parsed.ok) throw new Error(parsed.reason);
  const [spec] = parsed.specs;
  const dev = host.openDevice(spec!.options.devName, { name: 'nc0' });
  const netconsole = createNetconsole(host.net, [{ ...spec!, options: { ...spec!.options, devName: dev.name } }]);
  const sent = () => (nicPort(dev) as PacketPort | UdpPort).counters.get('tx_frames');
  const bytes = new TextEncoder().encode(TEXT);
  printk.info(TEXT);
  const lenBefore = dev.stats.get('tx_bytes');
  printk.printk(6, bytes);
  const payloadLen = dev.stats.get('tx_bytes') - lenBefore - 42;
  return {
    payloadLen,
    send(n) {
      const before = sent();
      for (let i = 0; i < n; i++) printk.printk(6, bytes);
      if (sent() - before !== n) throw new Error(`${sent() - before} of ${n} sent`);
    },
    close() {
      netconsole.close();
      host.close();
    },
  };
}

/** A bound socket that nobody reads. */
function udpSink(): { port: number; close: () => void } {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'receive', '');
  const address = ipv4Address(0);
  libc().bind(fd, address, address.length);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(SOCKADDR_IN_SIZE);
  libc().getsockname(fd, address, length);
  return { port: address.readUInt16BE(2), close: () => void libc().close(fd) };
}

function bareUdp(port: number, len: number): Sender {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, 'send', '');
  return bare(fd, Buffer.allocUnsafeSlow(len).fill(0x61), ipv4Address(port));
}

function barePacket(veth: Veth, len: number): Sender {
  const fd = openSocket(AF_PACKET, SOCK_RAW, 0, 'send', '');
  setInt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  const frame = Buffer.allocUnsafeSlow(len).fill(0x61);
  frame.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00]);
  return bare(fd, frame, sockaddrLl(0, libc().ifNametoindex(veth.a)));
}

function bare(fd: number, bytes: Buffer, address: Buffer): Sender {
  const { sendto } = libc();
  const [len, addressLen] = [bytes.length, address.length];
  return {
    send(n) {
      for (let i = 0; i < n; i++) {
        if (sendto(fd, bytes, len, 0, address, addressLen) !== len) throw new Error('a bare datagram was not sent');
      }
    },
    close: () => void libc().close(fd),
  };
}

function ipv4Address(port: number): Buffer {
  const address = Buffer.alloc(SOCKADDR_IN_SIZE);
  writeSockaddrIn(new DataView(address.buffer, address.byteOffset, address.length), 0, port, 0x7f000001);
  return address;
}
