/**
 * Suspending a queue's interrupts while its reader keeps up: who waits for events polls the queue himself, and as long as that brings
 * some, no interrupt disturbs him.
 *
 *     poll brought events --> napiSuspendIrqs: a safety timer of irqSuspendTimeoutNs runs, interrupts stay masked
 *     poll brought none   --> napiResumeIrqs: the instance is scheduled; deferred interrupts (deferHardIrqs) take over again
 *     nobody came back    --> the timer polls the instance: the same
 *
 * Off (0) unless it is set, for an instance or for all of a device. Answers to napi_suspend_irqs, napi_resume_irqs, irq-suspend-timeout.
 */
import { napiSchedule, napiStartTimer } from './napi_struct.ts';
import type { Net } from './net.ts';
import type { NetDevice } from './net_device.ts';

/** For all instances of a device. (`irq-suspend-timeout`) */
export function netdevSetIrqSuspend(dev: NetDevice, timeoutNs: number): void {
  for (const napi of dev.napiList) napi.irqSuspendTimeoutNs = timeoutNs;
}

/** The instance's reader has had events and comes back: its interrupts stay masked until then, or for the timeout. */
export function napiSuspendIrqs(net: Net, id: number): void {
  const napi = net.napiHash.byId(id);
  if (napi !== undefined && napi.irqSuspendTimeoutNs > 0) napiStartTimer(napi, napi.irqSuspendTimeoutNs);
}

/** He has found nothing: the instance is polled by the machine again, which unmasks when it finds nothing either. */
export function napiResumeIrqs(net: Net, id: number): void {
  const napi = net.napiHash.byId(id);
  if (napi === undefined || napi.irqSuspendTimeoutNs === 0) return;
  const { machine } = net;
  machine.cpu.localBhDisable();
  napiSchedule(napi);
  machine.softirq.localBhEnable(machine.cpu);
}
