// Where a checksum belongs that a virtual peer has not filled in.
import { expect, it } from 'vitest';
import { createArena } from '../skb/arena.ts';
import { CHECKSUM_NONE, CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { SkbPool } from '../skb/pool.ts';
import { skbPut, skbReserve } from '../skb/sk_buff.ts';
import { skbChecksumSetup } from './checksum_setup.ts';

const V4 = '450000280000000040060000c0a80101c0a80102';
const UDP4 = V4.replace('4006', '4011');
const V6 = `6000000000140640${'20'.repeat(32)}`;
const TCP = '00'.repeat(20);

it.each([
  ['TCP over IPv4', 0x0800, V4 + TCP, 20, 16],
  ['UDP over IPv4', 0x0800, UDP4 + TCP, 20, 6],
  ['TCP over IPv4 with options', 0x0800, `${V4.replace('45', '46')}00000000${TCP}`, 24, 16],
  ['TCP over IPv6', 0x86dd, V6 + TCP, 40, 16],
  ['TCP behind two tags', 0x8100, `0005810000070800${V4}${TCP}`, 28, 16],
  ['a fragment', 0x0800, `${V4.slice(0, 12)}2000${V4.slice(16)}${TCP}`, -1, 0],
  ['ICMP', 0x0800, V4.replace('4006', '4001') + TCP, -1, 0],
  ['a header that is cut off', 0x0800, `${V4}0000`, -1, 0],
  ['ARP', 0x0806, TCP, -1, 0],
] as const)('%s', (_what, type, hex, start, offset) => {
  const pool = new SkbPool(createArena(1), 1);
  const skb = pool.alloc(200)!;
  skbReserve(skb, 20);
  const bytes = Buffer.from(hex, 'hex');
  const at = skbPut(skb, bytes.length);
  skb.arena.bytes.set(bytes, at);
  skb.protocol = type;
  skb.ipSummed = CHECKSUM_PARTIAL;
  skbChecksumSetup(skb);
  if (start < 0) expect(skb.ipSummed).toBe(CHECKSUM_NONE);
  else expect([skb.ipSummed, skb.csumStart - at, skb.csumOffset]).toEqual([CHECKSUM_PARTIAL, start, offset]);
});
