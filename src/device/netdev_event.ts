/** What happens to devices, and who is told (`enum netdev_cmd`). */
import type { NetDevice } from './net_device.ts';

/** Events that notifiers are told of, with the kernel's numbers. */
export const NetdevEvent = {
  UP: 1,
  DOWN: 2,
  REBOOT: 3,
  CHANGE: 4,
  REGISTER: 5,
  UNREGISTER: 6,
  CHANGEMTU: 7,
  CHANGEADDR: 8,
  PRE_CHANGEADDR: 9,
  GOING_DOWN: 10,
  CHANGENAME: 11,
  FEAT_CHANGE: 12,
  BONDING_FAILOVER: 13,
  PRE_UP: 14,
  PRE_TYPE_CHANGE: 15,
  POST_TYPE_CHANGE: 16,
  POST_INIT: 17,
  PRE_UNINIT: 18,
  RELEASE: 19,
  NOTIFY_PEERS: 20,
  JOIN: 21,
  CHANGEUPPER: 22,
  RESEND_IGMP: 23,
  PRECHANGEMTU: 24,
  BONDING_INFO: 26,
  PRECHANGEUPPER: 27,
  CHANGELOWERSTATE: 28,
  CHANGE_TX_QUEUE_LEN: 31,
} as const;
export type NetdevEvent = (typeof NetdevEvent)[keyof typeof NetdevEvent];

/**
 * Is told of an event; a negative errno vetoes where that is possible: PRE_UP, POST_INIT, REGISTER, PRECHANGEMTU, CHANGEMTU,
 * PRE_CHANGEADDR, CHANGENAME, CHANGE_TX_QUEUE_LEN, PRECHANGEUPPER, CHANGEUPPER.
 */
export type Notifier = (event: NetdevEvent, dev: NetDevice) => number;
