/**
 * linkwatch: what follows when a link comes or goes. A driver only flips the carrier, wherever it is; the rest needs process
 * context, and a link that flaps must not keep the machine busy.
 *
 *     netifCarrierOn/Off --> pending --> work: operstate, qdiscs on or off, CHANGE
 *                                        urgent (link up, nothing can be sent yet): soon; else at most once a second
 *
 * Answers to net/core/link_watch.c.
 */
import type { Machine } from '../machine/machine.ts';
import { Work } from '../machine/timer.ts';
import {
  IF_OPER_DORMANT,
  IF_OPER_DOWN,
  IF_OPER_LOWERLAYERDOWN,
  IF_OPER_TESTING,
  IF_OPER_UP,
  IFF_MASTER,
  IFF_UP,
  LINK_STATE_DORMANT,
  LINK_STATE_LINKWATCH_PENDING,
  LINK_STATE_TESTING,
  type NetDevice,
  netifCarrierOk,
  netifRunning,
} from './net_device.ts';
import { NetdevEvent } from './netdev_event.ts';

/** Batches of events that are not urgent come no closer than this. */
const BATCH_NS = 1e9;
/** Devices in one batch. */
const BATCH = 100;

export class Linkwatch {
  readonly #machine: Machine;
  readonly #pending: NetDevice[] = [];
  readonly #work: Work;
  #nextNs = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#work = new Work(machine, () => this.run(false));
  }

  /**
   * The device's link has changed; any context. What is urgent is done at once where we are in process context, as a work
   * would be that nobody keeps waiting. (`linkwatch_fire_event`)
   */
  fire(dev: NetDevice): void {
    const urgent = isUrgent(dev);
    const { cpu } = this.#machine;
    if (urgent && !cpu.inInterrupt && !cpu.irqsDisabled) {
      this.forget(dev);
      handle(dev);
      return;
    }
    if ((dev.state & LINK_STATE_LINKWATCH_PENDING) === 0) {
      dev.state |= LINK_STATE_LINKWATCH_PENDING;
      this.#pending.push(dev);
    } else if (!urgent) {
      return;
    }
    this.#schedule(urgent);
  }

  /** Handles what is pending; process context. With `urgentOnly` the others go on waiting for their second. */
  run(urgentOnly: boolean): void {
    const now = this.#machine.executive.now();
    const all = !urgentOnly && now >= this.#nextNs;
    if (all) this.#nextNs = now + BATCH_NS;
    let left = BATCH;
    for (let i = 0; i < this.#pending.length && left > 0; ) {
      const dev = this.#pending[i]!;
      if (!all && !isUrgent(dev)) {
        i++;
        continue;
      }
      this.#pending.splice(i, 1);
      left--;
      handle(dev);
    }
    if (this.#pending.length > 0) this.#schedule(false);
  }

  /** The device goes away: its events are forgotten. */
  forget(dev: NetDevice): void {
    const at = this.#pending.indexOf(dev);
    if (at >= 0) this.#pending.splice(at, 1);
    dev.state &= ~LINK_STATE_LINKWATCH_PENDING;
  }

  #schedule(urgent: boolean): void {
    const delayNs = urgent ? 0 : Math.max(0, this.#nextNs - this.#machine.executive.now());
    if (delayNs === 0) this.#work.cancel();
    this.#work.schedule(delayNs);
  }
}

/** The link is up and the qdiscs do not know it; or another device's state hangs on this one's. */
function isUrgent(dev: NetDevice): boolean {
  if (!netifRunning(dev)) return false;
  if (dev.master !== null || dev.iflink !== 0 || (dev.flags & IFF_MASTER) !== 0) return true;
  return netifCarrierOk(dev) && dev.txQueues.some((txq) => txq.qdisc !== txq.qdiscSleeping);
}

function handle(dev: NetDevice): void {
  dev.state &= ~LINK_STATE_LINKWATCH_PENDING;
  operstatePolicy(dev);
  if ((dev.flags & IFF_UP) === 0) return;
  if (netifCarrierOk(dev)) dev.net.activate(dev);
  else dev.net.deactivate(dev);
  dev.net.notify(NetdevEvent.CHANGE, dev);
}

/** It stands on, or is paired with, a device of this machine that has no carrier either. */
function lowerDown(dev: NetDevice): boolean {
  if (dev.iflink === 0 || dev.iflink === dev.ifindex) return false;
  const lower = dev.net.devices.find(({ ifindex }) => ifindex === dev.iflink);
  return lower !== undefined && !netifCarrierOk(lower);
}

/** What the device's state means to users, by RFC 2863. (`rfc2863_policy`) */
export function operstatePolicy(dev: NetDevice): void {
  if (!netifCarrierOk(dev)) dev.operstate = lowerDown(dev) ? IF_OPER_LOWERLAYERDOWN : IF_OPER_DOWN;
  else if ((dev.state & LINK_STATE_TESTING) !== 0) dev.operstate = IF_OPER_TESTING;
  else if ((dev.state & LINK_STATE_DORMANT) !== 0) dev.operstate = IF_OPER_DORMANT;
  else dev.operstate = IF_OPER_UP;
}
