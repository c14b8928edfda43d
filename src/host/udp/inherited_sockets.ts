/**
 * Sockets that this process was born with: systemd's socket activation.
 *
 *     LISTEN_PID=4711  LISTEN_FDS=2  LISTEN_FDNAMES=netconsole:syslog       descriptors 3 and 4, for process 4711 and no other
 *
 *     # netpoll.socket                       # netpoll.service
 *     [Socket]                               [Service]
 *     ListenDatagram=[::]:6666               ExecStart=/usr/bin/netpoll collect
 *
 * The port below 1024, or the namespace, or the moment before the service runs: whoever starts it binds, and datagrams wait.
 * Answers to sd_listen_fds_with_names(3).
 */
import { libc } from '../sys/libc.ts';
import { type BoundAddress, inheritedAddress } from './udp_socket.ts';

/** SD_LISTEN_FDS_START */
const FIRST = 3;
const FDS_MAX = 1024;
const FIOCLEX = 0x5451;

export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName=, or the unit's name; '' if none was given. */
  readonly name: string;
  readonly address: BoundAddress;
}

/** The descriptors passed to process `pid`, and their names; looks at nothing but the variables. */
export function listenFds(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): { fd: number; name: string }[] {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  if (LISTEN_PID === undefined || !/^\d+$/.test(LISTEN_PID) || Number(LISTEN_PID) !== pid) return [];
  if (LISTEN_FDS === undefined || !/^\d+$/.test(LISTEN_FDS)) return [];
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  const count = Math.min(Number(LISTEN_FDS), FDS_MAX);
  return Array.from({ length: count }, (_, i) => ({ fd: FIRST + i, name: names[i] ?? '' }));
}

/**
 * The UDP sockets that this process was started with, all or those called `name`. Its own children do not get them. Throws SetupError
 * `ERR_NETPOLL_FD` for a descriptor that is no UDP socket.
 */
export function inheritedSockets(name?: string): InheritedSocket[] {
  return listenFds(process.env, process.pid)
    .filter((each) => name === undefined || each.name === name)
    .map((each) => {
      const address = inheritedAddress(each.fd);
      libc().ioctlValue(each.fd, FIOCLEX, 0);
      return { ...each, address };
    });
}
