/**
 * This process as a machine: Executive, memory and networking of the host world put together, and devices by scheme.
 *
 *     const host = createHostMachine();
 *     const dev = host.openDevice('packet:eth0');        a net_device with NAPI, up
 *     ...
 *     host.close();
 */
import { hostname, release } from 'node:os';
import { Errno, SetupError } from '../base/status.ts';
import type { CoalesceParams } from '../device/coalesce.ts';
import { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { unregisterNetdevice } from '../device/register.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { Machine } from '../machine/machine.ts';
import { type Arena, createArena } from '../skb/arena.ts';
import { netInit, type Stack } from '../stack/net_init.ts';
import { createHostArena, type HostArenaOptions } from './arena.ts';
import { setHostCoalesce } from './coalesce.ts';
import { HostExecutive } from './executive.ts';
import { InterfaceFollower, type WhenDeleted } from './netlink/interface_follower.ts';
import { followPort, type OpenPortOptions, openPort, portAddresses } from './open_port.ts';

export interface HostMachineOptions extends HostArenaOptions {
  /** sk_buff objects; 65536 if absent. As many frames may be alive at once, ring frames included. */
  readonly skbs?: number;
  /** Interrupt moderation of all devices that are opened without saying theirs. */
  readonly coalesce?: Partial<CoalesceParams>;
}

export interface OpenDeviceOptions extends OpenPortOptions {
  /** Interface name inside this machine; the kernel's where there is one (packet:, tap:, xdp: without a queue), else `eth%d`. */
  readonly name?: string;
  /** False: the device is registered and left down. */
  readonly up?: boolean;
  /**
   * packet:, xdp:, tap: what becomes of the device when its interface is deleted. Absent: `wait` for one of the same name, and tap:
   * `unregister`.
   */
  readonly whenDeleted?: WhenDeleted;
  /** Interrupt moderation, as `ethtool -C` would change it from HOST_COALESCE (coalesce.ts). */
  readonly coalesce?: Partial<CoalesceParams>;
}

export interface HostMachine {
  readonly machine: Machine;
  readonly net: Net;
  readonly stack: Stack;
  readonly executive: HostExecutive;
  /**
   * Makes a net_device for `spec` (`packet:eth0`, `xdp:eth0`, `udp:0.0.0.0:6666`, `tap:NAME`, `pcap:FILE`; a plain name means `packet:`)
   * and brings it up. Throws SetupError with the reason and what to do.
   */
  openDevice(spec: string, options?: OpenDeviceOptions): NetDevice;
  /** Closes every device; the process may end afterwards. */
  close(): void;
}

/** Boots. Without koffi only ports that need no system calls of their own can be opened (pcap:). Throws SetupError. */
export function createHostMachine(options: HostMachineOptions = {}): HostMachine {
  const { skbs, coalesce } = options;
  return assembleHostMachine({ ...createMemory(options), skbs, ...(coalesce !== undefined && { coalesce }) });
}

/** What a machine of this thread is put together from. */
export interface HostMachineParts {
  readonly arena: Arena;
  /** Why there are no system calls; null: there are. */
  readonly noKoffi: SetupError | null;
  readonly skbs: number | undefined;
  readonly coalesce?: Partial<CoalesceParams>;
  /** As in MachineOptions: this thread is one CPU of several. */
  readonly cpus?: number;
  readonly bootCpu?: number;
}

export function assembleHostMachine(parts: HostMachineParts): HostMachine {
  const executive = new HostExecutive();
  const { arena, noKoffi, skbs, cpus, bootCpu } = parts;
  const machine = new Machine({
    executive,
    arena,
    skbs: skbs ?? 65536,
    hostname: hostname(),
    release: release(),
    ...(cpus !== undefined && { cpus }),
    ...(bootCpu !== undefined && { bootCpu }),
  });
  executive.onTurn = () => machine.turn();
  const net = new Net(machine);
  const stack = netInit(net);
  const follower = new InterfaceFollower(net, executive);

  return {
    machine,
    net,
    stack,
    executive,
    openDevice(spec, openOptions = {}) {
      if (noKoffi !== null && !spec.startsWith('pcap:')) throw noKoffi;
      const port = openPort(spec, executive, openOptions);
      const dev = createNic(net, port, openOptions.name ?? interfaceName(spec));
      dev.addresses.push(...portAddresses(spec, port));
      try {
        if (noKoffi === null) followPort(follower, dev, port, openOptions.whenDeleted);
        setHostCoalesce(dev, port, openOptions.coalesce ?? parts.coalesce ?? {});
        if (openOptions.up === false) return dev;
        const error = devOpen(dev);
        if (error < 0) throw new SetupError('ERR_NETPOLL_OPEN', `cannot bring up ${spec}: ${errnoName(-error)}`);
      } catch (error) {
        unregisterNetdevice(dev);
        throw error;
      }
      return dev;
    },
    close() {
      for (const dev of net.devices.slice()) unregisterNetdevice(dev);
      follower.close();
    },
  };
}

/** Memory that the kernel can write to; ordinary memory, and why, where koffi is not installed. */
function createMemory(options: HostMachineOptions): { arena: Arena; noKoffi: SetupError | null } {
  try {
    return { arena: createHostArena(options), noKoffi: null };
  } catch (error) {
    if (!(error instanceof SetupError) || error.code !== 'ERR_NETPOLL_NO_KOFFI') throw error;
    return { arena: createArena(options.slots ?? 4096, options.slotSize), noKoffi: error };
  }
}

function interfaceName(spec: string): string {
  const name = /^(?:packet|tap|xdp):([^,]*)/.exec(spec)?.[1] ?? spec;
  return /^[^/:\s%]{1,15}$/.test(name) ? name : 'eth%d';
}

function errnoName(errno: number): string {
  return Object.entries(Errno).find(([, value]) => value === errno)?.[0] ?? `error ${errno}`;
}
