/** What ethtool learns of the textbook card, and may change: rings, queues, receive hashing, statistics, the link. */
import { Errno } from '../../base/status.ts';
import type { EthtoolOps } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { RSS_DEFAULT_KEY } from '../../wire/toeplitz.ts';
import type { RingHardware } from './hardware.ts';
import { REG_STATUS, STATUS_LINK } from './registers.ts';

/** The operations of the device over `hw`, whose rings have `size` descriptors each. */
export function ringEthtoolOps(hw: RingHardware, size: number): EthtoolOps {
  const statistics = (dev: NetDevice): readonly [string, number][] => [
    ...hw.counters.names.map((name): [string, number] => [name, hw.counters.get(name)]),
    ...dev.napiList.flatMap(({ work, polls }, q): [string, number][] => [
      [`rx_queue_${q}_packets`, work],
      [`rx_queue_${q}_polls`, polls],
    ]),
  ];
  return {
    getDrvinfo: () => ({ driver: 'ring', version: '1', busInfo: 'sim' }),
    getLink: () => (hw.read(REG_STATUS) & STATUS_LINK) !== 0,
    getRingparam: () => ({ rx: size, tx: size, rxMax: size, txMax: size }),
    getChannels: () => ({ rx: 0, tx: 0, combined: hw.queues, rxMax: 0, txMax: 0, combinedMax: hw.queues }),
    getStrings: (dev) => statistics(dev).map(([name]) => name.slice(0, 31)),
    getEthtoolStats: (dev, out) => {
      statistics(dev).forEach(([, value], i) => {
        out[i] = value;
      });
    },
    getRxfh: () => ({ indirection: [...hw.indirection], key: RSS_DEFAULT_KEY }),
    setRxfh: (_dev, indirection, key) => {
      const fits = indirection.length === hw.indirection.length && indirection.every((q) => q >= 0 && q < hw.queues);
      if (!fits || key !== null) return -Errno.EINVAL;
      hw.indirection.set(indirection);
      return 0;
    },
  };
}
