// What a dead CPU left unread: datagrams one by one, as one, and none.
import { afterEach, describe, expect, it } from 'vitest';
import { libc } from '../sys/libc.ts';
import { setInt } from '../sys/socket.ts';
import { SOL_UDP, UDP_SEGMENT } from '../udp/udp_control.ts';
import { openUdpSocket, type UdpSocket } from '../udp/udp_socket.ts';
import { CpuTable } from './cpu_table.ts';
import { closeCounted, isSocket } from './unread.ts';

const HERE = { family: 4, v4: 0x7f000001 } as const;

describe('what is unread in a UDP socket', () => {
  const open: UdpSocket[] = [];
  afterEach(() => {
    for (const { fd } of open.splice(0)) libc().close(fd);
  });

  function udp(receiveBuffer?: number): UdpSocket {
    const options = receiveBuffer === undefined ? {} : { receiveBuffer };
    const socket = openUdpSocket({ ip: HERE, port: 0, scope: 0 }, options);
    open.push(socket);
    return socket;
  }

  function send(to: UdpSocket, length: number, times: number, segment = 0): void {
    const from = udp();
    if (segment > 0) expect(setInt(from.fd, SOL_UDP, UDP_SEGMENT, segment)).toBe(true);
    const name = Buffer.alloc(16);
    name.writeUInt16LE(2, 0);
    name.writeUInt16BE(to.address.port, 2);
    name.writeUInt32BE(HERE.v4, 4);
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < times; i++) expect(libc().sendto(from.fd, bytes, length, 0, name, 16)).toBe(length);
  }

  const counters = () => new CpuTable(1).counters(0);

  function closed(socket: UdpSocket, row = counters()): number {
    open.splice(open.indexOf(socket), 1);
    return closeCounted(socket.fd, row);
  }

  it('is each datagram, also an empty one', () => {
    const socket = udp();
    send(socket, 100, 5);
    send(socket, 0, 2);
    expect(closed(socket)).toBe(7);
  });

  it('is each of those that the kernel has put together, the short one at the end too', () => {
    const socket = udp();
    expect(socket.gro).toBe(true);
    send(socket, 950, 3, 100);
    expect(closed(socket)).toBe(30);
  });

  it('and what found no room is a drop of the kernel', () => {
    const socket = udp(4096);
    const row = counters();
    send(socket, 1000, 50);
    const unread = closed(socket, row);
    expect(unread).toBeGreaterThan(0);
    expect(unread).toBeLessThan(50);
    expect(unread + [...row].reduce((sum, n) => sum + n, 0)).toBe(50);
  });

  it('is nothing in what is no socket, or none for frames', () => {
    const fd = libc().eventfd(1, 0);
    expect([isSocket(fd), closeCounted(fd, counters()), isSocket(fd)]).toEqual([false, 0, false]);
    expect([isSocket(fd), isSocket(udp().fd)]).toEqual([false, true]);
  });
});
