/**
 * Makes the receiving side of the veth behave as a card does that receives beside other work: frames are put together (GRO), and its
 * interrupt comes at most every 50 us.
 *
 *     ethtool -K rx0 gro on; -K flood0 tso off     a veth takes frames through NAPI at all
 *     gro_flush_timeout, napi_defer_hard_irqs      what a card's own moderation does: so many frames a poll that there is something to join
 */
import { execFileSync } from 'node:child_process';
import { RECEIVE_SIDE, SEND_SIDE, type VethNamespace } from '../packet_rx/veth_namespace.ts';

const HOLD_NS = 50_000;

/** True: as a card; false: as a veth is. Throws what a command said that failed. */
export function asCard(lab: VethNamespace, on: boolean): void {
  const at = `/sys/class/net/${RECEIVE_SIDE}`;
  const script = [
    `ethtool -K ${RECEIVE_SIDE} gro ${on ? 'on' : 'off'}`,
    `ethtool -K ${SEND_SIDE} tso ${on ? 'off' : 'on'}`,
    `echo ${on ? HOLD_NS : 0} > ${at}/gro_flush_timeout`,
    `echo ${on ? 1 : 0} > ${at}/napi_defer_hard_irqs`,
  ];
  execFileSync('ip', ['netns', 'exec', lab.name, 'sh', '-ec', script.join('\n')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}
