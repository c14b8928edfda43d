// What a dead CPU left unread: datagrams one by one, as one, and none.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { libc } from '../sys/libc.ts';
import { AF_PACKET, setInt } from '../sys/socket.ts';
import { SOL_UDP, UDP_SEGMENT } from '../udp/udp_control.ts';
import { openUdpSocket, type UdpSocket } from '../udp/udp_socket.ts';
import { CpuTable, counterAt } from './cpu_table.ts';
import { closeCounted, isSocket } from './unread.ts';

const SOCK_RAW = 3;
/** In the network's order. */
const ETH_P_ALL = 0x0300;
const HERE = { family: 4, v4: 0x7f000001 } as const;

/** sockaddr_in of a port of ours. */
function nameOf(port: number): Buffer {
  const name = Buffer.alloc(16);
  name.writeUInt16LE(2, 0);
  name.writeUInt16BE(port, 2);
  name.writeUInt32BE(HERE.v4, 4);
  return name;
}

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
    const name = nameOf(to.address.port);
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
    expect([closed(socket), isSocket(socket.fd)]).toEqual([7, false]);
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

  it('is each datagram behind the error of an earlier send', () => {
    const socket = udp();
    const peer = udp();
    const bytes = Buffer.alloc(9);
    for (let i = 0; i < 3; i++) libc().sendto(peer.fd, bytes, 9, 0, nameOf(socket.address.port), 16);
    expect(libc().connect(socket.fd, nameOf(peer.address.port), 16)).toBe(0);
    closed(peer);
    // The port is closed now, and the kernel has that to say first.
    libc().sendto(socket.fd, bytes, 9, 0, nameOf(peer.address.port), 16);
    expect(closed(socket)).toBe(3);
  });

  it('is nothing in a connection, whose bytes are no datagrams', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const fd = libc().socket(2, 1, 0);
    expect(libc().connect(fd, nameOf((server.address() as AddressInfo).port), 16)).toBe(0);
    const [far] = (await once(server, 'connection')) as [Socket];
    await new Promise<void>((resolve) => far.write('three words here', () => resolve()));
    expect([closeCounted(fd, counters()), isSocket(fd)]).toEqual([0, false]);
    far.destroy();
    server.close();
  });

  it('is not looked for in a packet socket: what the kernel had for it is counted, and it is closed', () => {
    const fd = libc().socket(AF_PACKET, SOCK_RAW, ETH_P_ALL);
    expect(fd).toBeGreaterThanOrEqual(0);
    send(udp(), 100, 5);
    const row = counters();
    expect([closeCounted(fd, row), isSocket(fd)]).toEqual([0, false]);
    // Loopback's frames are seen going and coming.
    expect(row[counterAt('kernel_frames')]).toBeGreaterThanOrEqual(5);
  });

  it('is nothing in what is no socket, or none for frames', () => {
    const fd = libc().eventfd(1, 0);
    expect([isSocket(fd), closeCounted(fd, counters()), isSocket(fd)]).toEqual([false, 0, false]);
    expect([isSocket(fd), isSocket(udp().fd)]).toEqual([false, true]);
  });
});
