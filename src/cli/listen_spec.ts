/**
 * Where a collector listens: `--listen`.
 *
 *     udp:ADDRESS:PORT      an ordinary socket; no privileges         udp:0.0.0.0:6666   udp:[::]:6666   udp:6666
 *     packet:DEVICE[:PORT]  every frame of an interface (root)        packet:eth0:6666
 *     xdp:DEVICE[/QUEUE][:PORT]   the same past the kernel (AF_XDP)   xdp:eth0:6666   xdp:eth0/1:6666
 *     tap:NAME[:PORT]       what this host sends to a TAP device      tap:logs:6666
 *     qemu:SOCKET[,udp=PORT]   what a guest of QEMU sends (no privileges)   qemu:/run/vm.sock   qemu:127.0.0.1:1234,udp=6667
 *     pcap:FILE             a capture: every UDP datagram in it       pcap:nc.pcap
 *     systemd[:NAME]        the UDP sockets that this process was started with, all or those called so; without --listen too
 */
import { SetupError } from '../base/status.ts';
import { inheritedSockets, listenFds } from '../host/udp/inherited_sockets.ts';

export interface ListenSpec {
  readonly scheme: 'udp' | 'packet' | 'xdp' | 'tap' | 'qemu' | 'pcap';
  /** What openDevice takes. */
  readonly device: string;
  /** UDP port to bind; 0: all. */
  readonly port: number;
}

export const DEFAULT_LISTEN = 'udp:0.0.0.0:6666';
const DEFAULT_PORT = 6666;

/** Where all of `--listen` say; where nothing is said, what the process was started with, and DEFAULT_LISTEN if that is nothing. */
export function listenSpecs(texts: readonly string[]): ListenSpec[] {
  if (texts.length > 0) return texts.flatMap((text) => systemdSpecs(text) ?? [parseListenSpec(text)]);
  if (listenFds(process.env, process.pid).length > 0) return systemdSpecs('systemd')!;
  return [parseListenSpec(DEFAULT_LISTEN)];
}

/** Null if `text` is another form. Throws SetupError: ERR_NETPOLL_LISTEN, there are none; ERR_NETPOLL_FD. */
function systemdSpecs(text: string): ListenSpec[] | null {
  const match = /^systemd(?::(.+))?$/.exec(text);
  if (match === null) return null;
  const sockets = inheritedSockets(match[1]);
  if (sockets.length === 0) {
    const called = match[1] === undefined ? '' : ` called "${match[1]}"`;
    const why = `this process was started with no socket${called} (LISTEN_FDS, for process ${process.pid})`;
    throw new SetupError('ERR_NETPOLL_LISTEN', `--listen ${text}: ${why}; start it by a .socket unit`);
  }
  return sockets.map(({ fd, address }) => ({ scheme: 'udp', device: `udp:fd=${fd}`, port: address.port }));
}

/** Throws SetupError `ERR_NETPOLL_LISTEN` that says what is wrong and shows the forms. */
export function parseListenSpec(text: string): ListenSpec {
  const refuse = (why: string): never => {
    const forms =
      'udp:0.0.0.0:6666, udp:[::]:6666, packet:eth0:6666, xdp:eth0:6666, tap:NAME:6666, qemu:/run/vm.sock or pcap:FILE';
    throw new SetupError('ERR_NETPOLL_LISTEN', `--listen ${text}: ${why} (give ${forms})`);
  };
  const colon = text.indexOf(':');
  const scheme = colon < 0 ? '' : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  if (scheme === 'pcap') return rest === '' ? refuse('no file') : { scheme, device: text, port: 0 };
  if (scheme === 'packet' || scheme === 'xdp' || scheme === 'tap') {
    const match = /^([^:\s]+)(?::(\d+))?$/.exec(rest) ?? refuse('no interface, or a port that is not a number');
    const port = checkPort(match[2] === undefined ? DEFAULT_PORT : Number(match[2]), 1, refuse);
    return { scheme, device: `${scheme}:${match[1]}`, port };
  }
  if (scheme === 'qemu') {
    const match = /^(.+?)(?:,udp=(\d+))?$/.exec(rest) ?? refuse('no socket');
    const port = checkPort(match[2] === undefined ? DEFAULT_PORT : Number(match[2]), 1, refuse);
    return { scheme, device: `qemu:${match[1]}`, port };
  }
  if (scheme === 'udp') {
    const match = /^(?:(.*):)?(\d+)$/.exec(rest) ?? refuse('no port');
    const port = checkPort(Number(match[2]), 0, refuse);
    return { scheme, device: `udp:${match[1] ?? '0.0.0.0'}:${port}`, port };
  }
  return refuse(scheme === '' ? 'no scheme' : `unknown scheme ${scheme}:`);
}

function checkPort(port: number, least: number, refuse: (why: string) => never): number {
  return port >= least && port <= 0xffff ? port : refuse(`${port} is not a port`);
}
