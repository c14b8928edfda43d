// hot
/**
 * l2 forward: what one device receives the other sends, and the other way round, as they are. A cable between two devices.
 *
 *     a: poll --> rx handler --> [fits b?] --> b's queue --> b           and from b to a the same
 *                                   no: too_long       full, or down: dropped
 *
 * No addresses are learned or looked at: for that there is a bridge. Super-frames go over whole where the other device takes them, and are
 * cut by the stack where it does not; a checksum that was left to do is left to the other device, or done.
 */
import { Counters } from '../base/counters.ts';
import { Errno } from '../base/status.ts';
import { devSetAllmulti, devSetPromiscuity } from '../device/change.ts';
import type { NetDevice, RxHandlerResult } from '../device/net_device.ts';
import { netdevRxHandlerRegister, netdevRxHandlerUnregister } from '../device/upper.ts';
import { PACKET_LOOPBACK, type SkBuff, skbIsGso } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { skbForwardTo } from '../stacked/forward_to.ts';

export const FORWARD_COUNTERS = ['frames', 'bytes', 'super_frames', 'too_long', 'dropped'] as const;
export type ForwardCounters = Counters<(typeof FORWARD_COUNTERS)[number]>;
const FRAMES = 0;
const BYTES = 1;
const SUPER_FRAMES = 2;
const TOO_LONG = 3;
const DROPPED = 4;

/** One direction: `counters` says what became of each frame that `from` has received. */
export interface ForwardWay {
  readonly from: NetDevice;
  readonly to: NetDevice;
  /** `frames` were handed to the other device's queue, with so many `bytes`; of these, `super_frames` stand for several. */
  readonly counters: ForwardCounters;
}

export interface L2Forward {
  readonly ways: readonly [ForwardWay, ForwardWay];
  /** Both devices are themselves again. */
  close(): void;
}

/** Set-up: joins two devices of one machine. -EINVAL: it is one device, or they are of two machines. -EBUSY: somebody else has its frames. */
export function createL2Forward(a: NetDevice, b: NetDevice): L2Forward | number {
  if (a === b || a.net !== b.net) return -Errno.EINVAL;
  const ways = [way(a, b), way(b, a)] as const;
  const error = join(ways[0]);
  if (error < 0) return error;
  const second = join(ways[1]);
  if (second < 0) {
    part(ways[0]);
    return second;
  }
  return {
    ways: [ways[0], ways[1]],
    close() {
      for (const each of ways) part(each);
    },
  };
}

function way(from: NetDevice, to: NetDevice): ForwardWay {
  return { from, to, counters: new Counters(FORWARD_COUNTERS) };
}

/** Set-up. */
function join(each: ForwardWay): number {
  const error = netdevRxHandlerRegister(each.from, (skb) => forward(each, skb));
  if (error < 0) return error;
  devSetAllmulti(each.from, 1);
  devSetPromiscuity(each.from, 1);
  return 0;
}

function part(each: ForwardWay): void {
  netdevRxHandlerUnregister(each.from);
  devSetPromiscuity(each.from, -1);
  devSetAllmulti(each.from, -1);
}

/** The rx handler. `skb.data` is behind the Ethernet header. */
function forward(each: ForwardWay, skb: SkBuff): RxHandlerResult {
  if (skb.pktType === PACKET_LOOPBACK) return 'pass';
  const { to } = each;
  const { values } = each.counters;
  if (!skbForwardTo(to, skb)) {
    values[TOO_LONG]!++;
    return 'consumed';
  }
  const { len } = skb;
  const whole = skbIsGso(skb);
  if (devQueueXmit(skb) !== 0) {
    values[DROPPED]!++;
    return 'consumed';
  }
  values[FRAMES]!++;
  values[BYTES]! += len;
  if (whole) values[SUPER_FRAMES]!++;
  return 'consumed';
}
