/** A netconsole datagram of one of many machines: extended format, 120 bytes of text. As a record, and as a frame to be sent. */
import type { NetDevice } from '../../src/device/net_device.ts';
import { type SkBuff, skbPut } from '../../src/skb/sk_buff.ts';
import { ETH_HLEN, ETH_P_IP, writeEth } from '../../src/wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../../src/wire/ipv4.ts';
import { UDP_HLEN, writeUdp } from '../../src/wire/udp.ts';
import { PORT } from './order.ts';

const STATION = Uint8Array.of(2, 0, 0, 0, 0, 2);
const SENDER = Uint8Array.of(2, 0, 0, 0, 0, 1);
const SOURCES_AT = 0x0a4d0001;
const COLLECTOR = 0x0a000002;
const TEXT =
  'eth0: link up, 1000Mbps, full duplex, flow control rx/tx; this line is as long as lines of the kernel are in the mean...';

/** IPv4 address and UDP port of machine `source`. */
export function senderOf(source: number): { readonly address: number; readonly port: number } {
  return { address: SOURCES_AT + source, port: 20_000 + source };
}

/** Record `seq` of a machine. */
export function netconsoleRecord(seq: number): Buffer {
  return Buffer.from(`6,${1000 + seq},${5_000_000 + seq * 1000},-;${TEXT}\n`, 'latin1');
}

/** Writes record `seq` of machine `source` into an empty frame. */
export function netconsoleFrame(skb: SkBuff, dev: NetDevice, source: number, seq: number): void {
  const { view, bytes } = skb.arena;
  const { address, port } = senderOf(source);
  const record = netconsoleRecord(seq);
  const at = skbPut(skb, ETH_HLEN + IPV4_HLEN + UDP_HLEN + record.length);
  writeEth(view, at, STATION, SENDER, ETH_P_IP);
  const ip = at + ETH_HLEN;
  const udp = ip + IPV4_HLEN;
  writeIpv4(view, ip, seq & 0xffff, IPPROTO_UDP, address, COLLECTOR, UDP_HLEN + record.length);
  bytes.set(record, udp + UDP_HLEN);
  writeUdp(view, ip, 4, udp, port, PORT, record.length);
  skb.dev = dev;
  skb.protocol = ETH_P_IP;
}
