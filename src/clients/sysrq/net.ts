/**
 * What SysRq's reports say about the network: the machine itself cannot, it does not know what a device is.
 *
 *     m   netpoll's reserve
 *     t   devices, their NAPI instances and transmit queues, who polls what, what waits
 *     w   what is blocked: stopped queues, frames that netpoll or a qdisc could not send
 *     d   locks that are held: transmit queues, polls   (only where everything is allowed, as in the kernel)
 */
import type { Net } from '../../device/net.ts';
import { type NetDevice, netifCarrierOk, netifRunning } from '../../device/net_device.ts';
import { netifQueueStopped } from '../../device/netdev_queue.ts';
import type { Sysrq } from '../../machine/sysrq.ts';
import { REPORT_LINES_MAX, task } from '../../machine/sysrq_show.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';

type Print = (line: string) => void;

/** Set-up: adds the reports of `net`, and key d, to its machine's SysRq. -EBUSY: somebody has d; the reports are there. */
export function addSysrqNet(net: Net, sysrq: Sysrq): number {
  const each = (show: (dev: NetDevice, print: Print) => void) => (print: Print) => {
    for (const dev of net.devices.slice(0, REPORT_LINES_MAX)) show(dev, print);
  };
  sysrq.addReport('m', (print) => {
    print(`netpoll reserve: ${net.netpollReserve.length} of ${net.netpollReserve.limit} frames`);
  });
  sysrq.addReport('t', each(showDevice));
  sysrq.addReport('w', each(showBlocked));
  return sysrq.registerSysrqKey('d', {
    help: 'show-all-locks(d)',
    action: 'Show Locks Held',
    mask: 0,
    run: () => {
      const print: Print = (line) => net.machine.printk.info(line);
      print('Showing all locks held in the system:');
      each(showLocks)(print);
    },
  });
}

function showDevice(dev: NetDevice, print: Print): void {
  const flags = [netifRunning(dev) ? 'up' : 'down', netifCarrierOk(dev) ? 'carrier' : 'no carrier'];
  if (dev.master !== null) flags.push(`slave of ${dev.master.name}`);
  const counts = ['rx_packets', 'tx_packets', 'rx_dropped', 'tx_dropped'] as const;
  print(`dev ${dev.name}: ${flags.join(', ')}; ${counts.map((name) => `${name}:${dev.stats.get(name)}`).join(' ')}`);
  for (const napi of dev.napiList.slice(0, REPORT_LINES_MAX)) {
    const name = `napi/${dev.name}-${napi.id}`;
    const owner = napi.pollOwner < 0 ? '' : ` polled by cpu:${napi.pollOwner}`;
    print(
      `${task(name, napi.pollOwner >= 0)} napi_state:${napi.state.toString(16)} polls:${napi.polls} work:${napi.work}${owner}`,
    );
  }
  const info = npinfoOf(dev);
  if (info === null) return;
  const clients = info.clients.map((np) => np.name).join(' ');
  print(`netpoll ${dev.name}: clients: ${clients}; deferred:${info.txq.length} trapped:${info.trapped}`);
}

function showBlocked(dev: NetDevice, print: Print): void {
  for (const queue of dev.txQueues.slice(0, REPORT_LINES_MAX)) {
    const waits = queue.qdisc?.qlen ?? 0;
    if (!netifRunning(dev) || (!netifQueueStopped(queue) && waits === 0)) continue;
    const sinceMs = Math.floor((dev.net.machine.executive.now() - queue.transStartNs) / 1e6);
    const state = netifQueueStopped(queue) ? `stopped for ${sinceMs} ms` : 'waiting';
    print(`txq ${dev.name}:${queue.index} ${state}, ${waits} frames behind it`);
  }
  const deferred = npinfoOf(dev)?.txq.length ?? 0;
  if (deferred > 0) print(`netpoll ${dev.name}: ${deferred} frames wait for process context`);
}

function showLocks(dev: NetDevice, print: Print): void {
  for (const queue of dev.txQueues) {
    if (queue.xmitLockOwner >= 0) print(` _xmit_ETHER ${dev.name}:${queue.index} held by cpu:${queue.xmitLockOwner}`);
  }
  for (const napi of dev.napiList) {
    if (napi.pollOwner >= 0) print(` poll_owner ${dev.name}-${napi.id} held by cpu:${napi.pollOwner}`);
  }
}
