/** The kernel's network changed over netlink, and looked at with ip. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseIp } from '../../wire/address.ts';
import { noVeth } from '../veth.fixture.ts';
import { linkFacts } from './link_facts.ts';
import { type NetConfig, openNetConfig } from './net_config.ts';
import { RtnetlinkSocket } from './rtnetlink_socket.ts';

const stem = `nc${process.pid.toString(36)}`;
const [a, b] = [`${stem}a`, `${stem}b`];
const ask = (...words: string[]) => JSON.parse(execFileSync('ip', ['-j', '-d', ...words], { encoding: 'utf8' }));
const ip = (text: string) => parseIp(text)!;

describe.skipIf(noVeth !== null)(`changing the kernel’s network${noVeth ? ` (skip: ${noVeth})` : ''}`, () => {
  let config: NetConfig;
  beforeEach(() => {
    config = openNetConfig();
    config.addLink({ kind: 'veth', name: a, mtu: 1300, peer: { name: b, address: Uint8Array.of(2, 0, 0, 0, 7, 7) } });
  });
  afterEach(() => {
    config.deleteLink(a);
    config.close();
  });

  it('makes a pair, changes it, and says what is there', () => {
    config.setLink(a, { up: true, alias: 'left', txQueueLen: 9, promisc: true });
    config.setLink(b, { up: true, arp: false });
    expect(ask('link', 'show', a)[0]).toMatchObject({ mtu: 1300, ifalias: 'left', txqlen: 9, promiscuity: 1 });
    expect(ask('link', 'show', b)[0]).toMatchObject({ address: '02:00:00:00:07:07' });
    expect(ask('link', 'show', b)[0].flags).toEqual(expect.arrayContaining(['UP', 'NOARP']));
    const socket = new RtnetlinkSocket();
    const facts = linkFacts(socket).find(({ name }) => name === a);
    socket.close();
    expect(facts).toMatchObject({ mtu: 1300, alias: 'left', txQueueLen: 9, promiscuity: 1, kind: 'veth', minMtu: 68 });
    expect(facts!.stats.length).toBeGreaterThanOrEqual(24);
  });

  it('adds and deletes addresses, routes and neighbours', () => {
    for (const dev of [a, b]) config.setLink(dev, { up: true });
    const ifindex = config.indexOf(a);
    const address = { ifindex, ip: ip('10.213.1.1'), prefixLen: 24 };
    const six = { ifindex, ip: ip('fd13::1'), prefixLen: 64, nodad: true };
    config.addAddress(address);
    config.addAddress(six);
    const locals = () => ask('addr', 'show', a)[0].addr_info.map(({ local }: { local: string }) => local);
    expect(locals()).toEqual(expect.arrayContaining(['10.213.1.1', 'fd13::1']));
    const route = { dest: ip('10.214.0.0'), prefixLen: 16, gateway: ip('10.213.1.9'), ifindex };
    config.addRoute(route);
    expect(ask('route', 'show', '10.214.0.0/16')).toMatchObject([{ gateway: '10.213.1.9', dev: a }]);
    const neighbour = { ifindex, ip: ip('10.213.1.9'), mac: Uint8Array.of(2, 0, 0, 0, 9, 9) };
    config.setNeighbour(neighbour);
    expect(ask('neigh', 'show', 'dev', a, 'nud', 'permanent')).toMatchObject([{ lladdr: '02:00:00:00:09:09' }]);
    config.deleteNeighbour(neighbour);
    config.deleteRoute(route);
    expect(ask('route', 'show', '10.214.0.0/16')).toEqual([]);
    config.deleteAddress(six);
    config.deleteAddress(address);
    expect(locals()).not.toContain('10.213.1.1');
  });

  it('gives the kernel’s refusal with its sentence', () => {
    expect(() => config.setLink(a, { mtu: 99999 })).toThrow(
      expect.objectContaining({ code: 'ERR_NETPOLL_EINVAL', message: expect.stringContaining('mtu greater than') }),
    );
    expect(() => config.addLink({ kind: 'veth', name: a, peer: {} })).toThrow(
      expect.objectContaining({ code: 'ERR_NETPOLL_EEXIST' }),
    );
    expect(() => config.setLink('nothere', { up: true })).toThrow(
      expect.objectContaining({ code: 'ERR_NETPOLL_NO_INTERFACE' }),
    );
    expect(() => config.deleteAddress({ ifindex: config.indexOf(a), ip: ip('10.9.9.9'), prefixLen: 8 })).toThrow(
      expect.objectContaining({ code: 'ERR_NETPOLL_EADDRNOTAVAIL' }),
    );
  });
});
