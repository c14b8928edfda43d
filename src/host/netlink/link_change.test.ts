import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp } from '../../wire/address.ts';
import {
  deleteAddressRequest,
  deleteNeighbourRequest,
  deleteRouteRequest,
  newAddressRequest,
  newNeighbourRequest,
  newRouteRequest,
} from './address_change.ts';
import { deleteLinkRequest, newLinkRequest, setLinkRequest } from './link_change.ts';
import { nlAttributes, nlErrno, nlMessage, nlMessages, nlReason } from './nlmsg.ts';

/** Sequence numbers are the sender's own. */
const hex = (bytes: Uint8Array): string => {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(0, 8);
  return copy.toString('hex');
};
const recorded = (text: string): string => `${text.slice(0, 16)}00000000${text.slice(24)}`;
const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
const ip = (text: string) => parseIp(text)!;

/** What iproute2 6.1.0 sent for the command, as strace saw it. */
const RECORDED: readonly (readonly [command: string, ours: Uint8Array, theirs: string])[] = [
  [
    'ip link set dev v0 up',
    setLinkRequest(1, 3, { up: true }),
    '20000000100005009560016b0000000000000000030000000100000001000000',
  ],
  [
    'ip link set dev v0 down',
    setLinkRequest(1, 3, { up: false }),
    '20000000100005009560016b0000000000000000030000000000000001000000',
  ],
  [
    'ip link set dev v0 mtu 1400',
    setLinkRequest(1, 3, { mtu: 1400 }),
    '28000000100005009560016b00000000000000000300000000000000000000000800040078050000',
  ],
  [
    'ip link set dev v0 address 02:00:00:00:00:07',
    setLinkRequest(1, 3, { address: mac(7) }),
    '2c000000100005009660016b00000000000000000300000000000000000000000a0001000200000000070000',
  ],
  [
    'ip link set dev v0 promisc on',
    setLinkRequest(1, 3, { promisc: true }),
    '20000000100005009560016b0000000000000000030000000001000000010000',
  ],
  [
    'ip link set dev v0 allmulticast on',
    setLinkRequest(1, 3, { allmulticast: true }),
    '20000000100005009560016b0000000000000000030000000002000000020000',
  ],
  [
    'ip link set dev v0 txqueuelen 50',
    setLinkRequest(1, 3, { txQueueLen: 50 }),
    '28000000100005009560016b000000000000000003000000000000000000000008000d0032000000',
  ],
  [
    'ip link set dev v0 gso_max_size 30000',
    setLinkRequest(1, 3, { gsoMaxSize: 30000 }),
    '28000000100005009560016b00000000000000000300000000000000000000000800290030750000',
  ],
  [
    'ip link set dev v0 name w0',
    setLinkRequest(1, 3, { name: 'w0' }),
    '28000000100005009560016b00000000000000000300000000000000000000000700030077300000',
  ],
  [
    'ip link set dev w0 alias hello',
    setLinkRequest(1, 3, { alias: 'hello' }),
    '2c000000100005009560016b00000000000000000300000000000000000000000900140068656c6c6f000000',
  ],
  [
    'ip link set dev w0 nomaster',
    setLinkRequest(1, 3, { master: 0 }),
    '28000000100005009660016b000000000000000003000000000000000000000008000a0000000000',
  ],
  [
    'ip link add w5 link w0 type vlan id 5',
    newLinkRequest(1, { kind: 'vlan', link: 3, id: 5, name: 'w5' }),
    '48000000100005069560016b0000000000000000000000000000000000000000080005000300000007000300773500001800120008000100766c616e0c0002000600010005000000',
  ],
  [
    'ip link add d0 mtu 1300 address 02:00:00:00:00:09 type dummy',
    newLinkRequest(1, { kind: 'dummy', name: 'd0', mtu: 1300, address: mac(9) }),
    '4c000000100005069660016b000000000000000000000000000000000000000008000400140500000a00010002000000000900000700030064300000100012000900010064756d6d79000000',
  ],
  [
    'ip link add a0 type veth peer name a1',
    newLinkRequest(1, { kind: 'veth', name: 'a0', peer: { name: 'a1' } }),
    '54000000100005069660016b000000000000000000000000000000000000000007000300613000002c0012000800010076657468200002001c000100000000000000000000000000000000000700030061310000',
  ],
  [
    'ip link add b0 type bridge stp_state 1 vlan_filtering 1',
    newLinkRequest(1, { kind: 'bridge', name: 'b0', stp: true, vlanFiltering: true }),
    '4c000000100005069660016b00000000000000000000000000000000000000000700030062300000240012000a00010062726964676500001400020008000500010000000500070001000000',
  ],
  [
    'ip addr add 10.1.2.3/24 dev w0',
    newAddressRequest(1, { ifindex: 3, ip: ip('10.1.2.3'), prefixLen: 24 }),
    '28000000140005069660016b000000000218000003000000080002000a010203080001000a010203',
  ],
  [
    'ip addr del 10.1.2.3/24 dev w0',
    deleteAddressRequest(1, { ifindex: 3, ip: ip('10.1.2.3'), prefixLen: 24 }),
    '28000000150005009660016b000000000218000003000000080002000a010203080001000a010203',
  ],
  [
    'ip addr add fd00::1/64 dev w0 nodad',
    newAddressRequest(1, { ifindex: 3, ip: ip('fd00::1'), prefixLen: 64, nodad: true }),
    '40000000140005069660016b000000000a4002000300000014000200fd00000000000000000000000000000114000100fd000000000000000000000000000001',
  ],
  [
    'ip route add 10.9.0.0/16 via 10.1.2.9 dev w0',
    newRouteRequest(1, { dest: ip('10.9.0.0'), prefixLen: 16, gateway: ip('10.1.2.9'), ifindex: 3 }),
    '34000000180005069660016b0000000002100000fe03000100000000080001000a090000080005000a0102090800040003000000',
  ],
  [
    'ip route del 10.9.0.0/16 via 10.1.2.9 dev w0',
    deleteRouteRequest(1, { dest: ip('10.9.0.0'), prefixLen: 16, gateway: ip('10.1.2.9'), ifindex: 3 }),
    '34000000190005009660016b0000000002100000fe00ff0000000000080001000a090000080005000a0102090800040003000000',
  ],
  [
    'ip neigh replace 10.1.2.9 lladdr 02:00:00:00:00:08 dev w0 nud permanent',
    newNeighbourRequest(1, { ifindex: 3, ip: ip('10.1.2.9'), mac: mac(8) }),
    '300000001c0005059860016b00000000020000000300000080000000080001000a0102090a0002000200000000080000',
  ],
  [
    'ip neigh del 10.1.2.9 dev w0',
    deleteNeighbourRequest(1, { ifindex: 3, ip: ip('10.1.2.9') }),
    '240000001d0005009860016b00000000020000000300000080000000080001000a010209',
  ],
];

describe('requests that change the kernel’s network', () => {
  it.each(RECORDED)('%s: the bytes of iproute2', (_, ours, theirs) => {
    expect(hex(ours)).toBe(recorded(theirs));
  });

  it('deletes an interface by its number', () => {
    const [message] = nlMessages(deleteLinkRequest(1, 7));
    expect(message).toMatchObject({ type: 17, flags: 0x5, seq: 1 });
    expect(Buffer.from(message!.payload).readInt32LE(4)).toBe(7);
  });
});

describe('the kernel’s refusal', () => {
  const refused = (request: Uint8Array, flags: number, reason: string): Uint8Array => {
    const errno = Uint8Array.of(0xea, 0xff, 0xff, 0xff);
    const fixed = new Uint8Array(errno.length + request.length);
    fixed.set(errno);
    fixed.set(request, errno.length);
    return nlMessage(2, flags, 1, fixed, [[1, Uint8Array.from(Buffer.from(`${reason}\0`))]]);
  };

  it('is read behind the request’s header, or behind all of the request', () => {
    const request = setLinkRequest(1, 3, { mtu: 1400 });
    const [capped] = nlMessages(refused(request.subarray(0, 16), 0x300, 'too large'));
    expect([nlErrno(capped!), nlReason(capped!)]).toEqual([22, 'too large']);
    const [whole] = nlMessages(refused(request, 0x200, 'too large'));
    expect([nlErrno(whole!), nlReason(whole!)]).toEqual([22, 'too large']);
    const [silent] = nlMessages(refused(request, 0, 'too large'));
    expect([nlErrno(silent!), nlReason(silent!)]).toEqual([22, '']);
  });

  it('is read from any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 0, max: 0xffff }), (payload, flags) => {
        expect(typeof nlReason({ type: 2, flags, seq: 1, payload })).toBe('string');
        expect(nlAttributes(payload, 4) instanceof Map).toBe(true);
      }),
    );
  });
});
