// The conformance list over every Port that there is.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { FrameBatch } from '../../src/drivers/nic/port.ts';
import { createHostArena } from '../../src/host/arena.ts';
import { HostExecutive } from '../../src/host/executive.ts';
import { type OpenPortOptions, openPort } from '../../src/host/open_port.ts';
import { callingPeer, listeningPeer, pathPeer, type QemuPeer, udpPeer } from '../../src/host/qemu/qemu_peer.fixture.ts';
import { createTap, noTap, removeTap } from '../../src/host/tap/tap.fixture.ts';
import { writeIpv4Headers } from '../../src/host/udp/frame_headers.ts';
import { createVeth, noVeth } from '../../src/host/veth.fixture.ts';
import { SimPort } from '../../src/sim/sim_port.ts';
import { Wire } from '../../src/sim/wire.ts';
import { World } from '../../src/sim/world.ts';
import { createArena } from '../../src/skb/arena.ts';
import { CaptureReader } from '../../src/wire/pcap.ts';
import { PCAP_HEADER_LEN } from '../../src/wire/pcap_format.ts';
import { pcapFile } from '../../src/wire/pcap_writer.ts';
import { type PortRig, portCases } from './port_cases.ts';

const PACKET_RING = { blocks: 16, blockSize: 32 << 10 };

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A broadcast frame of an experimental EtherType. */
function plainFrame(seed: number, len: number): Uint8Array {
  const frame = Uint8Array.from({ length: len }, (_, i) => seed * 29 + i * 3);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6);
  return frame;
}

function simRig(): PortRig {
  const world = new World({ seed: 1 });
  const wire = new Wire(world);
  const port = new SimPort(world, { name: 'sim:0', mac: Uint8Array.of(2, 0, 0, 0, 0, 1), wire });
  let heard: Uint8Array[] = [];
  const peer = { receive: (bytes: Uint8Array, len: number) => void heard.push(bytes.slice(0, len)) };
  wire.attach(peer);
  return {
    port,
    memory: createArena(512),
    frame: plainFrame,
    inject: (bytes) => wire.transmit(peer, bytes, 0, bytes.length),
    sent() {
      const all = heard;
      heard = [];
      return all;
    },
    async settle() {
      world.runFor(10e6);
    },
    close() {},
  };
}

/** The other end of a rig: an interface of the kernel's, seen by a packet port. */
function packetPeer(device: string, executive: HostExecutive): Pick<PortRig, 'inject' | 'sent'> & { close(): void } {
  const memory = createHostArena({ slots: 64, reserveBytes: 4 << 20 });
  const peer = openPort(device, executive, PACKET_RING);
  peer.open(memory, () => {});
  const batch = new FrameBatch(64);
  return {
    inject(bytes) {
      memory.bytes.set(bytes, 64);
      batch.offset[0] = 64;
      batch.len[0] = bytes.length;
      batch.vlanTci[0] = -1;
      peer.txBurst(0, batch, 1);
      peer.txReap(0, batch);
    },
    sent() {
      const heard: Uint8Array[] = [];
      for (let n = peer.rxBurst(0, batch, 64); n > 0; n = peer.rxBurst(0, batch, 64)) {
        for (let i = 0; i < n; i++) {
          heard.push(memory.bytes.slice(batch.offset[i], batch.offset[i]! + batch.len[i]!));
          memory.release(batch.buf[i]!);
        }
      }
      return heard;
    },
    close: () => peer.close(),
  };
}

/** The other end is a packet port too: what one test holds against the other is checked with other programs in test/netns. */
function vethRig(scheme: 'packet' | 'xdp', more: OpenPortOptions = {}): PortRig {
  const veth = createVeth();
  const executive = new HostExecutive();
  const peer = packetPeer(veth.b, executive);
  return {
    port: openPort(`${scheme}:${veth.a}`, executive, { ...PACKET_RING, ...more }),
    memory: createHostArena({ slots: 512, reserveBytes: 4 << 20 }),
    frame: plainFrame,
    inject: peer.inject,
    sent: peer.sent,
    settle: () => pause(12),
    close() {
      peer.close();
      veth.remove();
    },
  };
}

const HEADERS = 42;

/** The other end is Node's own datagram socket; frames are compared by what it can see of them, the payload. */
async function udpRig(): Promise<PortRig> {
  const executive = new HostExecutive();
  const memory = createHostArena({ slots: 512, reserveBytes: 0 });
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const number = probe.address().port;
  probe.close();
  await once(probe, 'close');
  const port = openPort(`udp:127.0.0.1:${number}`, executive);
  const peer = createSocket('udp4').bind(0, '127.0.0.1');
  await once(peer, 'listening');
  let heard: Uint8Array[] = [];
  peer.on('message', (payload) => heard.push(Buffer.concat([Buffer.alloc(HEADERS), payload])));
  const peerPort = peer.address().port;
  return {
    port,
    memory,
    frame(seed, len) {
      const frame = Uint8Array.from({ length: len }, (_, i) => seed * 29 + i * 3);
      const view = new DataView(frame.buffer);
      const address = new DataView(Uint8Array.of(127, 0, 0, 1).buffer);
      const ends = { source: address, sourceAt: 0, sourcePort: number, dest: address, destAt: 0, destPort: peerPort };
      writeIpv4Headers(view, HEADERS, len - HEADERS, ends, seed, port.caps.mac);
      return frame;
    },
    inject: (bytes) => peer.send(bytes.subarray(HEADERS), number, '127.0.0.1'),
    sent() {
      const all = heard;
      heard = [];
      return all;
    },
    same: (here, there) => Buffer.compare(here.subarray(HEADERS), there.subarray(HEADERS)) === 0,
    settle: () => pause(8),
    close() {
      peer.close();
    },
  };
}

function tapRig(spec = ''): PortRig {
  const name = createTap();
  const executive = new HostExecutive();
  const peer = packetPeer(`packet:${name}`, executive);
  return {
    port: openPort(`tap:${name}${spec}`, executive, { superFrames: 8 }),
    memory: createHostArena({ slots: 512, reserveBytes: 4 << 20 }),
    frame: plainFrame,
    inject: peer.inject,
    sent: peer.sent,
    settle: () => pause(12),
    close() {
      peer.close();
      removeTap(name);
    },
  };
}

let rigs = 0;

/** The other end is Node's sockets, in the place of QEMU's. */
function qemuRig(
  spec: (place: string, number: number) => string,
  peerOf: (place: string, number: number) => QemuPeer | Promise<QemuPeer>,
) {
  return async (): Promise<PortRig> => {
    const executive = new HostExecutive();
    const place = mkdtempSync(join(tmpdir(), 'netpoll-qemu-'));
    const number = 20_000 + ((process.pid * 16 + 2 * rigs++) % 12_000);
    const port = openPort(spec(place, number), executive);
    const peer = await peerOf(place, number);
    return {
      port,
      memory: createHostArena({ slots: 512, reserveBytes: 4 << 20 }),
      frame: plainFrame,
      inject: peer.inject,
      sent: peer.sent,
      settle: () => pause(12),
      close() {
        peer.close();
        rmSync(place, { recursive: true });
      },
    };
  };
}

/** The other end appends to the file that is followed, and reads the one that is written. */
function pcapRig(options: string): () => PortRig {
  return () => {
    const place = mkdtempSync(join(tmpdir(), 'netpoll-pcap-'));
    const [from, to] = [`${place}/in.pcap`, `${place}/out.pcap`];
    writeFileSync(from, pcapFile([]));
    let seen = 0;
    return {
      port: openPort(`pcap:${from},follow,out=${to}${options}`, new HostExecutive()),
      memory: createHostArena({ slots: 512, reserveBytes: 4 << 20 }),
      frame: plainFrame,
      inject: (bytes) => appendFileSync(from, pcapFile([{ tsUs: 1e15, bytes }]).subarray(PCAP_HEADER_LEN)),
      sent() {
        const reader = new CaptureReader();
        reader.push(readFileSync(to));
        const all: Uint8Array[] = [];
        for (let packet = reader.next(); packet !== null; packet = reader.next()) {
          all.push(Uint8Array.from(packet.bytes.subarray(packet.start, packet.start + packet.length)));
        }
        const fresh = all.slice(seen);
        seen = all.length;
        return fresh;
      },
      settle: () => pause(12),
      close: () => rmSync(place, { recursive: true }),
    };
  };
}

portCases('sim port', simRig);
const PATIENT = { 'comes back after the arena had no slot left': 'a file is patient: what found no slot comes too' };
portCases('pcap port', pcapRig(''), {}, PATIENT);
portCases('pcap port with a pace', pcapRig(',pace=1'), {}, PATIENT);
portCases('udp port', udpRig);
portCases(
  'qemu port, listening on a path',
  qemuRig(
    (place) => `qemu:${place}/s`,
    (place) => callingPeer({ path: `${place}/s` }),
  ),
);
portCases(
  'qemu port, calling a path',
  qemuRig(
    (place) => `qemu:connect:${place}/s,reconnect=0.01`,
    (place) => listeningPeer({ path: `${place}/s` }),
  ),
);
portCases(
  'qemu port, listening on TCP',
  qemuRig(
    (_, number) => `qemu:127.0.0.1:${number}`,
    (_, number) => callingPeer({ host: '127.0.0.1', port: number }),
  ),
);
portCases(
  'qemu port, calling by TCP',
  qemuRig(
    (_, number) => `qemu:connect:127.0.0.1:${number},reconnect=0.01`,
    (_, number) => listeningPeer({ host: '127.0.0.1', port: number }),
  ),
);
portCases(
  'qemu port, datagrams between paths',
  qemuRig(
    (place) => `qemu:dgram:${place}/a,${place}/b,reconnect=0.01`,
    (place) => pathPeer(`${place}/b`, `${place}/a`),
  ),
);
portCases(
  'qemu port, datagrams over UDP',
  qemuRig(
    (_, number) => `qemu:dgram:127.0.0.1:${number},127.0.0.1:${number + 1}`,
    (_, number) => udpPeer(number + 1, number),
  ),
);
describe.skipIf(noVeth !== null)(noVeth === null ? 'on a veth pair' : `packet port (skip: ${noVeth})`, () => {
  portCases('packet port', () => vethRig('packet'));
  portCases('packet port, a slot a frame', () => vethRig('packet', { wakePerFrame: true }));
  portCases('xdp port', () => vethRig('xdp'));
  portCases('xdp port, generic', () => vethRig('xdp', { xdpMode: 'generic-copy' }));
});
describe.skipIf(noTap !== null)(noTap === null ? 'on a TAP device' : `tap port (skip: ${noTap})`, () => {
  portCases('tap port', tapRig);
  portCases('tap port without offloads', () => tapRig(',offload=off'));
});
