/**
 * A pktgen's state in pktgen's words: the result of a run, and the whole as /proc/net/pktgen/DEV prints it.
 */
import { printIpv6, printMac } from '../../wire/address.ts';
import { hasFlag, PKTGEN_FLAGS, type PktgenFlag, type PktgenParams, printFour } from './params.ts';
import type { Pktgen } from './pktgen.ts';

/** Figures of a run, up to now or its end. Mb/s are those of frames without check sequence and gap. */
export interface PktgenResult {
  readonly totalUs: number;
  /** Not counting the wait for room. */
  readonly busyUs: number;
  readonly idleUs: number;
  readonly sofar: number;
  readonly txBytes: number;
  readonly errors: number;
  readonly slipped: number;
  readonly pps: number;
  readonly bps: number;
  readonly mbps: number;
  readonly pktSize: number;
  readonly seqNum: number;
}

export function pktgenResult(pktgen: Pktgen): PktgenResult {
  const totalUs = pktgen.totalNs / 1e3;
  const idleUs = Math.round(pktgen.idleNs / 1e3);
  const perSecond = (n: number): number => (totalUs > 0 ? Math.round((n * 1e6) / totalUs) : 0);
  const bps = perSecond(pktgen.txBytes * 8);
  return {
    totalUs: Math.round(totalUs),
    busyUs: Math.round(totalUs) - idleUs,
    idleUs,
    sofar: pktgen.sofar,
    txBytes: pktgen.txBytes,
    errors: pktgen.errors,
    slipped: pktgen.slipped,
    pps: perSecond(pktgen.sofar),
    bps,
    mbps: Math.floor(bps / 1e6),
    pktSize: pktgen.headers.len,
    seqNum: pktgen.seqNum,
  };
}

/** Two lines. (`show_results`) */
export function showResult(result: PktgenResult): string {
  const { totalUs, busyUs, idleUs, sofar, pktSize, pps, mbps, bps, errors } = result;
  return (
    `OK: ${totalUs}(c${busyUs}+d${idleUs}) usec, ${sofar} (${pktSize}byte,0frags)\n` +
    `  ${pps}pps ${mbps}Mb/sec (${bps}bps) errors: ${errors}`
  );
}

/** Params, Current and Result. (`pktgen_if_show`) */
export function showPktgen(pktgen: Pktgen): string {
  const { params, headers } = pktgen;
  const flags = (Object.keys(PKTGEN_FLAGS) as PktgenFlag[]).filter((flag) => hasFlag(params, flag));
  const us = (ns: number): number => Math.round(ns / 1e3);
  return [
    `Params: count ${params.count}  min_pkt_size: ${params.minPktSize}  max_pkt_size: ${params.maxPktSize}`,
    `     frags: 0  delay: ${Math.round(params.delayNs)}  clone_skb: ${params.cloneSkb}  ifname: ${pktgen.dev.name}`,
    `     flows: ${params.flows} flowlen: ${params.flowlen}`,
    `     queue_map_min: ${params.queueMapMin}  queue_map_max: ${params.queueMapMax}`,
    ...addressLines(params),
    `     src_mac: ${printMac(params.srcMacSet ? params.srcMac : pktgen.dev.devAddr)} dst_mac: ${printMac(params.dstMac)}`,
    `     udp_src_min: ${params.udpSrcMin}  udp_src_max: ${params.udpSrcMax}  udp_dst_min: ${params.udpDstMin}  udp_dst_max: ${params.udpDstMax}`,
    `     src_mac_count: ${params.srcMacCount}  dst_mac_count: ${params.dstMacCount}`,
    ...(params.burst > 1 ? [`     burst: ${params.burst}`] : []),
    ...tagLines(params),
    `     Flags: ${flags.join('  ')}`,
    'Current:',
    `     pkts-sofar: ${pktgen.sofar}  errors: ${pktgen.errors}`,
    `     started: ${us(pktgen.startedNs)}us  stopped: ${us(pktgen.stoppedNs)}us idle: ${us(pktgen.idleNs)}us`,
    `     seq_num: ${pktgen.seqNum}  cur_dst_mac_offset: ${headers.curDstMacOffset}  cur_src_mac_offset: ${headers.curSrcMacOffset}`,
    ...(hasFlag(params, 'IPV6')
      ? []
      : [`     cur_saddr: ${printFour(headers.curSaddr)}  cur_daddr: ${printFour(headers.curDaddr)}`]),
    `     cur_udp_dst: ${headers.curUdpDst}  cur_udp_src: ${headers.curUdpSrc}`,
    `     cur_queue_map: ${headers.curQueueMap}`,
    `     flows: ${headers.flows?.begun ?? 0}`,
    `Result: ${pktgen.running || pktgen.sofar + pktgen.errors === 0 ? 'Idle' : showResult(pktgenResult(pktgen))}`,
  ].join('\n');
}

function addressLines(params: PktgenParams): string[] {
  if (hasFlag(params, 'IPV6')) {
    return [
      `     saddr: ${printIpv6(params.src6)}  daddr: ${printIpv6(params.dst6Min)}  max_daddr: ${printIpv6(params.dst6Max)}`,
    ];
  }
  const max = (value: number, min: number): string => (value > min ? printFour(value) : '');
  return [
    `     dst_min: ${printFour(params.dstMin)}  dst_max: ${max(params.dstMax, params.dstMin)}`,
    `     src_min: ${printFour(params.srcMin)}  src_max: ${max(params.srcMax, params.srcMin)}`,
  ];
}

function tagLines(params: PktgenParams): string[] {
  const lines: string[] = [];
  if (params.vlanId !== 0xffff) {
    lines.push(`     vlan_id: ${params.vlanId}  vlan_p: ${params.vlanP}  vlan_cfi: ${params.vlanCfi}`);
  }
  if (params.svlanId !== 0xffff) {
    lines.push(`     svlan_id: ${params.svlanId}  vlan_p: ${params.svlanP}  vlan_cfi: ${params.svlanCfi}`);
  }
  return lines;
}
