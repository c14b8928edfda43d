/** What ethtool learns of the nic driver: its port's counters, and for each queue how often it was polled. */
import { Errno } from '../../base/status.ts';
import type { EthtoolOps } from '../../device/ethtool.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { NIC_COALESCE_PARAMS, nicCoalesceParams, nicCoalesceValid, type RxCoalesce } from './nic_coalesce.ts';
import type { Port } from './port.ts';

/**
 * The operations of a device over `port`; its NAPI instances are its queues. `reopen` makes a change while the port is closed, and
 * opens it again if it was open.
 */
export function nicEthtoolOps(
  port: Port,
  coalesce: RxCoalesce,
  reopen: (dev: NetDevice, change: () => number) => number,
): EthtoolOps {
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
    ...ringOps(port, reopen),
    ...coalesceOps(port, coalesce),
    getChannels: () => {
      const queues = Math.max(port.caps.rxQueues, 1);
      return { rx: 0, tx: 0, combined: queues, rxMax: 0, txMax: 0, combinedMax: queues };
    },
  };
}

/** What the port can. */
function ringOps({ tuning }: Port, reopen: (dev: NetDevice, change: () => number) => number): EthtoolOps {
  const ops: EthtoolOps = {};
  if (tuning?.ring !== undefined) ops.getRingparam = () => tuning.ring!();
  if (tuning?.setRing !== undefined) ops.setRingparam = (dev, rx, tx) => reopen(dev, () => tuning.setRing!(rx, tx));
  return ops;
}

/** What the port can, and what the driver can without it. */
function coalesceOps({ tuning }: Port, coalesce: RxCoalesce): EthtoolOps {
  const byPort = tuning?.setCoalesce === undefined ? [] : (tuning.coalesceParams ?? []);
  return {
    supportedCoalesceParams: [...new Set([...byPort, ...NIC_COALESCE_PARAMS])],
    getCoalesce: () => nicCoalesceParams(coalesce, tuning),
    setCoalesce: (_dev, params) => {
      if (!nicCoalesceValid(params)) return -Errno.EINVAL;
      const status = tuning?.setCoalesce?.(params) ?? 0;
      if (status === 0) coalesce.set(params, byPort.includes('rxUsecs'));
      return status;
    },
  };
}
