/**
 * What an interface's driver says of it, asked through ioctl(): its queues (`ethtool -l`) and its name (`ethtool -i`).
 *
 *     struct ethtool_channels { u32 cmd @0, max_rx @4, max_tx @8, max_other @12, max_combined @16, rx_count @20, tx_count @24,
 *                               other_count @28, combined_count @32 }                                              36 bytes
 *     struct ethtool_drvinfo  { u32 cmd @0; char driver[32] @4; ... }                                              196 bytes
 *
 * A combined channel is one queue of each kind.
 */
import { ifreq } from './interface.ts';
import { libc } from './libc.ts';
import { type Pinned, pinned, writeWord } from './pinned.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.ts';

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GDRVINFO = 0x03;
const ETHTOOL_GCHANNELS = 0x3c;
const DRIVER_SIZE = 32;
const IFNAMSIZ = 16;

export interface Channels {
  readonly rx: number;
  readonly tx: number;
}

/** One of each for an interface whose driver does not say. Throws SetupError. */
export function interfaceChannels(name: string): Channels {
  const channels = ask(name, ETHTOOL_GCHANNELS, 36)?.view;
  if (channels === undefined) return { rx: 1, tx: 1 };
  const combined = channels.getUint32(32, true);
  const rx = combined + channels.getUint32(20, true);
  const tx = combined + channels.getUint32(24, true);
  return { rx: Math.max(1, rx), tx: Math.max(1, tx) };
}

/** `veth`, `virtio_net`; empty if the driver does not say. Throws SetupError. */
export function interfaceDriver(name: string): string {
  const text = ask(name, ETHTOOL_GDRVINFO, 196)?.bytes.toString('latin1', 4, 4 + DRIVER_SIZE) ?? '';
  return text.split('\0')[0]!;
}

function ask(name: string, command: number, length: number): Pinned | undefined {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, `ask the driver of ${name}`, '');
  const answer = pinned(length);
  answer.view.setUint32(0, command, true);
  const request = ifreq(name);
  writeWord(new DataView(request.buffer, request.byteOffset, request.length), IFNAMSIZ, answer.at);
  const known = libc().ioctl(fd, SIOCETHTOOL, request) === 0;
  libc().close(fd);
  return known ? answer : undefined;
}
