/**
 * What a port over a real interface has beside what every port has: it can be told that the interface is another one now. Who tells
 * it is the follower (interface_follower.ts).
 */
import type { Port } from '../../drivers/nic/port.ts';

/** A port on an interface of this namespace. */
export interface InterfacePort extends Port {
  /** The kernel's name of the interface. */
  readonly interfaceName: string;
  /** The interface is this now; what the port keeps of it (name, number, caps) is to be changed. May come open or closed. */
  interfaceChanged(now: InterfaceNow): void;
  /** False: its interface was deleted. Absent: an interface that is not in this namespace is gone. */
  readonly attached?: boolean;
}

export interface InterfaceNow {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly mac: Uint8Array;
}
