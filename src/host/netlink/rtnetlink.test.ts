import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp, printIp, printMac } from '../../wire/address.ts';
import { netlinkTables } from './net_tables.ts';
import { nlAttributes, nlErrno, nlMessage, nlMessages, nlString, nlU32 } from './nlmsg.ts';
import {
  linksRequest,
  neighboursRequest,
  parseAddress,
  parseLink,
  parseNeighbour,
  parseRoute,
  routeRequest,
} from './rtnetlink.ts';
import { RtnetlinkSocket } from './rtnetlink_socket.ts';

const attributes = fc.array(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), fc.uint8Array({ maxLength: 40 })), {
  maxLength: 12,
});

describe('netlink messages', () => {
  it('read back what was built, attributes and all, one behind the other', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(0xffff), fc.uint8Array({ maxLength: 20 }), attributes)), (parts) => {
        const built = parts.map(([type, fixed, list], i) => nlMessage(type, 1, i, fixed, list));
        const read = nlMessages(Buffer.concat(built));
        expect(read.map(({ type, seq }) => [type, seq])).toEqual(parts.map(([type], i) => [type, i]));
        parts.forEach(([, fixed, list], i) => {
          const found = nlAttributes(read[i]!.payload, (fixed.length + 3) & ~3);
          for (const [type, value] of new Map(list)) expect([...found.get(type)!]).toEqual([...value]);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('never throw, whatever the bytes are, and never reach past them', () => {
    const parsers = [parseRoute, parseNeighbour, parseLink, parseAddress];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        for (const parse of parsers) parse(bytes);
        for (const message of nlMessages(bytes)) {
          nlErrno(message);
          for (const parse of parsers) parse(message.payload);
        }
        for (const value of nlAttributes(bytes, 0).values()) {
          nlU32(value);
          nlString(value);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('of this machine’s kernel, mutated and cut, neither', () => {
    const socket = new RtnetlinkSocket();
    const real = [
      ...socket.ask(linksRequest).messages,
      ...socket.ask((seq) => neighboursRequest(seq, 4)).messages,
      ...socket.ask((seq) => routeRequest(seq, parseIp('127.0.0.1')!, 0)).messages,
    ];
    socket.close();
    expect(real.length).toBeGreaterThan(1);
    fc.assert(
      fc.property(
        fc.constantFrom(...real),
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 8 }),
        fc.nat(2000),
        (message, edits, cut) => {
          const bytes = message.payload.slice(0, Math.max(1, cut));
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          for (const parse of [parseRoute, parseNeighbour, parseLink, parseAddress]) parse(bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('netlinkTables', () => {
  it('shows the loopback: its link, its addresses, and that the route to it is local', () => {
    const tables = netlinkTables();
    const lo = tables.links().find((link) => link.name === 'lo')!;
    expect(lo).toMatchObject({ hardware: 772, kind: null, master: 0, lower: 0 });
    expect(printMac(lo.mac!)).toBe('00:00:00:00:00:00');
    const own = tables.addresses().filter((each) => each.ifindex === lo.ifindex);
    expect(own.map((each) => `${printIp(each.ip)}/${each.prefixLen}`)).toContain('127.0.0.1/8');
    expect(tables.route(parseIp('127.0.0.1')!, 0)).toMatchObject({ type: 'local', oif: lo.ifindex, gateway: null });
    expect(Array.isArray(tables.neighbours(4))).toBe(true);
    expect(tables.neighbours(6)).not.toBeNull();
    tables.close();
  });

  it('gives the kernel’s word where there is no route', () => {
    const tables = netlinkTables();
    expect(tables.route(parseIp('10.0.0.1')!, 0x7ffffff0)).toMatch(/^(ENODEV|ENETUNREACH)$/);
    tables.close();
  });
});
