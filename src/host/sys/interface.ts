/**
 * What the kernel knows of a network interface, asked through ioctl() on any socket:
 *
 *     struct ifreq { char name[16] @0; union @16: sockaddr { u16 family; data @18 } | int mtu | short flags }   40 bytes
 */
import { SetupError } from '../../base/status.ts';
import { printIpv4 } from '../../wire/address.ts';
import { systemError } from './errno.ts';
import { libc } from './libc.ts';
import { type Pinned, pinned, writeWord } from './pinned.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from './socket.ts';

const SIOCGIFFLAGS = 0x8913;
const SIOCGIFADDR = 0x8915;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GLINK = 0x0a;
const IFREQ_SIZE = 40;
const IFNAMSIZ = 16;

export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;
export const ARPHRD_ETHER = 1;
export const ARPHRD_LOOPBACK = 772;

export interface InterfaceFacts {
  readonly index: number;
  /** ARPHRD_* of the hardware. */
  readonly hardware: number;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly flags: number;
  /** First IPv4 address in dotted form, undefined if it has none. */
  readonly ipv4: string | undefined;
}

/** Asks for all of it. Throws SetupError `ERR_NETPOLL_NO_INTERFACE` with the names that there are. */
export function interfaceFacts(name: string, existing: () => readonly string[]): InterfaceFacts {
  const index = name.length > 0 && name.length < IFNAMSIZ ? libc().ifNametoindex(name) : 0;
  if (index === 0) {
    const there = existing().join(', ');
    throw new SetupError('ERR_NETPOLL_NO_INTERFACE', `there is no interface "${name}"; there are: ${there}`);
  }
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0, `ask for ${name}`, '');
  try {
    const request = ifreq(name);
    const ask = (what: number): void => {
      if (libc().ioctl(fd, what, request) < 0) throw systemError('ioctl', `ask for ${name}`);
    };
    ask(SIOCGIFHWADDR);
    const hardware = request.readUInt16LE(IFNAMSIZ);
    const mac = Uint8Array.from(request.subarray(IFNAMSIZ + 2, IFNAMSIZ + 8));
    ask(SIOCGIFMTU);
    const mtu = request.readInt32LE(IFNAMSIZ);
    ask(SIOCGIFFLAGS);
    const flags = request.readUInt16LE(IFNAMSIZ);
    const ipv4 =
      libc().ioctl(fd, SIOCGIFADDR, request) === 0 ? printIpv4(request.readUInt32BE(IFNAMSIZ + 4)) : undefined;
    return { index, hardware, mac, mtu, flags, ipv4 };
  } finally {
    libc().close(fd);
  }
}

/** An `ifreq` for interfaceFlags, to be kept. */
export function ifreq(name: string): Buffer {
  const request = Buffer.alloc(IFREQ_SIZE);
  request.write(name, 0, IFNAMSIZ - 1, 'latin1');
  return request;
}

/** IFF_* now, through the ioctl of an open socket; 0 if the interface is gone. One system call. */
export function interfaceFlags(fd: number, request: Buffer): number {
  return libc().ioctl(fd, SIOCGIFFLAGS, request) === 0 ? request.readUInt16LE(IFNAMSIZ) : 0;
}

/**
 * Asks for a carrier: `struct ethtool_value { u32 cmd; u32 data }` behind the ifreq. The driver's own answer, while IFF_RUNNING
 * follows the carrier by up to a second.
 */
export class CarrierProbe {
  readonly #request: Buffer;
  readonly #flags: Buffer;
  readonly #value: Pinned = pinned(8);

  constructor(name: string) {
    this.#flags = ifreq(name);
    this.#request = ifreq(name);
    const view = new DataView(this.#request.buffer, this.#request.byteOffset, IFREQ_SIZE);
    writeWord(view, IFNAMSIZ, this.#value.at);
  }

  /** Up, and with carrier, now; false if the interface is gone. One or two system calls on an open socket. */
  carrier(fd: number): boolean {
    this.#value.view.setUint32(0, ETHTOOL_GLINK, true);
    this.#value.view.setUint32(4, 0, true);
    if (libc().ioctl(fd, SIOCETHTOOL, this.#request) === 0) return this.#value.view.getUint32(4, true) !== 0;
    // A driver that does not say.
    return (interfaceFlags(fd, this.#flags) & (IFF_UP | IFF_RUNNING)) === (IFF_UP | IFF_RUNNING);
  }
}
