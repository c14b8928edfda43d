/**
 * How many of a device's queues are in use: fewer than it was made with, when the user says so (`ethtool -L`).
 *
 * What waits in front of a transmit queue that goes out of use is dropped. Process context.
 */
import { Errno } from '../base/status.ts';
import type { NetDevice } from './net_device.ts';

/** 0; -EINVAL: none, or more than there are. (`netif_set_real_num_queues`) */
export function netifSetRealNumQueues(dev: NetDevice, txQueues: number, rxQueues: number): number {
  if (!(txQueues >= 1 && txQueues <= dev.txQueues.length && rxQueues >= 1)) return -Errno.EINVAL;
  dev.realNumRxQueues = rxQueues;
  const before = dev.realNumTxQueues;
  dev.realNumTxQueues = txQueues;
  for (let q = txQueues; q < before; q++) dev.txQueues[q]!.qdisc?.reset();
  return 0;
}
