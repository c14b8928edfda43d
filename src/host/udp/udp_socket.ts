/**
 * The sockets of a udp port: opened or taken over, given their options, bound, and asked what they are bound to.
 *
 *     openUdpSocket    one of our own; several with one address share what arrives there by flow      (SO_REUSEPORT)
 *     adoptUdpSocket   one that was bound by who started this process (systemd: inherited_sockets.ts); it stays that one's
 */
import { SetupError } from '../../base/status.ts';
import { type IpAddress, printIp } from '../../wire/address.ts';
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import {
  AF_INET,
  AF_INET6,
  getOption,
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
  socketDrops,
} from '../sys/socket.ts';
import {
  SIN_ADDR,
  SIN6_ADDR,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_SIZE,
  sockaddrPort,
  writeSockaddrIn,
  writeSockaddrIn6,
} from './socket_address.ts';
import { ControlLayout, SO_RXQ_OVFL, SOL_UDP, UDP_GRO, UDP_SEGMENT } from './udp_control.ts';
import { IP_RECVERR, IPV6_RECVERR } from './udp_errors.ts';

const BUFFER = 4 << 20;
const SO_TYPE = 3;
const SO_REUSEPORT = 15;
const SO_DOMAIN = 39;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_DO = 2;

export interface BoundAddress {
  readonly ip: IpAddress;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** Interface index of a link-local address, else 0. */
  readonly scope: number;
}

export interface UdpSocketOptions {
  /** Receive buffer of each socket in bytes; 4 MiB if absent. Past the system's limit (`net.core.rmem_max`) with CAP_NET_ADMIN. */
  readonly receiveBuffer?: number;
  /** False: an IPv6 socket takes no IPv4; true if absent. */
  readonly dualStack?: boolean;
  /** Others, of the same user, may bind the same address and take a share; false if absent, and a port has one queue. */
  readonly reusePort?: boolean;
  /** The kernel may hand over datagrams of one sender together; true if absent. */
  readonly gro?: boolean;
  /** The kernel may be handed neighbours of one length together, to be cut; true if absent. */
  readonly segment?: boolean;
  /** The kernel says when each datagram arrived, which costs it a tenth of what a datagram does; false if absent, and frames have no time. */
  readonly timestamps?: boolean;
  /** What is longer than the path takes is refused and counted (`tx_too_long`), not fragmented; false if absent. */
  readonly dontFragment?: boolean;
}

/** A socket that is ready. */
export interface UdpSocket {
  readonly fd: number;
  readonly address: BoundAddress;
  /** Closed with the port. */
  readonly owned: boolean;
  /** It takes IPv4 destinations. */
  readonly four: boolean;
  readonly gro: boolean;
  readonly segment: boolean;
  /** What comes beside each datagram; null: nothing ever does. */
  readonly control: ControlLayout | null;
  /** Receive buffer that was asked for and that was got, in bytes. */
  readonly wantedBuffer: number;
  readonly receiveBuffer: number;
}

/** Opens and binds. Throws SetupError; then nothing stays open. Gives the address with the port that the kernel chose. */
export function openUdpSocket(wanted: BoundAddress, options: UdpSocketOptions): UdpSocket {
  const six = wanted.ip.family === 6;
  const what = `listen on UDP ${printIp(wanted.ip)} port ${wanted.port}`;
  const fd = openSocket(six ? AF_INET6 : AF_INET, SOCK_DGRAM, 0, what, six ? 'is IPv6 off on this machine?' : '');
  try {
    if (six) setInt(fd, SOL_IPV6, IPV6_V6ONLY, (options.dualStack ?? true) ? 0 : 1);
    if ((options.reusePort ?? false) && !setInt(fd, SOL_SOCKET, SO_REUSEPORT, 1)) {
      throw systemError('setsockopt', `share UDP port ${wanted.port} between queues`);
    }
    const name = sockaddr(wanted);
    if (libc().bind(fd, name, name.length) < 0) throw systemError('bind', what, bindHint(libc().errno(), wanted.port));
    return prepare(fd, { ...wanted, port: addressOf(fd).port }, true, options);
  } catch (error) {
    libc().close(fd);
    throw error;
  }
}

/** Takes over a bound datagram socket. It is not closed with the port. Throws SetupError `ERR_NETPOLL_FD` if it is something else. */
export function adoptUdpSocket(fd: number, options: UdpSocketOptions): UdpSocket {
  return prepare(fd, inheritedAddress(fd), false, options);
}

/** What an inherited descriptor is bound to. Throws SetupError `ERR_NETPOLL_FD` if it is no datagram socket of an IP family. */
export function inheritedAddress(fd: number): BoundAddress {
  const family = intOption(fd, SOL_SOCKET, SO_DOMAIN);
  if ((family !== AF_INET && family !== AF_INET6) || intOption(fd, SOL_SOCKET, SO_TYPE) !== SOCK_DGRAM) {
    throw new SetupError(
      'ERR_NETPOLL_FD',
      `descriptor ${fd} is no UDP socket: systemd passes one for ListenDatagram=ADDRESS:PORT in the .socket unit`,
    );
  }
  return addressOf(fd);
}

function prepare(fd: number, address: BoundAddress, owned: boolean, options: UdpSocketOptions): UdpSocket {
  const { ip } = address;
  const six = ip.family === 6;
  const wantedBuffer = options.receiveBuffer ?? BUFFER;
  setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, wantedBuffer);
  setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, BUFFER);
  setInt(fd, SOL_SOCKET, SO_TIMESTAMP, (options.timestamps ?? false) ? 1 : 0);
  setInt(fd, SOL_SOCKET, SO_BROADCAST, 1);
  // Asked for, the kernel tells the count whenever we like; where it does not (before 4.12), each datagram brings it.
  const overflow = socketDrops(fd) < 0 && setInt(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  // A socket with an address of its own is sent to by no other.
  const any = isAny(ip) ? 1 : 0;
  const path = PMTUDISC_DO;
  if (six) {
    setInt(fd, SOL_IPV6, IPV6_RECVPKTINFO, any);
    setInt(fd, SOL_IPV6, IPV6_RECVERR, 1);
    if (options.dontFragment ?? false) setInt(fd, SOL_IPV6, IPV6_MTU_DISCOVER, path);
  } else {
    setInt(fd, SOL_IP, IP_PKTINFO, any);
  }
  const four = !six || intOption(fd, SOL_IPV6, IPV6_V6ONLY) === 0;
  if (four) {
    setInt(fd, SOL_IP, IP_RECVERR, 1);
    if (options.dontFragment ?? false) setInt(fd, SOL_IP, IP_MTU_DISCOVER, path);
  }
  const gro = (options.gro ?? true) && setInt(fd, SOL_UDP, UDP_GRO, 1);
  const segment = (options.segment ?? true) && setInt(fd, SOL_UDP, UDP_SEGMENT, 0);
  // The kernel doubles what it is told, for its own book-keeping.
  const receiveBuffer = intOption(fd, SOL_SOCKET, SO_RCVBUF) / 2;
  const stamps = options.timestamps ?? false;
  const control = any === 1 || gro || overflow || stamps ? new ControlLayout(stamps, any === 1) : null;
  return { fd, address, owned, four, gro, segment, control, wantedBuffer, receiveBuffer };
}

function addressOf(fd: number): BoundAddress {
  const name = Buffer.alloc(SOCKADDR_IN6_SIZE);
  const length = Buffer.alloc(4);
  length.writeInt32LE(name.length);
  if (libc().getsockname(fd, name, length) < 0) throw systemError('getsockname', `use descriptor ${fd}`);
  const view = new DataView(name.buffer, name.byteOffset, name.length);
  const port = sockaddrPort(view, 0);
  if (view.getUint16(0, true) === AF_INET) {
    return { ip: { family: 4, v4: view.getUint32(SIN_ADDR) }, port, scope: 0 };
  }
  const v6 = new Uint8Array(name.subarray(SIN6_ADDR, SIN6_ADDR + 16));
  return { ip: { family: 6, v6 }, port, scope: view.getUint32(24, true) };
}

function intOption(fd: number, level: number, option: number): number {
  const value = Buffer.alloc(4);
  return getOption(fd, level, option, value) === 4 ? value.readInt32LE(0) : -1;
}

function isAny(ip: IpAddress): boolean {
  return ip.family === 4 ? ip.v4 === 0 : ip.v6.every((byte) => byte === 0);
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
