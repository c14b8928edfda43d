/**
 * Why a frame was dropped: the kernel's names (`enum skb_drop_reason`), counted for each machine.
 *
 * CONSUMED is not a drop. NETPOLL_* are ours; the kernel frees these frames without a reason.
 */
export const DROP_REASONS = [
  'NOT_DROPPED_YET',
  'CONSUMED',
  'NOT_SPECIFIED',
  'NO_SOCKET',
  'PKT_TOO_SMALL',
  'PKT_TOO_BIG',
  'HDR_TRUNC',
  'UDP_CSUM',
  'IP_CSUM',
  'IP_INHDR',
  'IP_NOPROTO',
  'OTHERHOST',
  'UNHANDLED_PROTO',
  'CPU_BACKLOG',
  'DEV_READY',
  'QDISC_DROP',
  'QDISC_OVERLIMIT',
  'FULL_RING',
  'NOMEM',
  'DEV_HDR',
  'NO_TX_TARGET',
  'QUEUE_PURGE',
  'SOCKET_RCVBUFF',
  'NETPOLL_NOT_RUNNING',
  'NETPOLL_TRAPPED',
  'NETPOLL_QUEUE_FULL',
  'NETPOLL_DROPPED',
  'FRAG_REASM_TIMEOUT',
  'IP_FRAGMENT',
  'TX_ERROR',
  'NEIGH_FAILED',
  'NEIGH_QUEUEFULL',
  'NEIGH_CREATEFAIL',
  'IP_INADDRERRORS',
  'IP_INVALID_SOURCE',
  'ICMP_CSUM',
  'INVALID_PROTO',
  'DUP_FRAG',
  'FRAG_TOO_FAR',
  'IPV6_BAD_EXTHDR',
  'IPV6_NDISC_BAD_OPTIONS',
  'RECURSION_LIMIT',
] as const;
export type DropReasonName = (typeof DROP_REASONS)[number];

/** Name to number; the number indexes SkbPool.drops. */
export const DropReason = Object.fromEntries(DROP_REASONS.map((name, value) => [name, value])) as {
  readonly [Name in DropReasonName]: number;
};
