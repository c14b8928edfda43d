/**
 * Net: the networking of one machine (`struct net` and what the kernel keeps beside it): its devices, its CPUs' softnet
 * data, who is told of device events, and the sinks that the layers to the right install.
 */
import type { Machine } from '../machine/machine.ts';
import { Softirq } from '../machine/softirq.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { SkbQueue } from '../skb/queue.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { freeCompletionQueue } from './kfree_skb.ts';
import { Linkwatch } from './linkwatch.ts';
import { NapiHash } from './napi_hash.ts';
import type { NapiStruct } from './napi_struct.ts';
import { IFF_UP, type NetDevice } from './net_device.ts';
import { NetdevEvent, type Notifier } from './netdev_event.ts';
import type { Qdisc } from './qdisc.ts';
import { Softnet } from './softnet.ts';

export { NetdevEvent, type Notifier } from './netdev_event.ts';

export class Net {
  readonly machine: Machine;
  readonly devices: NetDevice[] = [];
  readonly softnet: readonly Softnet[];
  /** What a napi instance's `receive` becomes when it is added. Installed by napi_init. */
  napiReceive: (skb: SkBuff) => void;
  /** Sees every napi instance that is added; puts receive offload into it. Installed by napi_init. */
  napiAdded: (napi: NapiStruct) => void = () => {};
  /**
   * Gives a tagged frame to the device of its VLAN. 'another': it is on that device now, without its tag; 'consumed': freed, for
   * that device is down; 'none': there is none. Installed by who has VLAN devices. (`vlan_do_receive`)
   */
  vlanReceive: ((skb: SkBuff) => 'another' | 'consumed' | 'none') | null = null;
  /** What the stack keeps for the way down; its own type is the stack's. */
  transmit: object | null = null;
  /** Has what waits in a qdisc sent soon (`__netif_schedule`). Installed by the stack. */
  scheduleQdisc: (qdisc: Qdisc) => void = () => {};
  /** The stack's part of a device that comes up, gets its link, or loses it (`dev_activate`, `dev_deactivate`). */
  activate: (dev: NetDevice) => void = () => {};
  deactivate: (dev: NetDevice) => void = () => {};
  /** txQueueLen has changed. Installed by the stack. */
  resizeQdiscs: (dev: NetDevice) => void = () => {};
  /** Frames of a device that goes away are on no CPU's backlog afterwards. Installed by the stack. (`flush_all_backlogs`) */
  flushBacklogs: (dev: NetDevice) => void = () => {};
  /** The watchdog looks after the device again (`__netdev_watchdog_up`). Installed by the stack. */
  watchdogUp: (dev: NetDevice) => void = () => {};
  /** Enabled NAPI instances by id. */
  readonly napiHash = new NapiHash();
  nextNapiId: number;
  nextIfindex = 1;
  /** Identification field of the last IPv4 packet that netpoll sent; the first one has 1. */
  ipId = 0;
  /** What became of the frames on completion queues, by frame id (kfree_skb.ts). */
  readonly completionReason: Int16Array;
  /** Frames kept for netpoll, for when memory is out (`MAX_SKBS`). */
  readonly netpollReserve = new SkbQueue(32);
  /** Follows links that come and go. */
  readonly linkwatch: Linkwatch;
  readonly #notifiers: Notifier[] = [];
  readonly #said = new Set<string>();

  constructor(machine: Machine) {
    this.machine = machine;
    const nobody = (skb: SkBuff): number => {
      skb.pool.kfree(skb, DropReason.UNHANDLED_PROTO);
      return 1;
    };
    this.softnet = machine.cpus.map((cpu) => new Softnet(cpu, nobody));
    this.linkwatch = new Linkwatch(machine);
    this.napiReceive = nobody;
    this.completionReason = new Int16Array(machine.skbs.size);
    // Also without a stack, interrupts leave frames to be freed; a stack puts its qdiscs behind this.
    machine.softirq.open(Softirq.NET_TX, () => freeCompletionQueue(this));
    this.nextNapiId = machine.cpus.length + 1;
  }

  /** Says `text` at level `level`, once a machine. (`pr_err_once`) */
  sayOnce(level: number, text: string, key: string = text): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    this.machine.printk.printk(level, text);
  }

  /** The device called `name`. (`dev_get_by_name`) */
  byName(name: string): NetDevice | undefined {
    return this.devices.find((dev) => dev.name === name);
  }

  /**
   * Tells `notifier` of events from now on, and first of what there is: REGISTER of every device, UP of those that are. A
   * veto among these takes it back and is returned. (`register_netdevice_notifier`)
   */
  registerNotifier(notifier: Notifier): number {
    this.#notifiers.push(notifier);
    for (const dev of this.devices) {
      const verdict = notifier(NetdevEvent.REGISTER, dev);
      if (verdict < 0) {
        this.#forget(notifier, dev);
        return verdict;
      }
      if ((dev.flags & IFF_UP) !== 0) notifier(NetdevEvent.UP, dev);
    }
    return 0;
  }

  /** It is told of no more events, and last that everything has gone. (`unregister_netdevice_notifier`) */
  unregisterNotifier(notifier: Notifier): void {
    if (this.#notifiers.includes(notifier)) this.#forget(notifier);
  }

  #forget(notifier: Notifier, until?: NetDevice): void {
    this.#notifiers.splice(this.#notifiers.indexOf(notifier), 1);
    for (const dev of this.devices) {
      if (dev === until) return;
      if ((dev.flags & IFF_UP) !== 0) {
        notifier(NetdevEvent.GOING_DOWN, dev);
        notifier(NetdevEvent.DOWN, dev);
      }
      notifier(NetdevEvent.UNREGISTER, dev);
    }
  }

  /** Tells everybody; the first veto (a negative errno) ends the round and is returned. */
  notify(event: NetdevEvent, dev: NetDevice): number {
    for (const notifier of [...this.#notifiers]) {
      const verdict = notifier(event, dev);
      if (verdict < 0) return verdict;
    }
    return 0;
  }
}
