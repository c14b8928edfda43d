/**
 * The XDP program of an xdp port, assembled here: it looks at no more than it must, and hands frames to the socket of the
 * queue that they came in on.
 *
 *     frame --> a UDP datagram to our port? --yes--> bpf_redirect_map(xsks, queue, XDP_PASS) --> our receive ring
 *               (or: no filter)              --no---> XDP_PASS --> the kernel's own stack
 *
 *   1. Without a filter these are five instructions, and the kernel sees nothing of the interface's traffic any more.
 *   2. A queue that has no socket in the map passes its frames to the kernel.
 *   3. With a filter ARP, neighbour discovery, ssh and everything else stay with the kernel: IPv4 (whole datagrams and first
 *      fragments) and IPv6 without extension headers, with one VLAN tag or none.
 *
 *     struct bpf_insn { u8 code @0; u8 dst:4, src:4 @1; s16 off @2; s32 imm @4 }     8 bytes; little-endian
 *
 * Answers to: Documentation/bpf/standardization/instruction-set.rst.
 */
import { SetupError } from '../../base/status.ts';
import { ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6 } from '../../wire/eth.ts';
import { IPPROTO_UDP } from '../../wire/ipv4.ts';

export const XDP_DROP = 1;
export const XDP_PASS = 2;
export const XDP_REDIRECT = 4;

const LOAD_BYTE = 0x71; // dst = *(u8 *)(src + off)
const LOAD_HALF = 0x69;
const LOAD_WORD = 0x61;
const LOAD_MAP = 0x18; // dst = the map behind descriptor imm; two instructions long
const MOV = 0xbf; // dst = src
const MOV_IMM = 0xb7;
const ADD = 0x0f;
const ADD_IMM = 0x07;
const AND_IMM = 0x57;
const SHIFT_LEFT_IMM = 0x67;
const JUMP = 0x05;
const JEQ_IMM = 0x15; // if dst == imm
const JNE_IMM = 0x55;
const JGT = 0x2d; // if dst > src
const CALL = 0x85;
const EXIT = 0x95;
const PSEUDO_MAP_FD = 1;
const BPF_FUNC_REDIRECT_MAP = 51;

/** struct xdp_md */
const CTX_DATA = 0;
const CTX_DATA_END = 4;
const CTX_RX_QUEUE = 16;

const [R0, R1, R2, R3, R4, R5, R6] = [0, 1, 2, 3, 4, 5, 6] as const;

interface Insn {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
  /** Where it jumps to. */
  readonly to?: string;
  /** A name for this place. */
  readonly label?: string;
}

export interface RedirectOptions {
  /** Descriptor of the map from queues to sockets. */
  readonly map: number;
  /** Redirect UDP datagrams to this port only. */
  readonly udpPort?: number | undefined;
  /** What becomes of a frame whose queue has no socket; XDP_PASS if absent. */
  readonly miss?: number;
}

/** The program as the kernel reads it. Throws SetupError `ERR_NETPOLL_FILTER` for a port that is none. */
export function redirectProgram(options: RedirectOptions): Uint8Array {
  const { map, udpPort, miss = XDP_PASS } = options;
  if (udpPort !== undefined && (!Number.isInteger(udpPort) || udpPort < 1 || udpPort > 0xffff)) {
    throw new SetupError('ERR_NETPOLL_FILTER', `${udpPort} is no UDP port`);
  }
  const filter = udpPort === undefined ? [] : udpFilter(udpPort);
  return assemble([
    { code: MOV, dst: R6, src: R1 },
    ...filter,
    { label: 'take', code: LOAD_WORD, dst: R2, src: R6, off: CTX_RX_QUEUE },
    { code: LOAD_MAP, dst: R1, src: PSEUDO_MAP_FD, imm: map },
    { code: 0 },
    { code: MOV_IMM, dst: R3, imm: miss },
    { code: CALL, imm: BPF_FUNC_REDIRECT_MAP },
    { code: EXIT },
    ...(filter.length === 0 ? [] : [{ label: 'pass', code: MOV_IMM, dst: R0, imm: XDP_PASS }, { code: EXIT }]),
  ]);
}

/** Falls through to what follows only by a jump to `take`. r2 is the frame, r3 its end; r4 what is about to be read. */
function udpFilter(port: number): Insn[] {
  const within = (bytes: number): Insn[] => [
    { code: MOV, dst: R4, src: R2 },
    { code: ADD_IMM, dst: R4, imm: bytes },
    { code: JGT, dst: R4, src: R3, to: 'pass' },
  ];
  return [
    { code: LOAD_WORD, dst: R2, src: R6, off: CTX_DATA },
    { code: LOAD_WORD, dst: R3, src: R6, off: CTX_DATA_END },
    ...within(42),
    { code: LOAD_HALF, dst: R5, src: R2, off: 12 },
    { code: JNE_IMM, dst: R5, imm: wire16(ETH_P_8021Q), to: 'untagged' },
    { code: ADD_IMM, dst: R2, imm: 4 },
    ...within(42),
    { code: LOAD_HALF, dst: R5, src: R2, off: 12 },
    { label: 'untagged', code: JEQ_IMM, dst: R5, imm: wire16(ETH_P_IP), to: 'ipv4' },
    { code: JNE_IMM, dst: R5, imm: wire16(ETH_P_IPV6), to: 'pass' },
    ...within(62),
    { code: LOAD_BYTE, dst: R5, src: R2, off: 20 }, // next header
    { code: JNE_IMM, dst: R5, imm: IPPROTO_UDP, to: 'pass' },
    { code: LOAD_HALF, dst: R5, src: R2, off: 56 }, // destination port
    { code: JEQ_IMM, dst: R5, imm: wire16(port), to: 'take' },
    { code: JUMP, to: 'pass' },
    { label: 'ipv4', code: LOAD_BYTE, dst: R5, src: R2, off: 23 }, // protocol
    { code: JNE_IMM, dst: R5, imm: IPPROTO_UDP, to: 'pass' },
    { code: LOAD_HALF, dst: R5, src: R2, off: 20 }, // a later fragment has no ports
    { code: AND_IMM, dst: R5, imm: wire16(0x1fff) },
    { code: JNE_IMM, dst: R5, imm: 0, to: 'pass' },
    { code: LOAD_BYTE, dst: R5, src: R2, off: 14 }, // header length, in words
    { code: AND_IMM, dst: R5, imm: 15 },
    { code: SHIFT_LEFT_IMM, dst: R5, imm: 2 },
    { code: ADD, dst: R2, src: R5 },
    ...within(22),
    { code: LOAD_HALF, dst: R5, src: R2, off: 16 }, // destination port
    { code: JNE_IMM, dst: R5, imm: wire16(port), to: 'pass' },
  ];
}

/** A 16-bit field as a little-endian load reads it. */
function wire16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** Jumps count instructions from the one behind them. */
function assemble(program: readonly Insn[]): Uint8Array {
  const bytes = new Uint8Array(8 * program.length);
  const view = new DataView(bytes.buffer);
  const places = new Map(program.map(({ label }, i) => [label, i]));
  program.forEach(({ code, dst = 0, src = 0, off = 0, imm = 0, to }, i) => {
    const o = 8 * i;
    bytes[o] = code;
    bytes[o + 1] = dst | (src << 4);
    view.setInt16(o + 2, to === undefined ? off : places.get(to)! - i - 1, true);
    view.setInt32(o + 4, imm, true);
  });
  return bytes;
}
