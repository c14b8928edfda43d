/**
 * netconsole: the console that writes to the network.
 *
 *     printk --> NetconsoleConsole.write(record) --> each enabled target: message --> datagrams --> netpollSendUdp
 *
 *  1. Targets come from `netconsole=` (cmdline0, cmdline1, ...) or are made later, through the tree that `configfs` is.
 *  2. A target is set up on its device when it is enabled; a console exists while it has targets of its format.
 *  3. Those of `netconsole=` are first shown what the log still holds; those enabled later, what is new.
 *  4. A device that goes away takes its targets along, and brings them back (events.ts).
 *
 * Nothing here is called in a bad context but the consoles' `write`.
 */
import { Errno } from '../../base/status.ts';
import type { Net } from '../../device/net.ts';
import type { Notifier } from '../../device/netdev_event.ts';
import type { Netpoll } from '../../netpoll/netpoll.ts';
import { BROADCAST_MAC } from '../../netpoll/options.ts';
import { netpollCleanup, netpollSetup } from '../../netpoll/setup.ts';
import { MESSAGE_MAX } from '../../wire/netconsole_emit.ts';
import { NetconsoleConfigfs } from './configfs.ts';
import { NetconsoleConsole } from './console.ts';
import { createNetdevNotifier } from './events.ts';
import type { NetconsoleSpec } from './param.ts';
import { NetconsoleTarget, STATE_DEACTIVATED, STATE_DISABLED, STATE_ENABLED } from './target.ts';

export { type NetconsoleSpec, type ParsedParam, parseNetconsoleParam } from './param.ts';
export { NetconsoleTarget } from './target.ts';

export interface NetconsoleOptions {
  /** Sends only what is printed while the machine oopses (`netconsole.oops_only`). */
  readonly oopsOnly?: boolean;
  /**
   * Longest message of each format in bytes, at least 256. Nothing is lost with the default, MESSAGE_MAX; kernels cut at
   * PRINTK_MESSAGE_MAX, or before 6.4 the basic format at CONSOLE_LOG_MAX.
   */
  readonly messageMax?: { readonly extended: number; readonly basic: number };
  /** Called before a target's device is looked for: a world may open it. May throw a SetupError, which refuses the target. */
  readonly openDevice?: (np: Netpoll) => void;
}

export class Netconsole {
  readonly net: Net;
  /** All targets, the newest first: in this order they are served. */
  readonly targets: NetconsoleTarget[] = [];
  /** The console of the extended format, and that of the basic one. */
  readonly consoles: readonly [NetconsoleConsole, NetconsoleConsole];
  /** The targets as a tree of attributes. */
  readonly configfs: NetconsoleConfigfs;
  oopsOnly: boolean;
  readonly #openDevice: (np: Netpoll) => void;
  readonly #notifier: Notifier;

  /** A netconsole without targets; `createNetconsole` makes one with those of `netconsole=`. */
  constructor(net: Net, options: NetconsoleOptions = {}) {
    this.net = net;
    this.oopsOnly = options.oopsOnly ?? false;
    this.#openDevice = options.openDevice ?? (() => {});
    const make = (extended: boolean, messageMax: number): NetconsoleConsole =>
      new NetconsoleConsole({
        machine: net.machine,
        extended,
        targets: this.targets,
        messageMax,
        oopsOnly: () => this.oopsOnly,
      });
    const { extended, basic } = options.messageMax ?? { extended: MESSAGE_MAX, basic: MESSAGE_MAX };
    this.consoles = [make(true, extended), make(false, basic)];
    this.configfs = new NetconsoleConfigfs(this);
    this.#notifier = createNetdevNotifier(this);
    net.registerNotifier(this.#notifier);
  }

  /** The target called `name`. */
  find(name: string): NetconsoleTarget | undefined {
    return this.targets.find((target) => target.name === name);
  }

  /** A new target with the defaults, not enabled. The name must be free. (`make_netconsole_target`) */
  add(name: string, spec?: NetconsoleSpec): NetconsoleTarget {
    const target = new NetconsoleTarget({
      name,
      uname: this.net.machine.release,
      ...(spec === undefined
        ? {}
        : {
            extended: spec.extended,
            release: spec.release,
            options: spec.options,
            ...(spec.defaultDevice === true ? {} : { bannerMac: BROADCAST_MAC }),
          }),
    });
    this.targets.unshift(target);
    return target;
  }

  /** Takes a target away, enabled or not. (`drop_netconsole_target`) */
  remove(target: NetconsoleTarget): void {
    const at = this.targets.indexOf(target);
    if (at < 0) return;
    this.targets.splice(at, 1);
    const was = target.state;
    target.state = STATE_DISABLED;
    netpollCleanup(target.np);
    if (was === STATE_ENABLED) this.#releaseConsole(target);
  }

  /** Sets the target up and starts logging to it; 0, or a negative errno with the reason in the log. (`enabled_store` of 1) */
  enable(target: NetconsoleTarget): number {
    const { printk } = this.net.machine;
    if (target.state === STATE_DEACTIVATED) target.state = STATE_DISABLED;
    if (target.enabled) {
      printk.info('netconsole: network logging has already started');
      return -Errno.EINVAL;
    }
    if (target.release && !target.extended) {
      printk.err('netconsole: Not enabling netconsole. Release feature requires extended log message');
      return -Errno.EINVAL;
    }
    const console = this.consoles[target.extended ? 0 : 1];
    if (!printk.isRegistered(console)) printk.registerConsole(console, { announce: true });
    for (const line of target.banner()) printk.info(line);
    const error = this.#setUp(target);
    if (error < 0) return error;
    target.state = STATE_ENABLED;
    printk.info('netconsole: network logging started');
    return 0;
  }

  /** Stops logging to it; 0, or -EINVAL where it was stopped already. (`enabled_store` of 0) */
  disable(target: NetconsoleTarget): number {
    const was = target.state;
    target.state = STATE_DISABLED;
    if (was !== STATE_ENABLED) {
      this.net.machine.printk.info('netconsole: network logging has already stopped');
      return -Errno.EINVAL;
    }
    netpollCleanup(target.np);
    this.#releaseConsole(target);
    return 0;
  }

  /** The device of a deactivated target is there again: one attempt. (`resume_target`) */
  resume(target: NetconsoleTarget): void {
    if (target.state !== STATE_DEACTIVATED) return;
    const error = this.#setUp(target);
    target.state = error < 0 ? STATE_DISABLED : STATE_ENABLED;
    if (error < 0) return;
    this.net.machine.printk.info(`netconsole: network logging resumed on interface ${target.np.devName}`);
  }

  /** Starts the targets of `netconsole=`. (`init_netconsole`) */
  start(specs: readonly NetconsoleSpec[]): void {
    const { printk } = this.net.machine;
    for (const [index, spec] of specs.entries()) {
      const target = this.add(`cmdline${index}`, spec);
      for (const line of target.banner()) printk.info(line);
      if (this.#setUp(target) === 0) target.state = STATE_ENABLED;
      else printk.err(`netconsole: Not enabling netconsole for cmdline${index}. Netpoll setup failed`);
    }
    for (const console of this.consoles) {
      const wanted = this.targets.some((target) => target.extended === console.extended);
      if (wanted) printk.registerConsole(console, { replay: true, announce: true });
    }
    printk.info('netconsole: network logging started');
  }

  /** Stops logging and releases the devices. */
  close(): void {
    const { printk } = this.net.machine;
    for (const target of this.targets) {
      target.state = STATE_DISABLED;
      netpollCleanup(target.np);
    }
    for (const console of this.consoles) printk.unregisterConsole(console);
    this.net.unregisterNotifier(this.#notifier);
  }

  #setUp(target: NetconsoleTarget): number {
    const { machine } = this.net;
    try {
      this.#openDevice(target.np);
      return netpollSetup(this.net, target.np);
    } catch (error) {
      // A port's open may throw; whoever writes to an attribute wants an errno, and the reason in the log.
      machine.printk.err(`netconsole: ${error instanceof Error ? error.message : String(error)}`);
      return -Errno.ENODEV;
    }
  }

  /** A console without enabled targets goes. */
  #releaseConsole(target: NetconsoleTarget): void {
    const { printk } = this.net.machine;
    const needed = this.targets.some((each) => each.enabled && each.extended === target.extended);
    const console = this.consoles[target.extended ? 0 : 1];
    if (!needed) printk.unregisterConsole(console);
  }
}

/**
 * Starts logging to every target whose device can be set up; the others stay in the list, disabled, with the reason in the
 * log. The records that the log still holds are sent first. (`init_netconsole`, with CONFIG_NETCONSOLE_DYNAMIC)
 */
export function createNetconsole(
  net: Net,
  specs: readonly NetconsoleSpec[],
  options: NetconsoleOptions = {},
): Netconsole {
  const netconsole = new Netconsole(net, options);
  netconsole.start(specs);
  return netconsole;
}
