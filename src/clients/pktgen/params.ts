/**
 * What a pktgen sends, in pktgen's own words: the settings of one device, and the command lines that change them.
 *
 *     pgset(params, 'dst_min 10.0.0.1')  -->  'OK: dst_min=10.0.0.1'          pgset(params, 'frags 3')  -->  a SetupError
 *
 * Ranges: a value walks from min to max, both included, and begins again; with its _RND flag it is drawn. (The kernel leaves out the
 * maximum of a port range, and begins one behind the minimum.)
 * Answers to: Documentation/networking/pktgen.rst.
 */
import { SetupError } from '../../base/status.ts';
import { type IpAddress, parseIp, parseMac, printIp, printMac } from '../../wire/address.ts';
import { ETH_ZLEN } from '../../wire/eth.ts';

/** Bits of `flags`. */
export const PKTGEN_FLAGS = {
  IPSRC_RND: 1 << 0,
  IPDST_RND: 1 << 1,
  UDPSRC_RND: 1 << 2,
  UDPDST_RND: 1 << 3,
  MACSRC_RND: 1 << 4,
  MACDST_RND: 1 << 5,
  TXSIZE_RND: 1 << 6,
  IPV6: 1 << 7,
  FLOW_SEQ: 1 << 8,
  QUEUE_MAP_RND: 1 << 9,
  UDPCSUM: 1 << 10,
  NO_TIMESTAMP: 1 << 11,
  SHARED: 1 << 12,
} as const;
export type PktgenFlag = keyof typeof PKTGEN_FLAGS;

const MAX_CFLOWS = 65536;
const NO_TAG = 0xffff;
const FRAME_MAX = 65535;

/** Lengths without the check sequence, times in nanoseconds, IPv4 addresses as numbers. */
export interface PktgenParams {
  /** Frames to send; 0: until it is stopped. */
  count: number;
  /** From one frame to the next; 0: as fast as the device takes them. */
  delayNs: number;
  /** Frames for one doorbell. */
  burst: number;
  /** How often one frame is sent before the next is made. */
  cloneSkb: number;
  minPktSize: number;
  maxPktSize: number;
  readonly dstMac: Uint8Array;
  readonly srcMac: Uint8Array;
  /** srcMac was given; else it is the device's. */
  srcMacSet: boolean;
  dstMacCount: number;
  srcMacCount: number;
  dstMin: number;
  dstMax: number;
  srcMin: number;
  srcMax: number;
  /** Of an IPv6 range the last 32 bits walk. */
  dst6Min: Uint8Array;
  dst6Max: Uint8Array;
  src6: Uint8Array;
  udpSrcMin: number;
  udpSrcMax: number;
  udpDstMin: number;
  udpDstMax: number;
  /** 0xffff: no tag. */
  vlanId: number;
  vlanP: number;
  vlanCfi: number;
  svlanId: number;
  svlanP: number;
  svlanCfi: number;
  tos: number;
  trafficClass: number;
  queueMapMin: number;
  queueMapMax: number;
  /** Flows at once, each with a destination of its own, and frames before one ends; 0: none. */
  flows: number;
  flowlen: number;
  flags: number;
}

/** As a device begins: 60 bytes from port 9 to port 9, checksums on. */
export function pktgenParams(): PktgenParams {
  return {
    count: 1000,
    delayNs: 0,
    burst: 64,
    cloneSkb: 0,
    minPktSize: ETH_ZLEN,
    maxPktSize: ETH_ZLEN,
    dstMac: new Uint8Array(6),
    srcMac: new Uint8Array(6),
    srcMacSet: false,
    dstMacCount: 0,
    srcMacCount: 0,
    dstMin: 0,
    dstMax: 0,
    srcMin: 0,
    srcMax: 0,
    dst6Min: new Uint8Array(16),
    dst6Max: new Uint8Array(16),
    src6: new Uint8Array(16),
    udpSrcMin: 9,
    udpSrcMax: 9,
    udpDstMin: 9,
    udpDstMax: 9,
    vlanId: NO_TAG,
    vlanP: 0,
    vlanCfi: 0,
    svlanId: NO_TAG,
    svlanP: 0,
    svlanCfi: 0,
    tos: 0,
    trafficClass: 0,
    queueMapMin: 0,
    queueMapMax: 0,
    flows: 0,
    flowlen: 0,
    flags: PKTGEN_FLAGS.UDPCSUM | PKTGEN_FLAGS.SHARED,
  };
}

export function hasFlag(params: PktgenParams, flag: PktgenFlag): boolean {
  return (params.flags & PKTGEN_FLAGS[flag]) !== 0;
}

type Setter = (params: PktgenParams, value: string) => string | number;

/**
 * Carries out one command line: `name value`. Gives the kernel's answer. Throws SetupError `ERR_NETPOLL_OPTIONS`: no such command, not
 * a value for it, or one that is not built.
 */
export function pgset(params: PktgenParams, line: string): string {
  const [name = '', value = '', more] = line.trim().split(/\s+/);
  const setter = COMMANDS[name];
  if (setter === undefined) {
    const missing = NOT_BUILT.includes(name);
    throw refusal(
      missing
        ? `pktgen: ${name} is not built`
        : `pktgen: no command "${name}"; there are: ${Object.keys(COMMANDS).join(' ')}`,
    );
  }
  if (value === '' || more !== undefined) throw refusal(`pktgen: ${name} takes one value, not "${line.trim()}"`);
  return `OK: ${name}=${setter(params, value)}`;
}

const NOT_BUILT = ['frags', 'mpls', 'spi', 'node', 'skb_priority', 'debug', 'imix_weights'];

/** Commands whose value is a number that goes straight into a field. */
function number(field: NumberField, min: number, max: number): Setter {
  return (params, value) => {
    params[field] = whole(value, min, max);
    return params[field];
  };
}
type NumberField = { [K in keyof PktgenParams]: PktgenParams[K] extends number ? K : never }[keyof PktgenParams];

const COMMANDS: Readonly<Record<string, Setter>> = {
  count: number('count', 0, Number.MAX_SAFE_INTEGER),
  delay: number('delayNs', 0, 1e12),
  rate(params, value) {
    const mbits = /^(\d+)M?$/.exec(value)?.[1];
    if (mbits === undefined || Number(mbits) === 0) throw refusal(`pktgen: rate ${value}: give Mb/s, as 300M`);
    params.delayNs = (params.minPktSize * 8 * 1000) / Number(mbits);
    return params.delayNs;
  },
  ratep(params, value) {
    params.delayNs = 1e9 / whole(value, 1, 1e9);
    return params.delayNs;
  },
  burst: number('burst', 1, 512),
  clone_skb: number('cloneSkb', 0, Number.MAX_SAFE_INTEGER),
  pkt_size(params, value) {
    params.minPktSize = whole(value, 14, FRAME_MAX);
    params.maxPktSize = params.minPktSize;
    return params.minPktSize;
  },
  min_pkt_size(params, value) {
    params.minPktSize = whole(value, 14, FRAME_MAX);
    params.maxPktSize = Math.max(params.maxPktSize, params.minPktSize);
    return params.minPktSize;
  },
  max_pkt_size(params, value) {
    params.maxPktSize = whole(value, 14, FRAME_MAX);
    params.minPktSize = Math.min(params.maxPktSize, params.minPktSize);
    return params.maxPktSize;
  },
  dst_mac(params, value) {
    params.dstMac.set(mac(value));
    return printMac(params.dstMac);
  },
  src_mac(params, value) {
    params.srcMac.set(mac(value));
    params.srcMacSet = true;
    return printMac(params.srcMac);
  },
  dst_mac_count: number('dstMacCount', 0, 1 << 24),
  src_mac_count: number('srcMacCount', 0, 1 << 24),
  dst(params, value) {
    params.dstMin = four(value);
    params.dstMax = params.dstMin;
    return value;
  },
  dst_min(params, value) {
    params.dstMin = four(value);
    params.dstMax = Math.max(params.dstMax, params.dstMin);
    return value;
  },
  dst_max(params, value) {
    params.dstMax = four(value);
    return value;
  },
  src_min(params, value) {
    params.srcMin = four(value);
    params.srcMax = Math.max(params.srcMax, params.srcMin);
    return value;
  },
  src_max(params, value) {
    params.srcMax = four(value);
    return value;
  },
  dst6(params, value) {
    params.flags |= PKTGEN_FLAGS.IPV6;
    params.dst6Min = six(value);
    params.dst6Max = params.dst6Min;
    return value;
  },
  dst6_min(params, value) {
    params.flags |= PKTGEN_FLAGS.IPV6;
    params.dst6Min = six(value);
    return value;
  },
  dst6_max(params, value) {
    params.flags |= PKTGEN_FLAGS.IPV6;
    params.dst6Max = six(value);
    return value;
  },
  src6(params, value) {
    params.flags |= PKTGEN_FLAGS.IPV6;
    params.src6 = six(value);
    return value;
  },
  udp_src_min: number('udpSrcMin', 0, 65535),
  udp_src_max: number('udpSrcMax', 0, 65535),
  udp_dst_min: number('udpDstMin', 0, 65535),
  udp_dst_max: number('udpDstMax', 0, 65535),
  vlan_id(params, value) {
    const id = whole(value, 0, 65535);
    params.vlanId = id > 4095 ? NO_TAG : id;
    // Without an inner tag there is no outer one.
    if (id > 4095) params.svlanId = NO_TAG;
    return id;
  },
  vlan_p: number('vlanP', 0, 7),
  vlan_cfi: number('vlanCfi', 0, 1),
  svlan_id(params, value) {
    const id = whole(value, 0, 65535);
    params.svlanId = id > 4095 ? NO_TAG : id;
    return id;
  },
  svlan_p: number('svlanP', 0, 7),
  svlan_cfi: number('svlanCfi', 0, 1),
  tos: hex('tos'),
  traffic_class: hex('trafficClass'),
  queue_map_min: number('queueMapMin', 0, 65535),
  queue_map_max: number('queueMapMax', 0, 65535),
  flows: number('flows', 0, MAX_CFLOWS),
  flowlen: number('flowlen', 0, Number.MAX_SAFE_INTEGER),
  flag(params, value) {
    const name = value.replace(/^!/, '');
    const bit = PKTGEN_FLAGS[name as PktgenFlag];
    if (bit === undefined) {
      throw refusal(`pktgen: no flag "${name}"; there are: ${Object.keys(PKTGEN_FLAGS).join(' ')}`);
    }
    params.flags = value.startsWith('!') ? params.flags & ~bit : params.flags | bit;
    return value;
  },
  xmit_mode(_params, value) {
    if (value !== 'start_xmit') throw refusal(`pktgen: xmit_mode ${value} is not built; there is start_xmit`);
    return value;
  },
};

function hex(field: 'tos' | 'trafficClass'): Setter {
  return (params, value) => {
    if (!/^[0-9a-fA-F]{1,2}$/.test(value)) throw refusal(`pktgen: ${value}: give two hexadecimal digits`);
    params[field] = Number.parseInt(value, 16);
    return value;
  };
}

function whole(value: string, min: number, max: number): number {
  const n = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(n >= min && n <= max)) throw refusal(`pktgen: ${value}: give a whole number from ${min} to ${max}`);
  return n;
}

function mac(value: string): Uint8Array {
  const bytes = parseMac(value);
  if (bytes === null) throw refusal(`pktgen: "${value}" is not a hardware address`);
  return bytes;
}

function four(value: string): number {
  const ip = parseIp(value);
  if (ip === null || ip.family !== 4) throw refusal(`pktgen: "${value}" is not an IPv4 address`);
  return ip.v4;
}

function six(value: string): Uint8Array {
  const ip: IpAddress | null = parseIp(value);
  if (ip === null || ip.family !== 6) throw refusal(`pktgen: "${value}" is not an IPv6 address`);
  return ip.v6;
}

function refusal(message: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', message);
}

/** An IPv4 address as the reports print it. */
export function printFour(v4: number): string {
  return printIp({ family: 4, v4 });
}
