/**
 * What stands behind `qemu:` in a device's name, and the words for QEMU that fit it.
 *
 *     qemu:/run/vm.sock                        a stream; we listen, QEMU connects (the same as qemu:listen:/run/vm.sock)
 *     qemu:connect:/run/vm.sock                a stream; QEMU listens, we connect, and again when it is gone
 *     qemu:dgram:/run/our.sock,/run/vm.sock    datagrams: our address, QEMU's
 *
 * An address is a path (with a slash in it), `@NAME` (an abstract socket), `IP:PORT`, `[IPV6]:PORT` or `PORT` (on 127.0.0.1).
 * `,reconnect=SECONDS` says how long to wait before we call again; 1 if absent.
 */
import { SetupError } from '../../base/status.ts';
import { type IpAddress, parseIp, printIp } from '../../wire/address.ts';

export type QemuAddress =
  | { readonly kind: 'unix'; readonly path: string; readonly abstract: boolean }
  | { readonly kind: 'inet'; readonly ip: IpAddress; readonly port: number };

export type QemuSpec =
  | { readonly mode: 'listen' | 'connect'; readonly address: QemuAddress; readonly reconnectMs: number }
  | {
      readonly mode: 'dgram';
      readonly address: QemuAddress;
      readonly remote: QemuAddress;
      readonly reconnectMs: number;
    };

/** Room for a path in `struct sockaddr_un`, with the zero at its end. */
const PATH_MAX = 107;
const RECONNECT_MS = 1000;
const FORMS =
  'qemu:/run/vm.sock, qemu:connect:/run/vm.sock, qemu:127.0.0.1:1234 or qemu:dgram:/run/our.sock,/run/vm.sock';

/** Reads what stands behind the scheme. Throws SetupError `ERR_NETPOLL_SPEC` that says what is wrong and shows the forms. */
export function parseQemuSpec(spec: string, rest: string): QemuSpec {
  const match = /^(listen|connect|dgram):(.*)$/.exec(rest);
  const mode = (match?.[1] ?? 'listen') as QemuSpec['mode'];
  const words = (match?.[2] ?? rest).split(',');
  let reconnectMs = RECONNECT_MS;
  const places: string[] = [];
  for (const word of words) {
    const option = /^([a-z]+)=([^/]*)$/.exec(word);
    if (option === null) places.push(word);
    else if (option[1] === 'reconnect') reconnectMs = secondsOf(spec, option[2]!);
    else throw refusal(spec, `there is no option "${option[1]}"`);
  }
  const [address, remote, ...more] = places.map((place) => parseAddress(spec, place));
  if (address === undefined || more.length > 0) throw refusal(spec, 'give one address, two for dgram');
  if (mode !== 'dgram') {
    if (remote !== undefined) throw refusal(spec, 'a stream has one address; only dgram has two');
    return { mode, address, reconnectMs };
  }
  if (remote === undefined) throw refusal(spec, 'dgram needs two addresses, ours and that of QEMU');
  if ([address, remote].some((each) => each.kind === 'unix' && each.abstract)) {
    throw refusal(spec, 'QEMU has no abstract sockets for datagrams: give paths');
  }
  if (remote.kind !== address.kind) throw refusal(spec, 'both addresses are paths, or both have ports');
  if (printAddress(remote) === printAddress(address)) throw refusal(spec, 'both addresses are the same');
  return { mode, address, remote, reconnectMs };
}

/** The words for QEMU whose guest is to be at the other end. `old`: those that every QEMU knows; null if there are none. */
export function qemuArguments(spec: QemuSpec, old = false): string | null {
  const { mode, address } = spec;
  if (mode === 'dgram') {
    if (!old) return `-netdev dgram,id=net0,${fields('local', spec.remote)},${fields('remote', address)}`;
    if (address.kind === 'unix') return null;
    return `-netdev socket,id=net0,udp=${printAddress(address)},localaddr=${printAddress(spec.remote)}`;
  }
  const server = mode === 'connect';
  if (!old) return `-netdev stream,id=net0,server=${server ? 'on' : 'off'},${fields('addr', address)}`;
  if (address.kind === 'unix') return null;
  return `-netdev socket,id=net0,${server ? 'listen' : 'connect'}=${printAddress(address)}`;
}

/** One sentence: how QEMU is to be started for this port. */
export function qemuCommandLine(spec: QemuSpec): string {
  const older = qemuArguments(spec, true);
  const also = older === null ? ' (QEMU 7.2 or later)' : ` (before QEMU 7.2: ${older})`;
  return `qemu-system-x86_64 ... ${qemuArguments(spec)} -device virtio-net-pci,netdev=net0${also}`;
}

export function printAddress(address: QemuAddress): string {
  if (address.kind === 'unix') return address.abstract ? `@${address.path}` : address.path;
  const host = printIp(address.ip);
  return `${address.ip.family === 6 ? `[${host}]` : host}:${address.port}`;
}

/** The port's name, in its shortest form. */
export function printQemuSpec(spec: QemuSpec): string {
  const mode = spec.mode === 'listen' ? '' : `${spec.mode}:`;
  return `qemu:${mode}${printAddress(spec.address)}${spec.mode === 'dgram' ? `,${printAddress(spec.remote)}` : ''}`;
}

function fields(prefix: string, address: QemuAddress): string {
  if (address.kind === 'inet') {
    return `${prefix}.type=inet,${prefix}.host=${printIp(address.ip)},${prefix}.port=${address.port}`;
  }
  const path = `${prefix}.type=unix,${prefix}.path=${address.path.replaceAll(',', ',,')}`;
  return address.abstract ? `${path},${prefix}.abstract=on` : path;
}

function parseAddress(spec: string, text: string): QemuAddress {
  if (text === '') throw refusal(spec, 'an address is missing');
  if (text.startsWith('@') || text.includes('/')) {
    const abstract = text.startsWith('@');
    const path = abstract ? text.slice(1) : text;
    if (path === '') throw refusal(spec, 'the abstract socket has no name');
    if (Buffer.byteLength(path) > PATH_MAX - (abstract ? 1 : 0) || path.includes('\0')) {
      throw refusal(spec, `a socket's path has at most ${PATH_MAX} bytes`);
    }
    return { kind: 'unix', path, abstract };
  }
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text);
  if (match === null) throw refusal(spec, `"${text}" is neither a path (with a slash in it) nor an address and a port`);
  const [, six, four, portText] = match;
  const host = six ?? (four === undefined || four === '' || four === 'localhost' ? '127.0.0.1' : four);
  const ip = parseIp(host);
  if (ip === null || ip.family !== (six === undefined ? 4 : 6)) throw refusal(spec, `"${host}" is not an IP address`);
  const port = Number(portText);
  if (port < 1 || port > 0xffff) throw refusal(spec, `${port} is not a port`);
  return { kind: 'inet', ip, port };
}

function secondsOf(spec: string, text: string): number {
  const seconds = Number(text);
  if (text === '' || !(seconds >= 0.01 && seconds <= 3600))
    throw refusal(spec, 'reconnect needs seconds, 0.01 to 3600');
  return seconds * 1000;
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORMS}`);
}
