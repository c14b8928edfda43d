/**
 * One datagram the ordinary way, so that the kernel has to find out a neighbour's hardware address.
 */
import { createSocket } from 'node:dgram';
import { type IpAddress, printIp } from '../../wire/address.ts';
import { libc } from '../sys/libc.ts';
import { AF_INET, AF_INET6, openSocket, SO_BINDTODEVICE, SOCK_DGRAM, SOL_SOCKET } from '../sys/socket.ts';
import {
  isLinkLocal,
  SIN6_ADDR,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  writeSockaddrIn,
  writeSockaddrIn6,
} from '../udp/socket_address.ts';
import { viewOf } from './nlmsg.ts';
import type { Link } from './rtnetlink.ts';

/** Discard: whoever listens there throws it away. */
const DISCARD_PORT = 9;

/** Sends to `target` through `link`, as far as this process may choose; a datagram that cannot be sent is no error. */
export async function probe(target: IpAddress, link: Link): Promise<void> {
  try {
    if (probeThrough(target, link)) return;
  } catch {
    // Without koffi the route decides.
  }
  await probeByRoute(target, link);
}

/** With the interface named to the kernel. False: it does not let us. */
function probeThrough(target: IpAddress, link: Link): boolean {
  const fd = openSocket(target.family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, 'send a datagram', '');
  try {
    const name = Buffer.from(`${link.name}\0`, 'latin1');
    if (libc().setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, name.length) < 0) return false;
    const address = socketAddress(target, DISCARD_PORT, link.ifindex);
    return libc().sendto(fd, new Uint8Array(1), 1, 0, address, address.length) >= 0;
  } finally {
    libc().close(fd);
  }
}

async function probeByRoute(target: IpAddress, link: Link): Promise<void> {
  const socket = createSocket(target.family === 4 ? 'udp4' : 'udp6');
  const zone = target.family === 6 && target.v6[0] === 0xfe ? `%${link.name}` : '';
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve());
    socket.send(new Uint8Array(1), DISCARD_PORT, `${printIp(target)}${zone}`, () => resolve());
  });
  socket.close();
}

/** sockaddr_in, or sockaddr_in6 with the interface as the scope of a link-local address. */
function socketAddress(ip: IpAddress, port: number, ifindex: number): Buffer {
  const bytes = Buffer.alloc(ip.family === 4 ? SOCKADDR_IN_SIZE : SOCKADDR_IN6_SIZE);
  const view = viewOf(bytes);
  if (ip.family === 4) {
    writeSockaddrIn(view, 0, port, ip.v4);
  } else {
    bytes.set(ip.v6, SIN6_ADDR);
    writeSockaddrIn6(view, 0, port, isLinkLocal(view, SIN6_ADDR) ? ifindex : 0);
  }
  return bytes;
}
