// How many bytes does a frame cost the heap on its way through tap ports? One port sends, the kernel bridges, another port
// receives: frames of 60 bytes, and super-frames of 32 segments that go whole. The answer has to be none.
//
//   port --write--> TAP | bridge | TAP --readv--> port

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { FrameBatch } from '../src/drivers/nic/port.ts';
import { createHostArena, type HostArena } from '../src/host/arena.ts';
import { HostExecutive } from '../src/host/executive.ts';
import { TapPort } from '../src/host/tap/tap_port.ts';
import { CHECKSUM_PARTIAL } from '../src/skb/checksum_state.ts';
import { SKB_GSO_UDP_L4 } from '../src/skb/shared_info.ts';
import { fold, sum32 } from '../src/wire/checksum.ts';
import { bytesPerFrame, type Figure } from './harness.ts';

export const question = 'bytes allocated a frame through two tap ports (none; limit 0.1 for noise)';

const BURST = 32;
const HEADERS = 42;
const SEGMENT = 1400;
const SEGMENTS = 32;

export function run(): Figure[] {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const executive = new HostExecutive();
  const memory = createHostArena();
  const names = ['a', 'b'].map((end) => `ntb${process.pid.toString(36)}${end}`);
  const ports = names.map((name) => new TapPort(name, executive, { interfaceUp: false }));
  const space = `netpoll-tap-alloc-${process.pid}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  for (const port of ports) port.open(memory, () => {});
  ip('netns', 'add', space);
  try {
    execFileSync('ip', ['netns', 'exec', space, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
    for (const which of existsSync('/proc/sys/net/bridge') ? ['arptables', 'iptables', 'ip6tables'] : []) {
      execFileSync('ip', ['netns', 'exec', space, 'sysctl', '-qw', `net.bridge.bridge-nf-call-${which}=0`]);
    }
    ip('-n', space, 'link', 'add', 'br0', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0');
    ip('-n', space, 'link', 'set', 'br0', 'up');
    for (const name of names) {
      ip('link', 'set', name, 'netns', space);
      ip('-n', space, 'link', 'set', name, 'master', 'br0');
      ip('-n', space, 'link', 'set', name, 'up');
    }
    const [from, to] = ports as [TapPort, TapPort];
    const small = path(memory, from, to, 60, 0);
    const whole = path(memory, from, to, HEADERS + SEGMENTS * SEGMENT, SEGMENT);
    // The bridge learns of its ports' carrier a moment later.
    for (let tries = 0; tries < 100 && small(BURST) === 0; tries++) execFileSync('sleep', ['0.05']);
    if (small(BURST) !== BURST || whole(BURST) !== BURST) throw new Error('the bridge does not forward');
    return [
      bytesPerFrame('tap to tap, 60 bytes', small, 100_000, { atMost: 0.1 }),
      bytesPerFrame(`tap to tap, super-frames of ${SEGMENTS} datagrams`, whole, 20_000, { atMost: 0.1 }),
    ];
  } finally {
    for (const port of ports) port.close();
    ip('netns', 'del', space);
  }
}

/** Sends `frames` frames by one port and receives them by the other; gives how many came. */
function path(memory: HostArena, from: TapPort, to: TapPort, len: number, gsoSize: number): (frames: number) => number {
  const tx = new FrameBatch(BURST);
  const rx = new FrameBatch(64);
  const at = memory.reserve(128 << 10, 64) + 64;
  const { view } = memory;
  view.setUint32(at, 0x02000000);
  view.setUint32(at + 4, 0x00010200);
  view.setUint32(at + 8, 0x00000002);
  view.setUint32(at + 12, 0x08004500);
  view.setUint16(at + 16, len - 14);
  view.setUint32(at + 20, 0x40004011);
  view.setUint32(at + 26, 0x0a090001);
  view.setUint32(at + 30, 0x0a090002);
  view.setUint16(at + 24, fold(sum32(view, at + 14, 20)));
  view.setUint16(at + 36, 9);
  view.setUint16(at + 38, len - 34);
  for (let i = 0; i < BURST; i++) {
    tx.offset[i] = at;
    tx.len[i] = len;
    tx.vlanTci[i] = -1;
    tx.gsoSize[i] = gsoSize;
    tx.gsoType[i] = gsoSize === 0 ? 0 : SKB_GSO_UDP_L4;
    tx.csum[i] = CHECKSUM_PARTIAL;
    tx.csumStart[i] = 34;
    tx.csumOffset[i] = 6;
  }
  return (frames) => {
    let received = 0;
    for (let sent = 0; sent < frames; sent += BURST) {
      from.txBurst(0, tx, BURST);
      from.txReap(0, rx);
      for (let n = to.rxBurst(0, rx, 64); n > 0; n = to.rxBurst(0, rx, 64)) {
        for (let i = 0; i < n; i++) memory.release(rx.buf[i]!);
        received += n;
      }
    }
    return received;
  };
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (a network namespace, TAP devices)';
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  if (spawnSync('ip', ['-V'], { stdio: 'ignore' }).status !== 0) return 'needs ip (apt-get install iproute2)';
  return null;
}
