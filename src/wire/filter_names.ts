/**
 * Names in filter expressions: protocols, services, fields and their values.
 */
import { ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { ETH_P_RARP } from './filter_tests.ts';

/** Protocols by EtherType. */
export const ETHER_NAMES: ReadonlyMap<string, number> = new Map([
  ['ip', ETH_P_IP],
  ['ip6', ETH_P_IPV6],
  ['arp', ETH_P_ARP],
  ['rarp', ETH_P_RARP],
  ['slow', 0x8809],
  ['lldp', 0x88cc],
  ['loopback', 0x9000],
]);

/** Protocols above IP, and which of the two IPs carries them. */
export const IP_NAMES: ReadonlyMap<string, readonly [protocol: number, families: '4' | '6' | '46']> = new Map([
  ['icmp', [1, '4']],
  ['igmp', [2, '4']],
  ['tcp', [6, '46']],
  ['igrp', [9, '4']],
  ['udp', [17, '46']],
  ['esp', [50, '46']],
  ['ah', [51, '46']],
  ['icmp6', [58, '6']],
  ['pim', [103, '46']],
  ['vrrp', [112, '4']],
  ['sctp', [132, '46']],
]);

/** Services by the names of /etc/services that people write in filters; all others by number. */
export const SERVICES: ReadonlyMap<string, number> = new Map([
  ['ssh', 22],
  ['smtp', 25],
  ['domain', 53],
  ['bootps', 67],
  ['bootpc', 68],
  ['tftp', 69],
  ['http', 80],
  ['ntp', 123],
  ['snmp', 161],
  ['https', 443],
  ['syslog', 514],
]);

/** Offsets and values by name: tcp[tcpflags] & tcp-syn. */
export const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['tcpflags', 13],
  ['tcp-fin', 0x01],
  ['tcp-syn', 0x02],
  ['tcp-rst', 0x04],
  ['tcp-push', 0x08],
  ['tcp-ack', 0x10],
  ['tcp-urg', 0x20],
  ['tcp-ece', 0x40],
  ['tcp-cwr', 0x80],
  ['icmptype', 0],
  ['icmpcode', 1],
  ['icmp-echoreply', 0],
  ['icmp-unreach', 3],
  ['icmp-sourcequench', 4],
  ['icmp-redirect', 5],
  ['icmp-echo', 8],
  ['icmp-routeradvert', 9],
  ['icmp-routersolicit', 10],
  ['icmp-timxceed', 11],
  ['icmp-paramprob', 12],
  ['icmp-tstamp', 13],
  ['icmp-tstampreply', 14],
  ['icmp6type', 0],
  ['icmp6code', 1],
  ['icmp6-destinationrunreach', 1],
  ['icmp6-packettoobig', 2],
  ['icmp6-timeexceeded', 3],
  ['icmp6-parameterproblem', 4],
  ['icmp6-echo', 128],
  ['icmp6-echoreply', 129],
  ['icmp6-multicastlistenerquery', 130],
  ['icmp6-multicastlistenerreportv1', 131],
  ['icmp6-multicastlistenerdone', 132],
  ['icmp6-routersolicit', 133],
  ['icmp6-routeradvert', 134],
  ['icmp6-neighborsolicit', 135],
  ['icmp6-neighboradvert', 136],
  ['icmp6-redirect', 137],
]);
