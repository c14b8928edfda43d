/**
 * This machine's own receive offload: frames are written to a TAP device with NAPI, and a packet socket on it shows what
 * came of them, with virtio-net headers.
 *
 *     write --> TAP, a poll for each frame --> GRO --> (gro_flush_timeout after the last one) --> packet socket --> read
 *
 * With that timeout a poll that is over flushes only what it has held since before the current tick, so that one train
 * becomes one aggregation, unless the clock ticks within it. Who compares tries again then.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { libc } from '../../src/host/sys/libc.ts';
import { sockaddrLl } from '../../src/host/sys/packet.ts';
import {
  AF_PACKET,
  openSocket,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_PACKET,
  setBuffer,
  setInt,
} from '../../src/host/sys/socket.ts';
import { IFF_NAPI, IFF_NO_PI, openTap } from '../../src/host/sys/tun.ts';
import type { SuperFrame } from '../../src/napi/gro.fixture.ts';

const ETH_P_ALL = 0x0003;
const PACKET_VNET_HDR = 15;
const VNET_HDR_LEN = 10;
/** Longer than a tick of 4 ms: the first timer finds all frames old. */
const FLUSH_NS = 5_000_000;

export class TapGro {
  readonly name: string;
  readonly #tap: number;
  readonly #socket: number;
  readonly #buffer = Buffer.alloc(70_000);

  /** `features` are those of ethtool -K that are on besides GRO. */
  constructor(name: string, features: readonly string[]) {
    this.name = name;
    this.#tap = openTap(name, IFF_NO_PI | IFF_NAPI);
    ip('link', 'set', name, 'addrgenmode', 'none', 'arp', 'off', 'multicast', 'off', 'mtu', '9000');
    ip('link', 'set', name, 'address', '52:00:00:00:00:02');
    ip('link', 'set', name, 'up');
    for (const each of features) execFileSync('ethtool', ['-K', name, each, 'on']);
    writeFileSync(`/sys/class/net/${name}/gro_flush_timeout`, String(FLUSH_NS));
    const ifindex = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
    this.#socket = openSocket(AF_PACKET, SOCK_RAW, 0, 'a packet socket', 'be root');
    setBuffer(this.#socket, SO_RCVBUFFORCE, SO_RCVBUF, 8 << 20);
    if (!setInt(this.#socket, SOL_PACKET, PACKET_VNET_HDR, 1)) throw new Error('no virtio-net headers');
    if (libc().bind(this.#socket, sockaddrLl(ETH_P_ALL, ifindex), 20) !== 0)
      throw new Error('the socket does not bind');
  }

  write(frames: readonly Uint8Array[]): void {
    for (const frame of frames) writeSync(this.#tap, frame);
  }

  /** What has come since the last call. */
  read(): SuperFrame[] {
    const seen: SuperFrame[] = [];
    for (;;) {
      let n: number;
      try {
        n = readSync(this.#socket, this.#buffer);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return seen;
        throw error;
      }
      seen.push(parse(this.#buffer.subarray(0, n)));
    }
  }

  close(): void {
    closeSync(this.#socket);
    closeSync(this.#tap);
  }
}

function parse(bytes: Buffer): SuperFrame {
  return {
    flags: bytes[0]!,
    gso_type: bytes[1]!,
    hdr_len: bytes.readUInt16LE(2),
    gso_size: bytes.readUInt16LE(4),
    csum_start: bytes.readUInt16LE(6),
    csum_off: bytes.readUInt16LE(8),
    len: bytes.length - VNET_HDR_LEN,
    hex: bytes.toString('hex', VNET_HDR_LEN),
  };
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
