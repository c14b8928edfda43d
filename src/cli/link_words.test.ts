import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SetupError } from '../base/status.ts';
import { kindLook, slaveLook } from './link_kinds.ts';
import { parseChange, parseNewLink } from './link_words.ts';

const indexOf = (name: string): number => ({ eth0: 2, br0: 3 })[name] ?? 99;
const words = (text: string): string[] => text.split(' ');

describe('the words of netpoll link', () => {
  it('reads what set is to change', () => {
    const change = parseChange(
      words('up mtu 9000 address 02:00:00:00:00:07 promisc on arp off qlen 5 master br0'),
      indexOf,
    );
    expect(change).toEqual({
      up: true,
      mtu: 9000,
      address: Uint8Array.of(2, 0, 0, 0, 0, 7),
      promisc: true,
      arp: false,
      txQueueLen: 5,
      master: 3,
    });
    expect(parseChange(['nomaster', 'alias', 'two words'], indexOf)).toEqual({ master: 0, alias: 'two words' });
  });

  it('reads what add is to make', () => {
    expect(parseNewLink(words('v0 mtu 1300 type veth peer name v1 up'), indexOf)).toEqual({
      kind: 'veth',
      name: 'v0',
      mtu: 1300,
      peer: { name: 'v1', up: true },
    });
    expect(parseNewLink(words('link eth0 name eth0.5 type vlan protocol 802.1ad id 5'), indexOf)).toEqual({
      kind: 'vlan',
      name: 'eth0.5',
      link: 2,
      id: 5,
      protocol: 0x88a8,
    });
    expect(parseNewLink(words('br1 type bridge stp_state 1 vlan_filtering 0'), indexOf)).toEqual({
      kind: 'bridge',
      name: 'br1',
      stp: true,
      vlanFiltering: false,
    });
    expect(parseNewLink(words('up name d0 type dummy'), indexOf)).toEqual({ kind: 'dummy', name: 'd0', up: true });
  });

  it.each([
    ['x type vlan id 5', 'a vlan stands on a device'],
    ['link eth0 x type vlan', 'a vlan needs its number'],
    ['link eth0 x type vlan id 4096', 'id 4096: give a whole number from 0 to 4095'],
    ['x y type dummy', 'add: "y" is no word of it'],
    ['x type dummy more', 'dummy: "more" is no word of it'],
    ['type dummy', 'a name is required'],
  ])('add %s: says what is wrong', (text, why) => {
    expect(() => parseNewLink(words(text), indexOf)).toThrow(why);
  });

  it('gives a sentence for whatever is typed, and nothing else', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'up',
        'down',
        'mtu',
        'address',
        'promisc',
        'on',
        'type',
        'veth',
        'vlan',
        'peer',
        'id',
        'link',
        '9',
      ),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (typed) => {
        for (const parse of [parseChange, parseNewLink]) {
          try {
            parse(typed, indexOf);
          } catch (error) {
            expect(error).toBeInstanceOf(SetupError);
          }
        }
      }),
    );
  });
});

describe('kinds of interfaces', () => {
  it('shows a vlan as iproute2 does', () => {
    const look = kindLook(
      'vlan',
      new Map([
        [5, Uint8Array.of(0x81, 0x00)],
        [1, Uint8Array.of(5, 0)],
        [2, Uint8Array.of(3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)],
      ]),
    );
    expect(look.facts.map(({ text }) => text).join(' ')).toBe('protocol 802.1Q id 5 <REORDER_HDR,GVRP>');
    expect(look.facts.map(({ key, value }) => [key, value])).toEqual([
      ['protocol', '802.1Q'],
      ['id', 5],
      ['flags', ['REORDER_HDR', 'GVRP']],
    ]);
  });

  it('names a kind that it does not know, and reads any bytes', () => {
    expect(kindLook('vxlan', new Map())).toEqual({ kind: 'vxlan', facts: [] });
    const attributes = fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.uint8Array({ maxLength: 9 })));
    fc.assert(
      fc.property(fc.constantFrom('tun', 'vlan', 'bridge'), attributes, (kind, list) => {
        for (const { text } of kindLook(kind, new Map(list)).facts) expect(typeof text).toBe('string');
        for (const { text } of slaveLook('bridge', new Map(list)).facts) expect(typeof text).toBe('string');
      }),
    );
  });
});
