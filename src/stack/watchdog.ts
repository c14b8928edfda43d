/**
 * The transmit watchdog: tells the driver that a queue has been stopped for too long.
 *
 *     fire: each queue that is stopped (by the driver or by byte limits): now > transStart + timeout?
 *           yes: counted, logged, all queues frozen, driver's txTimeout, thawed     one queue a round
 *           then again when the oldest stopped queue would be late
 *
 * It runs while the device is up, present and has a link, and only for drivers that have a txTimeout. A ring that hangs
 * while its queue is not stopped is not noticed. Answers to dev_watchdog.
 */
import { type NetDevice, netifCarrierOk, netifDevicePresent, netifRunning } from '../device/net_device.ts';
import { type NetdevQueue, QUEUE_STATE_ANY_XOFF, QUEUE_STATE_FROZEN } from '../device/netdev_queue.ts';
import { NOOP_OPS } from '../device/qdisc.ts';

const DEFAULT_TIMEO_NS = 5e9;

/** The device is looked after from now on. (`netdev_watchdog_up`) */
export function watchdogUp(dev: NetDevice): void {
  if (dev.ops.txTimeout === undefined || !netifRunning(dev)) return;
  if (dev.watchdogTimeoNs <= 0) dev.watchdogTimeoNs = DEFAULT_TIMEO_NS;
  const { machine } = dev.net;
  dev.watchdogTimer ??= machine.timers.create(() => fire(dev));
  machine.timers.mod(dev.watchdogTimer, roundJiffies(dev, machine.executive.now() + dev.watchdogTimeoNs));
}

/** (`dev_watchdog_down`) */
export function watchdogDown(dev: NetDevice): void {
  const timer = dev.watchdogTimer;
  if (timer !== null) dev.net.machine.timers.del(timer);
}

function fire(dev: NetDevice): void {
  if (dev.txQueues[0]!.qdisc?.ops === NOOP_OPS) return;
  if (!netifDevicePresent(dev) || !netifRunning(dev) || !netifCarrierOk(dev)) return;
  const { machine } = dev.net;
  const now = machine.executive.now();
  let oldestNs = now;
  let late: NetdevQueue | undefined;
  for (const txq of dev.txQueues) {
    if ((txq.state & QUEUE_STATE_ANY_XOFF) === 0) continue;
    if (now > txq.transStartNs + dev.watchdogTimeoNs) {
      late = txq;
      break;
    }
    oldestNs = Math.min(oldestNs, txq.transStartNs);
  }
  if (late !== undefined) complain(dev, late, now - late.transStartNs);
  const timer = dev.watchdogTimer;
  if (timer !== null) machine.timers.mod(timer, roundJiffies(dev, oldestNs + dev.watchdogTimeoNs));
}

function complain(dev: NetDevice, late: NetdevQueue, stoppedNs: number): void {
  const { machine } = dev.net;
  late.transTimeout++;
  machine.printk.crit(
    `${dev.name}: NETDEV WATCHDOG: CPU: ${machine.cpu.id}: transmit queue ${late.index} timed out ${Math.floor(stoppedNs / 1e6)} ms`,
  );
  for (const txq of dev.txQueues) txq.state |= QUEUE_STATE_FROZEN;
  dev.ops.txTimeout?.(dev, late);
  for (const txq of dev.txQueues) {
    txq.state &= ~QUEUE_STATE_FROZEN;
    if (txq.qdisc !== null && txq.state === 0) dev.net.scheduleQdisc(txq.qdisc);
  }
}

/** To a whole second, when that is later than now: timers that need not be exact fire together. (`round_jiffies`) */
function roundJiffies(dev: NetDevice, atNs: number): number {
  const { hz, jiffyNs, executive } = dev.net.machine;
  const at = Math.ceil(atNs / jiffyNs);
  const rest = at % hz;
  const rounded = (rest < hz / 4 ? at - rest : at - rest + hz) * jiffyNs;
  return rounded > executive.now() ? rounded : at * jiffyNs;
}
