/**
 * TAP devices of this machine's kernel with virtio-net headers, two of them joined by a bridge:
 *
 *     write --> in | bridge | out --> read        what `out` does not take, the kernel's GSO and checksum helper do
 *
 * The kernel forwards inside the write, so what came of a frame can be read as soon as the write is over.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, readSync, writeSync } from 'node:fs';
import { IFF_NO_PI, IFF_VNET_HDR, openTap, setTunOffload } from '../../src/host/sys/tun.ts';
import type { VnetHeader } from '../../src/stack/super_frame.fixture.ts';

const VNET_HLEN = 10;

export interface Received {
  readonly vnet: VnetHeader;
  readonly bytes: Buffer;
}

export class Tap {
  readonly name: string;
  readonly #fd: number;
  readonly #buffer = Buffer.alloc(VNET_HLEN + 70_000);

  constructor(name: string) {
    this.name = name;
    this.#fd = openTap(name, IFF_NO_PI | IFF_VNET_HDR);
  }

  /** What the reader does by itself (`TUN_F_*`); the kernel does the rest. */
  offload(flags: number): void {
    if (!setTunOffload(this.#fd, flags)) throw new Error(`${this.name} does not take offloads ${flags}`);
  }

  /** False: the kernel refused the frame. */
  write(vnet: VnetHeader, bytes: Uint8Array): boolean {
    const out = this.#buffer;
    out[0] = vnet.flags;
    out[1] = vnet.gso_type;
    out.writeUInt16LE(vnet.hdr_len, 2);
    out.writeUInt16LE(vnet.gso_size, 4);
    out.writeUInt16LE(vnet.csum_start, 6);
    out.writeUInt16LE(vnet.csum_offset, 8);
    out.set(bytes, VNET_HLEN);
    try {
      writeSync(this.#fd, out, 0, VNET_HLEN + bytes.length);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
      throw error;
    }
  }

  /** The next frame, or null: none is there now. */
  read(): Received | null {
    const into = this.#buffer;
    let n: number;
    try {
      n = readSync(this.#fd, into, 0, into.length, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
      throw error;
    }
    const vnet = {
      flags: into[0]!,
      gso_type: into[1]!,
      hdr_len: into.readUInt16LE(2),
      gso_size: into.readUInt16LE(4),
      csum_start: into.readUInt16LE(6),
      csum_offset: into.readUInt16LE(8),
    };
    return { vnet, bytes: Buffer.from(into.subarray(VNET_HLEN, n)) };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

const ip = (...args: string[]) => execFileSync('ip', args);

/**
 * Two TAP devices, those of `more`, and the bridge between them all, in a namespace of their own where no filter looks on; `close` takes
 * all away. `more` names devices that somebody has open.
 */
export function bridgedTaps(more: readonly string[] = []): { in: Tap; out: Tap; close(): void } {
  const space = `netpoll-gso-${process.pid}`;
  const taps = [new Tap(`np${process.pid}i`), new Tap(`np${process.pid}o`)] as const;
  const sysctl = (key: string, value: number) => ip('netns', 'exec', space, 'sysctl', '-qw', `${key}=${value}`);
  ip('netns', 'add', space);
  sysctl('net.ipv6.conf.default.disable_ipv6', 1);
  if (existsSync('/proc/sys/net/bridge')) {
    for (const which of ['arptables', 'iptables', 'ip6tables']) sysctl(`net.bridge.bridge-nf-call-${which}`, 0);
  }
  ip('-n', space, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0');
  ip('-n', space, 'link', 'set', 'br0', 'up');
  for (const name of [...taps.map((tap) => tap.name), ...more]) {
    ip('link', 'set', name, 'netns', space);
    ip('-n', space, 'link', 'set', name, 'mtu', '9000', 'txqueuelen', '1000', 'master', 'br0');
    ip('-n', space, 'link', 'set', name, 'up');
  }
  const close = () => {
    for (const tap of taps) tap.close();
    ip('netns', 'del', space);
  };
  if (!forwards(taps[0], taps[1])) {
    close();
    throw new Error('the bridge does not forward');
  }
  return { in: taps[0], out: taps[1], close };
}

const NOTHING: VnetHeader = { flags: 0, gso_type: 0, gso_size: 0, csum_start: 0, csum_offset: 0, hdr_len: 0 };

/** Sends a mark and gives every frame that comes out before it; null if the mark does not come out within `waitMs`. */
export function upToMark(from: Tap, to: Tap, waitMs: number): Received[] | null {
  const mark = Buffer.alloc(60, Math.floor(performance.now() * 1000) & 0xff);
  mark.set([0x52, 0, 0, 0, 0, 1, 0x52, 0, 0, 0, 0, 3, 0x88, 0xb5]);
  from.write(NOTHING, mark);
  const frames: Received[] = [];
  const end = performance.now() + waitMs;
  do {
    const got = to.read();
    if (got === null) continue;
    if (got.bytes.equals(mark)) return frames;
    frames.push(got);
  } while (performance.now() < end);
  return null;
}

/** Waits until a frame comes through: the bridge learns of its ports' carrier a moment later. At most 5 seconds. */
function forwards(from: Tap, to: Tap): boolean {
  for (let tries = 0; tries < 500; tries++) if (upToMark(from, to, 10) !== null) return true;
  return false;
}
