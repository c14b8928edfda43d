/**
 * The core network stack that netpoll does without, as far as a receiver of datagrams needs it: IPv4 and IPv6 in, UDP
 * sockets by port.
 *
 *     netif_receive_skb --ETH_P_IP---> ipv4Rcv --\
 *                       --ETH_P_IPV6-> ipv6Rcv ---+--> udpRcv --> the socket bound to the destination port
 *
 * Checks in the kernel's order, each failure with its drop reason and the counter that nstat shows. Frames are consumed.
 */
import { Counters } from '../base/counters.ts';
import type { Stack } from '../stack/net_init.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { ipv4Rcv } from './ipv4.ts';
import { ipv6Rcv } from './ipv6.ts';
import { SNMP_NAMES, type SnmpName } from './snmp.ts';
import { UdpTable } from './udp_table.ts';

export interface InetOptions {
  /**
   * Take packets for any address, also those whose frames were for another host: for a reader of captures, where the
   * addresses are other machines' ones. (AnyIP and promiscuous mode)
   */
  readonly promiscuous?: boolean;
}

export class Inet {
  readonly snmp: Counters<SnmpName> = new Counters(SNMP_NAMES);
  readonly promiscuous: boolean;
  readonly udpTable = new UdpTable();

  constructor(stack: Stack, options: InetOptions = {}) {
    this.promiscuous = options.promiscuous ?? false;
    stack.types.add(ETH_P_IP, (skb) => ipv4Rcv(this, skb));
    stack.types.add(ETH_P_IPV6, (skb) => ipv6Rcv(this, skb));
  }
}
