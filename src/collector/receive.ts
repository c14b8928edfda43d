/**
 * The collector's UDP socket: between the stack and the collector.
 *
 *     port --> nic driver --> NAPI --> netif_receive_skb --> IP --> UDP --> this --> Collector.datagram
 *
 * The frame stays the stack's; the collector reads the payload during the call.
 */
import type { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { printIpv4, printIpv6 } from '../wire/address.ts';
import { ipv4Source } from '../wire/ipv4.ts';
import { udpDestPort, udpSourcePort } from '../wire/udp.ts';
import type { Collector } from './collector.ts';

/** Texts of IPv4 addresses that are kept; when it is full it starts anew. */
const CACHE_MAX = 4096;

export interface ReceiveOptions {
  /** UDP port; 0: every port that nobody else has bound. */
  readonly port: number;
  /** Wall-clock microseconds, for frames without a time stamp. */
  readonly wallUs: () => number;
  /** The name under which a source address is shown; the address itself if absent. */
  readonly nameOf?: (address: string) => string;
  /** Called before each datagram with the time of its arrival, for who keeps the collector's clock. */
  readonly onDatagram?: (receivedUs: number) => void;
}

/** Binds the collector, or streams of its own, to a port. Throws SetupError `ERR_NETPOLL_PORT_IN_USE`. */
export function receiveInto(collector: Pick<Collector, 'datagram'>, inet: Inet, options: ReceiveOptions): void {
  const texts = new Map<number, string>();
  const name = options.nameOf ?? ((address: string) => address);

  const source = (skb: SkBuff): string => {
    const { view, bytes } = skb.arena;
    const ip = skb.networkHeader;
    if (view.getUint8(ip) >>> 4 === 6) return name(printIpv6(bytes, ip + 8));
    const address = ipv4Source(view, ip);
    let text = texts.get(address);
    if (text === undefined) {
      if (texts.size >= CACHE_MAX) texts.clear();
      text = name(printIpv4(address));
      texts.set(address, text);
    }
    return text;
  };

  udpBind(inet, options.port, (skb) => {
    const { view, bytes } = skb.arena;
    const udp = skb.transportHeader;
    const payload = bytes.subarray(skb.data, skb.data + skb.len);
    const receivedUs = skb.tstampUs > 0 ? skb.tstampUs : options.wallUs();
    options.onDatagram?.(receivedUs);
    collector.datagram(source(skb), udpSourcePort(view, udp), udpDestPort(view, udp), payload, receivedUs);
  });
}
