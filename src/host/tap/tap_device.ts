/**
 * Opening a TAP device: every queue, its offloads, and what it is asked to be.
 *
 *     not there         made; set up; its MTU as asked; gone with us, unless it is to persist
 *     there, of ours    attached to, as it is: MTU and state change only if that is asked for
 *     there, another    refused with the reason
 */
import { SetupError } from '../../base/status.ts';
import { VNET_HLEN } from '../../wire/virtio_net.ts';
import { IFF_UP as INTERFACE_UP, ifreq, interfaceFacts, interfaceFlags } from '../sys/interface.ts';
import { libc } from '../sys/libc.ts';
import { AF_INET, openSocket, SOCK_DGRAM } from '../sys/socket.ts';
import {
  IFF_MULTI_QUEUE,
  IFF_NO_PI,
  IFF_TAP,
  IFF_VNET_HDR,
  openTap,
  setInterfaceMtu,
  setInterfaceUp,
  setTunCarrier,
  setTunOffload,
  setTunPersist,
  setVnetHeader,
  TUN_F_CSUM,
  TUN_F_TSO_ECN,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  tunFacts,
  tunFlags,
} from '../sys/tun.ts';

const TCP_OFFLOAD = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
const MTU_DEFAULT = 1500;
const MTU_MIN = 68;
const MTU_MAX = 65521;
const QUEUES_MAX = 256;

export interface TapOptions {
  /** Descriptors of the device, each a queue; 1 if absent, or all that it is to have. */
  readonly queues?: number;
  /** Others may open more queues of it, in other threads; true if there are several. */
  readonly multiQueue?: boolean;
  /** False: no super-frames and no missing checksums, in neither direction. True if absent. */
  readonly offload?: boolean;
  /** The device stays when we are gone, or goes; absent: as it is, and a new one goes. */
  readonly persist?: boolean;
  /** Sets the kernel's interface to this MTU; absent: as it is. */
  readonly mtu?: number;
  /** Sets the kernel's interface up; absent: only one that was made here. */
  readonly interfaceUp?: boolean;
}

/** What is known before the device is opened. */
export interface TapPlan {
  readonly queues: number;
  readonly mtu: number;
  readonly multiQueue: boolean;
  /** It is there already. */
  readonly exists: boolean;
}

export interface TapDevice {
  /** A descriptor for each queue. */
  readonly fds: readonly number[];
  /** A socket in the interface's namespace, to ask for its state. */
  readonly asks: number;
  readonly name: string;
  readonly index: number;
  /** Datagrams too come as super-frames. (USO: since Linux 6.2) */
  readonly datagrams: boolean;
}

/** Looks what `name` is now. Throws SetupError: ERR_NETPOLL_NOT_TAP, ERR_NETPOLL_OPTIONS, ERR_NETPOLL_NAME, ERR_NETPOLL_NO_KOFFI. */
export function planTap(name: string, options: TapOptions): TapPlan {
  const queues = options.queues ?? 1;
  if (!/^[^/:\s]{1,15}$/.test(name)) throw new SetupError('ERR_NETPOLL_NAME', `"${name}" is no name for an interface`);
  if (!Number.isInteger(queues) || queues < 1 || queues > QUEUES_MAX) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `tap:${name}: ${queues} queues; give 1 to ${QUEUES_MAX}`);
  }
  const { mtu } = options;
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX)) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `tap:${name}: an MTU of ${mtu}; give ${MTU_MIN} to ${MTU_MAX}`);
  }
  if (libc().ifNametoindex(name) === 0)
    return { queues, mtu: mtu ?? MTU_DEFAULT, multiQueue: options.multiQueue ?? queues > 1, exists: false };
  const flags = tunFlags(name);
  if (flags < 0 || (flags & IFF_TAP) === 0) {
    const what = `there is an interface ${name}, and it is no TAP device`;
    throw new SetupError('ERR_NETPOLL_NOT_TAP', `${what}: packet:${name} opens it, another name makes one`);
  }
  const multiQueue = (flags & IFF_MULTI_QUEUE) !== 0;
  if (queues > 1 && !multiQueue) {
    const what = `${name} was made with a single queue`;
    throw new SetupError(
      'ERR_NETPOLL_OPTIONS',
      `${what}: ip tuntap add dev NAME mode tap multi_queue makes one with more`,
    );
  }
  const facts = interfaceFacts(name, () => []);
  return { queues, mtu: mtu ?? facts.mtu, multiQueue, exists: true };
}

/** Opens all queues. Throws SetupError; nothing is left open then, and no device that was not there before. */
export function openTapDevice(name: string, plan: TapPlan, options: TapOptions): TapDevice {
  const fds: number[] = [];
  let asks = -1;
  try {
    const offload = options.offload ?? true;
    const flags = IFF_NO_PI | (offload ? IFF_VNET_HDR : 0) | (plan.multiQueue ? IFF_MULTI_QUEUE : 0);
    for (let queue = 0; queue < plan.queues; queue++)
      fds.push(openTap(queue === 0 ? name : tunFacts(fds[0]!).name, flags));
    const first = fds[0]!;
    const made = tunFacts(first).name;
    if (offload) for (const fd of fds) setVnetHeader(fd, VNET_HLEN);
    const datagrams = setOffload(first, made, offload);
    // A descriptor's choice before it persists would outlive us, when what follows fails.
    if (options.mtu !== undefined) setInterfaceMtu(made, options.mtu);
    if (options.interfaceUp ?? !plan.exists) setInterfaceUp(made);
    asks = openSocket(AF_INET, SOCK_DGRAM, 0, `ask for ${made}`, '');
    if (options.persist !== undefined) setTunPersist(first, options.persist);
    setTunCarrier(first, true);
    return { fds, asks, name: made, index: libc().ifNametoindex(made), datagrams };
  } catch (error) {
    for (const fd of fds) libc().close(fd);
    if (asks >= 0) libc().close(asks);
    throw error;
  }
}

/** True: datagrams too. */
function setOffload(fd: number, name: string, on: boolean): boolean {
  if (on && setTunOffload(fd, TCP_OFFLOAD | TUN_F_USO4 | TUN_F_USO6)) return true;
  if (setTunOffload(fd, on ? TCP_OFFLOAD : 0)) return false;
  throw new SetupError('ERR_NETPOLL_OFFLOAD', `${name} takes no offloads`);
}

export function closeTapDevice(device: TapDevice): void {
  for (const fd of device.fds) libc().close(fd);
  libc().close(device.asks);
}

/** The kernel's end is up. One that was moved to another namespace, where we cannot ask, is. */
export class TapUp {
  readonly #request: Buffer;
  readonly #name: string;
  readonly #index: number;

  constructor(name: string, index: number) {
    this.#request = ifreq(name);
    this.#name = name;
    this.#index = index;
  }

  /** Two system calls. */
  up(asks: number): boolean {
    if (libc().ifNametoindex(this.#name) !== this.#index) return true;
    return (interfaceFlags(asks, this.#request) & INTERFACE_UP) !== 0;
  }
}
