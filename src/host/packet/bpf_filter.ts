/**
 * Classic BPF programs for packet sockets: the kernel drops what does not match before it costs a copy into the ring.
 *
 *     struct sock_filter { u16 code @0; u8 jt @2; u8 jf @3; u32 k @4 }     8 bytes an instruction
 *
 * Answers to: Documentation/networking/filter.rst.
 */
import { SetupError } from '../../base/status.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_UDP } from '../../wire/ipv4.ts';

/** One instruction: code, jump if true, jump if false (both relative), operand. */
export type SockFilter = readonly [code: number, jt: number, jf: number, k: number];

const LD_HALF = 0x28; // A = half word at k
const LD_BYTE = 0x30; // A = byte at k
const LD_HALF_IND = 0x48; // A = half word at X + k
const LDX_IHL = 0xb1; // X = 4 * (byte at k & 15)
const JEQ = 0x15; // A == k
const JSET = 0x45; // A & k
const RET = 0x06; // keep k bytes
const KEEP_ALL = 0x40000;
const PROGRAM_MAX = 4096;

/**
 * Passes UDP datagrams to `port` over IPv4 (first fragments and whole datagrams) and IPv6 without extension headers, in
 * frames whose VLAN tag, if any, the kernel has taken out. Everything else (ARP too) is left to the kernel alone.
 */
export function udpPortFilter(port: number): SockFilter[] {
  if (!Number.isInteger(port) || port < 1 || port > 0xffff) {
    throw new SetupError('ERR_NETPOLL_FILTER', `${port} is no UDP port`);
  }
  return [
    /*  0 */ [LD_HALF, 0, 0, 12], // EtherType
    /*  1 */ [JEQ, 0, 7, ETH_P_IP], // else 9
    /*  2 */ [LD_BYTE, 0, 0, 23], // protocol
    /*  3 */ [JEQ, 0, 11, IPPROTO_UDP], // else 15
    /*  4 */ [LD_HALF, 0, 0, 20], // fragment offset
    /*  5 */ [JSET, 9, 0, 0x1fff], // a later fragment has no ports: 15
    /*  6 */ [LDX_IHL, 0, 0, 14],
    /*  7 */ [LD_HALF_IND, 0, 0, 16], // destination port
    /*  8 */ [JEQ, 5, 6, port], // 14, else 15
    /*  9 */ [JEQ, 0, 5, ETH_P_IPV6], // else 15
    /* 10 */ [LD_BYTE, 0, 0, 20], // next header
    /* 11 */ [JEQ, 0, 3, IPPROTO_UDP], // else 15
    /* 12 */ [LD_HALF, 0, 0, 56], // destination port
    /* 13 */ [JEQ, 0, 1, port], // else 15
    /* 14 */ [RET, 0, 0, KEEP_ALL],
    /* 15 */ [RET, 0, 0, 0],
  ];
}

/** Refuses every frame. */
export const REFUSE_ALL: readonly SockFilter[] = [[RET, 0, 0, 0]];

/** The program as the kernel reads it. Throws SetupError `ERR_NETPOLL_FILTER` if it is empty or too long. */
export function encodeFilter(program: readonly SockFilter[]): Buffer {
  if (program.length === 0 || program.length > PROGRAM_MAX) {
    throw new SetupError('ERR_NETPOLL_FILTER', `a filter has 1 to ${PROGRAM_MAX} instructions, not ${program.length}`);
  }
  const bytes = Buffer.allocUnsafeSlow(8 * program.length);
  program.forEach(([code, jt, jf, k], i) => {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(jt, 8 * i + 2);
    bytes.writeUInt8(jf, 8 * i + 3);
    bytes.writeUInt32LE(k >>> 0, 8 * i + 4);
  });
  return bytes;
}
