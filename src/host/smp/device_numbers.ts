/**
 * Devices by number: a frame that is handed over names its device by a number that is the same on every CPU, each of which has an
 * object of its own for it. The numbers go by name, in the table of CPUs.
 */
import type { Net } from '../../device/net.ts';
import type { NetDevice } from '../../device/net_device.ts';
import type { CpuTable } from './cpu_table.ts';

/** What a device has that no other CPU knows by name. */
const UNKNOWN = 0xffff;
const INDEX_MAX = 4096;

export class DeviceNumbers {
  readonly #table: CpuTable;
  readonly #net: Net;
  /** By ifindex, and by number. */
  readonly #numbers = new Int32Array(INDEX_MAX).fill(-1);
  readonly #devices: (NetDevice | null)[] = [];

  constructor(table: CpuTable, net: Net) {
    this.#table = table;
    this.#net = net;
  }

  /** For a frame of this device. Asked for the first time it goes through the table. */
  numberOf(dev: NetDevice): number {
    const known = dev.ifindex < INDEX_MAX ? this.#numbers[dev.ifindex]! : -1;
    return known >= 0 ? known : this.#learn(dev);
  }

  #learn(dev: NetDevice): number {
    const { index } = this.#table.device(dev.name, (kept) => kept);
    if (index < 0 || dev.ifindex >= INDEX_MAX) return UNKNOWN;
    this.#numbers[dev.ifindex] = index;
    this.#devices[index] = dev;
    return index;
  }

  /** This CPU's device with that number; null: it has none. */
  deviceOf(number: number): NetDevice | null {
    const known = this.#devices[number];
    if (known != null && known.net === this.#net && this.#net.devices.includes(known)) return known;
    for (const dev of this.#net.devices) if (this.#learn(dev) === number) return dev;
    return null;
  }
}
