/**
 * The core network stack that netpoll does without: IPv4 and IPv6, UDP sockets, and, where the machine is to be a host on its
 * links, neighbours, echoes and errors.
 *
 *     netif_receive_skb --ETH_P_ARP--> arpRcv --> neighbours
 *                       --ETH_P_IP---> ipv4Rcv --> [reassembly] --+--> udpRcv --> who is bound to the destination port
 *                       --ETH_P_IPV6-> ipv6Rcv --> [reassembly] --+--> icmpRcv, icmpv6Rcv --> ndiscRcv --> neighbours
 *     UdpSock.sendTo, echo replies, errors --> ipSend --> route --> neighbour --> dev_queue_xmit
 *
 * Checks in the kernel's order, each failure with its drop reason and the counter that nstat shows. Frames are consumed.
 * All time comes from the machine's timers, and everything that waits is bounded.
 */
import { Counters } from '../base/counters.ts';
import { NetdevEvent } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import type { Machine } from '../machine/machine.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { Stack } from '../stack/net_init.ts';
import type { Rps } from '../stack/rps.ts';
import type { IpAddress } from '../wire/address.ts';
import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED } from '../wire/icmp.ts';
import { ICMPV6_EXC_FRAGTIME, ICMPV6_TIME_EXCEED } from '../wire/icmpv6.ts';
import { linkLocalAddress } from '../wire/ndisc.ts';
import { arpRcv, arpSolicit } from './arp.ts';
import { FragTable } from './fragment.ts';
import { icmpSend } from './icmp.ts';
import { icmpv6Send } from './icmpv6.ts';
import { ipv4Rcv } from './ipv4.ts';
import { ipv6Rcv } from './ipv6.ts';
import { ndiscSolicit } from './ndisc.ts';
import { type Neighbour, NeighbourTable } from './neighbour.ts';
import { neighOutput } from './output.ts';
import { IcmpRateLimit } from './rate_limit.ts';
import { Routes } from './route.ts';
import { SNMP_NAMES, Snmp, type SnmpName } from './snmp.ts';
import { UdpTable } from './udp_table.ts';

export interface InetOptions {
  /**
   * Take packets for any address, also those whose frames were for another host: for a reader of captures, where the
   * addresses are other machines' ones. (AnyIP and promiscuous mode)
   */
  readonly promiscuous?: boolean;
  /**
   * Be a host on the links: take packets for one's own addresses only, answer ARP, neighbour solicitations and echoes, tell
   * senders that a port is closed. Without it datagrams are received and nothing is ever said, for a machine that shares its
   * addresses with the kernel underneath.
   */
  readonly host?: boolean;
}

/** Told of each echo reply to us: `data` is at the ICMP header, `rest` is identifier and sequence number. The frame stays the stack's. */
export type EchoHook = (skb: SkBuff, rest: number) => void;

export class Inet {
  readonly machine: Machine;
  readonly snmp: Counters<SnmpName> = new Counters(SNMP_NAMES);
  readonly promiscuous: boolean;
  readonly host: boolean;
  readonly udpTable = new UdpTable();
  readonly routes: Routes;
  readonly arp: NeighbourTable;
  readonly nd: NeighbourTable;
  readonly fragments4: FragTable;
  readonly fragments6: FragTable;
  /** Is told who reads which flow. */
  readonly rps: Rps;
  readonly icmpLimit = new IcmpRateLimit();
  onEchoReply: EchoHook | null = null;
  /** Identification of the last packet. */
  ipId = 0;
  /** Scratch of the layers: a group's hardware address, a group. */
  readonly groupMac = new Uint8Array(6);
  readonly group6 = new Uint8Array(16);

  constructor(stack: Stack, options: InetOptions = {}) {
    const { net, types } = stack;
    this.machine = net.machine;
    this.rps = stack.rps;
    this.promiscuous = options.promiscuous ?? false;
    this.host = options.host ?? false;
    this.routes = new Routes(net);
    const transmit = (skb: SkBuff, to: Neighbour) => neighOutput(skb, to);
    this.arp = new NeighbourTable(net.machine, { solicit: (to, one) => arpSolicit(this, to, one), transmit });
    this.nd = new NeighbourTable(net.machine, { solicit: (to, one) => ndiscSolicit(this, to, one), transmit });
    this.fragments4 = new FragTable(net.machine, {
      onFail: () => this.snmp.add(Snmp.IpReasmFails),
      onTimeout: (first) => {
        this.snmp.add(Snmp.IpReasmTimeout);
        this.snmp.add(Snmp.IpReasmFails);
        if (first !== null) icmpSend(this, first, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME);
      },
    });
    this.fragments6 = new FragTable(net.machine, {
      onFail: () => this.snmp.add(Snmp.Ip6ReasmFails),
      onTimeout: (first) => {
        this.snmp.add(Snmp.Ip6ReasmTimeout);
        this.snmp.add(Snmp.Ip6ReasmFails);
        if (first !== null) icmpv6Send(this, first, ICMPV6_TIME_EXCEED, ICMPV6_EXC_FRAGTIME);
      },
    });
    types.add(ETH_P_IP, (skb) => ipv4Rcv(this, skb));
    types.add(ETH_P_IPV6, (skb) => ipv6Rcv(this, skb));
    if (this.host) types.add(ETH_P_ARP, (skb) => arpRcv(this, skb));
    net.registerNotifier((event, dev) => {
      // With another address of its own what it keeps for its neighbours is wrong.
      if (event === NetdevEvent.DOWN || event === NetdevEvent.UNREGISTER || event === NetdevEvent.CHANGEADDR) {
        this.arp.flush(dev);
        this.nd.flush(dev);
      }
      return 0;
    });
  }

  /** Gives `dev` an address, and the route to who is on its link. Throws SetupError `ERR_NETPOLL_ADDRESS`. */
  addAddress(dev: NetDevice, ip: IpAddress, prefixLen: number): void {
    this.routes.addAddress(dev, ip, prefixLen);
  }

  /** Gives `dev` the IPv6 address that follows from its hardware address. (`addrconf_add_linklocal`) */
  addLinkLocal(dev: NetDevice): IpAddress {
    const ip: IpAddress = { family: 6, v6: linkLocalAddress(dev.devAddr) };
    this.routes.addAddress(dev, ip, 64);
    return ip;
  }
}
