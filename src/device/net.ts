/**
 * Net: the networking of one machine (`struct net` and what the kernel keeps beside it): its devices, its CPUs' softnet
 * data, who is told of device events, and the sinks that the layers to the right install.
 */
import type { Machine } from '../machine/machine.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { NapiStruct } from './napi_struct.ts';
import type { NetDevice } from './net_device.ts';
import { Softnet } from './softnet.ts';

/** Events that notifiers are told of, with the kernel's numbers. */
export const NetdevEvent = {
  UP: 1,
  DOWN: 2,
  CHANGE: 4,
  REGISTER: 5,
  UNREGISTER: 6,
  CHANGEMTU: 7,
  CHANGEADDR: 8,
  GOING_DOWN: 10,
  CHANGENAME: 11,
  PRE_UP: 14,
} as const;
export type NetdevEvent = (typeof NetdevEvent)[keyof typeof NetdevEvent];

/** Is told of an event; a negative errno vetoes where that is possible (PRE_UP, REGISTER). */
export type Notifier = (event: NetdevEvent, dev: NetDevice) => number;

export class Net {
  readonly machine: Machine;
  readonly devices: NetDevice[] = [];
  readonly softnet: readonly Softnet[];
  /** What a napi instance's `receive` becomes when it is added. Installed by napi_init. */
  napiReceive: (skb: SkBuff) => void;
  /** Sees every napi instance that is added; puts receive offload into it. Installed by napi_init. */
  napiAdded: (napi: NapiStruct) => void = () => {};
  nextNapiId: number;
  nextIfindex = 1;
  /** Identification field of the last IPv4 packet that netpoll sent; the first one has 1. */
  ipId = 0;
  /** Frames kept for netpoll, for when memory is out (`MAX_SKBS`). */
  readonly netpollReserve = new SkbQueue(32);
  readonly #notifiers: Notifier[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
    const nobody = (skb: SkBuff): number => {
      skb.pool.kfree(skb, DropReason.UNHANDLED_PROTO);
      return 1;
    };
    this.softnet = machine.cpus.map((cpu) => new Softnet(cpu, nobody));
    this.napiReceive = nobody;
    this.nextNapiId = machine.cpus.length + 1;
  }

  /** The device called `name`. (`dev_get_by_name`) */
  byName(name: string): NetDevice | undefined {
    return this.devices.find((dev) => dev.name === name);
  }

  /** Tells `notifier` of events from now on. (`register_netdevice_notifier`) */
  registerNotifier(notifier: Notifier): void {
    this.#notifiers.push(notifier);
  }

  unregisterNotifier(notifier: Notifier): void {
    const at = this.#notifiers.indexOf(notifier);
    if (at >= 0) this.#notifiers.splice(at, 1);
  }

  /** Tells everybody; the first veto (a negative errno) ends the round and is returned. */
  notify(event: NetdevEvent, dev: NetDevice): number {
    for (const notifier of this.#notifiers) {
      const verdict = notifier(event, dev);
      if (verdict < 0) return verdict;
    }
    return 0;
  }
}
