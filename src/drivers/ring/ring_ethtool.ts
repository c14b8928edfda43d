/** What ethtool learns of the textbook card, and may change: rings, queues, coalescing, receive hashing, statistics, the link. */
import { Errno } from '../../base/status.ts';
import type { EthtoolOps } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { RSS_DEFAULT_KEY } from '../../wire/toeplitz.ts';
import { REG_STATUS, STATUS_LINK } from './registers.ts';
import { RING_COALESCE_PARAMS } from './ring_coalesce.ts';
import { type RingNic, ringChange } from './ring_control.ts';

/** Fewer descriptors than these, and a frame with all its fragments would not fit twice. */
export const RING_SIZE_MIN = 64;

/** The operations of the device over `nic`, whose rings have at most `sizeMax` descriptors each. */
export function ringEthtoolOps(nic: RingNic, sizeMax: number): EthtoolOps {
  const { hw } = nic;
  const statistics = (dev: NetDevice): readonly [string, number][] => [
    ...hw.counters.names.map((name): [string, number] => [name, hw.counters.get(name)]),
    ['tx_timeout_resets', nic.resets],
    ...nic.queues.flatMap((queue, q): [string, number][] => [
      [`rx_queue_${q}_packets`, queue.rxPackets],
      [`rx_queue_${q}_bytes`, queue.rxBytes],
      [`rx_queue_${q}_polls`, queue.napi!.polls],
      [`tx_queue_${q}_packets`, queue.txPackets],
      [`tx_queue_${q}_bytes`, queue.txBytes],
      [`tx_queue_${q}_requeues`, dev.txQueues[q]!.requeues],
      [`queue_${q}_interrupts`, queue.line!.count],
    ]),
  ];
  return {
    getDrvinfo: () => ({ driver: 'ring', version: '1', busInfo: 'sim' }),
    getLink: () => (hw.read(REG_STATUS) & STATUS_LINK) !== 0,
    getLinkKsettings: () => ({ speed: 10_000, duplex: 'full', autoneg: false, port: 'Other' }),
    getRingparam: () => {
      const { rxSize, txSize } = nic.queues[0]!;
      return { rx: rxSize, tx: txSize, rxMax: sizeMax, txMax: sizeMax };
    },
    setRingparam: (dev, rx, tx) => {
      const least = (size: number): number => Math.max(size, Math.min(RING_SIZE_MIN, sizeMax));
      return ringChange(dev, nic, least(rx), least(tx), nic.active);
    },
    supportedCoalesceParams: RING_COALESCE_PARAMS,
    getCoalesce: () => nic.coalesce.get(),
    setCoalesce: (_dev, params) => nic.coalesce.set(params, nic.active),
    getChannels: () => ({ rx: 0, tx: 0, combined: nic.active, rxMax: 0, txMax: 0, combinedMax: hw.queues }),
    setChannels: (dev, rx, tx, combined) => {
      if (rx !== 0 || tx !== 0 || combined === 0) return -Errno.EINVAL;
      const { rxSize, txSize } = nic.queues[0]!;
      return ringChange(dev, nic, rxSize, txSize, combined);
    },
    getStrings: (dev) => statistics(dev).map(([name]) => name.slice(0, 31)),
    getEthtoolStats: (dev, out) => {
      statistics(dev).forEach(([, value], i) => {
        out[i] = value;
      });
    },
    getRxfh: () => ({ indirection: [...hw.indirection], key: RSS_DEFAULT_KEY }),
    setRxfh: (_dev, indirection, key) => {
      const fits = indirection.length === hw.indirection.length && indirection.every((q) => q >= 0 && q < nic.active);
      if (!fits || key !== null) return -Errno.EINVAL;
      hw.indirection.set(indirection);
      return 0;
    },
  };
}
