/** What ethtool learns of the nic driver: its port's counters, and for each queue how often it was polled. */
import type { EthtoolOps } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import type { Port } from './port.ts';

/** The operations of a device over `port`; its NAPI instances are its queues. */
export function nicEthtoolOps(port: Port): EthtoolOps {
  const perQueue = ['packets', 'polls'] as const;
  const statistics = (dev: NetDevice): readonly [string, number][] => [
    ...port.counters.names.map((name): [string, number] => [name, port.counters.get(name)]),
    ...dev.napiList.flatMap(({ work, polls }, q): [string, number][] => {
      const values = { packets: work, polls };
      return perQueue.map((each) => [`rx_queue_${q}_${each}`, values[each]]);
    }),
    ...dev.txQueues.flatMap(({ requeues, transTimeout }, q): [string, number][] => [
      [`tx_queue_${q}_requeues`, requeues],
      [`tx_queue_${q}_timeouts`, transTimeout],
    ]),
  ];
  return {
    getDrvinfo: () => ({ driver: 'nic', version: '1', busInfo: port.name }),
    getStrings: (dev) => statistics(dev).map(([name]) => name.slice(0, 31)),
    getEthtoolStats: (dev, out) => {
      statistics(dev).forEach(([, value], i) => {
        out[i] = value;
      });
    },
    getLinkKsettings: () => ({ speed: port.caps.speed ?? 10_000, duplex: 'full', autoneg: false, port: 'Other' }),
    getChannels: () => {
      const queues = Math.max(port.caps.rxQueues, 1);
      return { rx: 0, tx: 0, combined: queues, rxMax: 0, txMax: 0, combinedMax: queues };
    },
  };
}
