import { describe, expect, test } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { CHECKSUM_PARTIAL } from '../skb/checksum_state.ts';
import { SkbPool } from '../skb/pool.ts';
import { SKB_GSO_UDP_L4 } from '../skb/shared_info.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_IP, ETH_P_IPV6 } from '../wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { writeIpv6 } from '../wire/ipv6.ts';
import { udpChecksumOk } from '../wire/udp.ts';
import { freeSegments } from './gso_segment.ts';
import { udpGsoSendSegments } from './gso_udp_send.ts';
import { frameOf, superFrameArena } from './super_frame.fixture.ts';
import { validateXmitSkb } from './validate_xmit.ts';

const MTU = 1500;
const MSS4 = MTU - 28;
const MSS6 = MTU - 48;
type Row = [family: 4 | 6, len: number, gso: number, lengths: number[] | 'error'];
const full = (count: number, of: number, ...rest: number[]) => [...new Array<number>(count).fill(of), ...rest];

/** The rows of tools/testing/selftests/net/udpgso.c. */
const rows: Row[] = ([4, 6] as const).flatMap((family): Row[] => {
  const mss = family === 4 ? MSS4 : MSS6;
  const most = family === 4 ? 65535 - 28 : 65535 - 8;
  const whole = Math.floor(most / mss);
  return [
    [family, 1, 0, [1]],
    [family, mss, 0, [mss]],
    [family, mss + 1, 0, 'error'],
    [family, mss, mss, [mss]],
    [family, mss, mss + 1, [mss]],
    [family, mss + 1, mss + 2, 'error'],
    [family, mss + 1, mss, [mss, 1]],
    [family, 2 * mss, mss, [mss, mss]],
    [family, 2 * mss + 1, mss, [mss, mss, 1]],
    [family, whole * mss, mss, full(whole, mss)],
    [family, most, mss, full(whole, mss, most - whole * mss)],
    [family, most + 1, mss, 'error'],
    [family, 1, 1, [1]],
    [family, 2, 1, [1, 1]],
    [family, 5, 2, [2, 2, 1]],
    [family, 128, 1, full(128, 1)],
    [family, 129, 1, 'error'],
  ];
});

const arena = superFrameArena(140);
const pool = new SkbPool(arena, 140);
const dev = testDevice(testNet().net);

/** What the receiver of a frame gets: payload lengths, after a look at lengths and checksums. */
function received(family: 4 | 6, len: number, gso: number, extension = false): number[] {
  const ipLen = family === 4 ? 20 : extension ? 48 : 40;
  const bytes = new Uint8Array(14 + ipLen + 8 + len).fill(0x61);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, family === 4 ? ETH_P_IP : ETH_P_IPV6);
  const address = new Uint8Array(16).fill(1);
  if (family === 4) writeIpv4(view, 14, 9, IPPROTO_UDP, 0x0a000001, 0x0a000002, 8 + len);
  else writeIpv6(view, 14, extension ? 0 : IPPROTO_UDP, 8, address, address, (ipLen - 40 + 8 + len) & 0xffff);
  // A hop-by-hop header with nothing in it but padding.
  if (extension) bytes.set([IPPROTO_UDP, 0, 1, 4, 0, 0, 0, 0], 14 + 40);
  const at = 14 + ipLen;
  view.setUint16(at + 4, 8 + len);
  const words = family === 4 ? [0x0a00, 1, 0x0a00, 2] : new Array<number>(16).fill(0x0101);
  let sum = [...words, IPPROTO_UDP, 8 + len].reduce((a, b) => a + b);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at + 6, sum);
  const skb = frameOf(pool, bytes, 'frags', 100, 8000);
  skb.dev = dev;
  skb.protocol = family === 4 ? ETH_P_IP : ETH_P_IPV6;
  skb.ipSummed = CHECKSUM_PARTIAL;
  skb.csumStart = skb.data + at;
  skb.csumOffset = 6;
  if (len > gso && gso > 0) {
    pool.info.gsoSize[skb.shinfo] = gso;
    pool.info.gsoType[skb.shinfo] = SKB_GSO_UDP_L4;
  }
  const first = validateXmitSkb(skb);
  const lengths: number[] = [];
  for (let each: SkBuff | null = first; each !== null; each = each.next) {
    const uh = each.data + at;
    const udpLen = arena.view.getUint16(uh + 4);
    expect(udpLen).toBe(each.len - at);
    expect(udpChecksumOk(arena.view, each.data + 14, family === 4 ? 4 : 16, uh, udpLen)).toBe(true);
    lengths.push(udpLen - 8);
  }
  freeSegments(first);
  expect([pool.inUse, arena.available]).toEqual([0, 140]);
  return lengths;
}

describe('UDP GSO, as the kernel’s udpgso test asks for it', () => {
  test.each(rows)('IPv%i: %i bytes in segments of %i', (family, len, gso, lengths) => {
    const segments = udpGsoSendSegments(len, gso, family === 4 ? 20 : 40, MTU);
    if (lengths === 'error') {
      expect(segments).toBeLessThan(0);
      return;
    }
    expect(segments).toBe(lengths.length);
    // A jumbo payload has no length field that holds it; nobody sends those as one super-frame.
    if (len + 8 <= 65535 - (family === 6 ? 40 : 20)) expect(received(family, len, gso)).toEqual(lengths);
  });

  test('IPv6 with an extension header: 2 bytes in segments of 1', () => {
    expect(udpGsoSendSegments(2, 1, 48, MTU)).toBe(2);
    expect(received(6, 2, 1, true)).toEqual([1, 1]);
    // The header counts against the MTU.
    expect(udpGsoSendSegments(2 * MSS6, MSS6 - 8, 48, MTU)).toBe(3);
    expect(udpGsoSendSegments(2 * MSS6, MSS6, 48, MTU)).toBeLessThan(0);
  });
});
