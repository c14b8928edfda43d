/**
 * How many queues an interface has, asked through ioctl():
 *
 *     struct ethtool_channels { u32 cmd @0, max_rx @4, max_tx @8, max_other @12, max_combined @16, rx_count @20, tx_count @24,
 *                               other_count @28, combined_count @32 }                                              36 bytes
 *
 * A combined channel is one queue of each kind. What `ethtool -l` shows.
 */
import { ifreq } from './interface.ts';
import { libc } from './libc.ts';
import { pinned, writeWord } from './pinned.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.ts';

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GCHANNELS = 0x3c;
const IFNAMSIZ = 16;

export interface Channels {
  readonly rx: number;
  readonly tx: number;
}

/** One of each for an interface whose driver does not say. Throws SetupError. */
export function interfaceChannels(name: string): Channels {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, `ask for the queues of ${name}`, '');
  const channels = pinned(36);
  channels.view.setUint32(0, ETHTOOL_GCHANNELS, true);
  const request = ifreq(name);
  writeWord(new DataView(request.buffer, request.byteOffset, request.length), IFNAMSIZ, channels.at);
  const known = libc().ioctl(fd, SIOCETHTOOL, request) === 0;
  libc().close(fd);
  if (!known) return { rx: 1, tx: 1 };
  const combined = channels.view.getUint32(32, true);
  const rx = combined + channels.view.getUint32(20, true);
  const tx = combined + channels.view.getUint32(24, true);
  return { rx: Math.max(1, rx), tx: Math.max(1, tx) };
}
