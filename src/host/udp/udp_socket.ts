/**
 * The socket of a udp port: opened, given its options, bound, and asked what it is bound to.
 */
import { type IpAddress, printIp } from '../../wire/address.ts';
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  openSocket,
  SO_BROADCAST,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SO_TIMESTAMP,
  SOCK_DGRAM,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
  setBuffer,
  setInt,
} from '../sys/socket.ts';
import {
  SIN6_ADDR,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  sockaddrPort,
  writeSockaddrIn,
  writeSockaddrIn6,
} from './socket_address.ts';

const BUFFER = 4 << 20;

export interface BoundAddress {
  readonly ip: IpAddress;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** Interface index of a link-local address, else 0. */
  readonly scope: number;
}

export interface UdpSocketOptions {
  readonly receiveBuffer?: number;
  readonly dualStack?: boolean;
}

/** Opens and binds. Throws SetupError; then nothing stays open. Gives the address with the port that the kernel chose. */
export function openUdpSocket(wanted: BoundAddress, options: UdpSocketOptions): { fd: number; address: BoundAddress } {
  const six = wanted.ip.family === 6;
  const what = `listen on UDP ${printIp(wanted.ip)} port ${wanted.port}`;
  const fd = openSocket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0, what, six ? 'is IPv6 off on this machine?' : '');
  try {
    setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, options.receiveBuffer ?? BUFFER);
    setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER);
    setInt(fd, SOL_SOCKET, SO_TIMESTAMP, 1);
    setInt(fd, SOL_SOCKET, SO_BROADCAST, 1);
    if (six) {
      setInt(fd, SOL_IPV6, IPV6_V6ONLY, (options.dualStack ?? true) ? 0 : 1);
      setInt(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
      setInt(fd, SOL_IP, IP_PKTINFO, 1);
    }
    const name = sockaddr(wanted);
    if (libc().bind(fd, name, name.length) < 0) throw systemError('bind', what, bindHint(libc().errno(), wanted.port));
    const length = Buffer.alloc(4);
    length.writeInt32LE(name.length);
    if (libc().getsockname(fd, name, length) < 0) throw systemError('getsockname', what);
    const view = new DataView(name.buffer, name.byteOffset, name.length);
    return { fd, address: { ...wanted, port: sockaddrPort(view, 0) } };
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

function sockaddr({ ip, port, scope }: BoundAddress): Buffer {
  const bytes = Buffer.alloc(ip.family === 6 ? SOCKADDR_IN6_SIZE : SOCKADDR_IN_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (ip.family === 4) {
    writeSockaddrIn(view, 0, port, ip.v4);
  } else {
    writeSockaddrIn6(view, 0, port, scope);
    bytes.set(ip.v6, SIN6_ADDR);
  }
  return bytes;
}

function bindHint(errno: number, port: number): string {
  if (errno === EADDRINUSE) return `another program has port ${port}: ss -ulpn 'sport = :${port}'`;
  if (errno === EADDRNOTAVAIL) return 'no interface has this address: ip address';
  if (errno === EACCES) return 'ports below 1024 need CAP_NET_BIND_SERVICE';
  return '';
}
