/**
 * Which qdisc a device has, and when it works.
 *
 *     registered, down, no link      noop          every frame is dropped
 *     up, link, noQueue              noqueue       frames go straight to the driver
 *     up, link, one queue            pfifo_fast
 *     up, link, several queues       mq, a pfifo_fast each
 *
 * devActivate is called when the device comes up and when its link does; it does what is left to do. Answers to
 * dev_activate, dev_deactivate, attach_default_qdiscs.
 */
import { type NetDevice, netifCarrierOk } from '../device/net_device.ts';
import { NOOP_OPS, Qdisc, type QdiscOps } from '../device/qdisc.ts';
import { pfifoFast, pfifoFastResize } from './qdisc_pfifo_fast.ts';
import { watchdogDown, watchdogUp } from './watchdog.ts';

/** Frames are not queued (`noqueue_qdisc_ops`). */
const NOQUEUE_OPS: QdiscOps = { id: 'noqueue', dequeue: () => null, reset: () => {} };

/** The root of a device with several queues: holds nothing itself (`mq_qdisc_ops`). */
const MQ_OPS: QdiscOps = { id: 'mq', dequeue: () => null, reset: () => {} };

/** The device is up: its qdiscs are made; they start to work with the link. */
export function devActivate(dev: NetDevice): void {
  if (dev.qdisc === null || dev.qdisc.ops === NOOP_OPS) attachDefault(dev);
  if (!netifCarrierOk(dev)) {
    for (const txq of dev.txQueues) txq.qdisc ??= new Qdisc(NOOP_OPS, dev);
    return;
  }
  const now = dev.net.machine.executive.now();
  for (const txq of dev.txQueues) {
    const { qdiscSleeping } = txq;
    if (qdiscSleeping === null) continue;
    qdiscSleeping.deactivated = false;
    txq.qdisc = qdiscSleeping;
    if (qdiscSleeping.ops.enqueue !== undefined) txq.transStartNs = now;
  }
  if (!dev.noQueue) watchdogUp(dev);
}

/** The device goes down, or has lost its link: what waits is dropped, and so is what comes. */
export function devDeactivate(dev: NetDevice): void {
  for (const txq of dev.txQueues) {
    const { qdisc } = txq;
    if (qdisc === null || qdisc.ops === NOOP_OPS) continue;
    qdisc.deactivated = true;
    qdisc.reset();
    txq.qdisc = new Qdisc(NOOP_OPS, dev);
  }
  watchdogDown(dev);
}

/** txQueueLen has changed. */
export function devResizeQdiscs(dev: NetDevice): void {
  for (const txq of dev.txQueues) if (txq.qdiscSleeping !== null) pfifoFastResize(txq.qdiscSleeping);
}

function attachDefault(dev: NetDevice): void {
  for (const txq of dev.txQueues) {
    txq.qdiscSleeping = dev.noQueue || dev.txQueueLen === 0 ? new Qdisc(NOQUEUE_OPS, dev) : pfifoFast(dev);
  }
  dev.qdisc = dev.txQueues.length > 1 && !dev.noQueue ? new Qdisc(MQ_OPS, dev) : dev.txQueues[0]!.qdiscSleeping;
}
