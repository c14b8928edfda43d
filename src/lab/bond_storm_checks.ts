/**
 * The books of a bond storm, beside the ledgers of machines, cards and wires (sim/ledger.ts): what netpoll was given is sent, waits,
 * or is counted as lost, on the bond and again on its slaves.
 *
 *     bond    headers made + ARP answers = sent + sent later + dropped + not running + waiting
 *     slaves  sent by the bond = sent + sent later + dropped + not running + waiting + no slave could (of the bond)
 *                                 + purged with a slave that left           (broadcast: a frame more for each further slave)
 *     cards   sent by a slave's netpoll = taken by its driver
 *     log     records shown - records heard <= datagrams that anybody has counted as lost
 */
import { NETDEV_TX_OK } from '../base/status.ts';
import type { DeviceOps, NetDevice } from '../device/net_device.ts';
import { type NetpollInfo, npinfoOf } from '../netpoll/npinfo.ts';
import type { SimPort } from '../sim/sim_port.ts';
import type { Wire } from '../sim/wire.ts';
import { DropReason } from '../skb/drop_reason.ts';
import { BOND_MODE_BROADCAST } from '../stacked/bond/bond.ts';
import type { StormHost, StormMachine } from './bond_storm_hosts.ts';
import type { StormWatcher } from './bond_storm_watcher.ts';

/** Follows netpoll's counters of slaves, also of those that leave. */
export class StormBooks {
  readonly #host: StormHost;
  readonly #infos = new Set<NetpollInfo>();
  readonly #ipIdAtStart: number;
  #ipIds = 0;
  #lastIpId: number;
  /** Frames that drivers of slaves took with interrupts off, which is netpoll's way; what they were before is not in it. */
  #taken = 0;
  #takenBefore = 0;
  #noSlave: number;

  constructor(host: StormHost) {
    this.#host = host;
    this.#ipIdAtStart = host.sim.net.ipId;
    this.#lastIpId = this.#ipIdAtStart;
    this.#noSlave = host.bond.dev.stats.get('tx_dropped');
    this.follow();
    this.#takenBefore = this.#sentBelow();
    for (const dev of host.slaves) this.#watch(dev);
    this.#watchBond(host.bond.dev);
  }

  /** Counts the bond's drops that were netpoll's frames: the stack's own, a gratuitous ARP without a slave, are none of ours. */
  #watchBond(dev: NetDevice): void {
    const { ops } = dev;
    const { machine } = dev.net;
    let nested = 0;
    const startXmit: DeviceOps['startXmit'] = (skb, self, queue) => {
      const off = machine.cpu.irqsDisabled;
      const outer = nested;
      const before = dev.stats.get('tx_dropped');
      nested = 0;
      const status = ops.startXmit(skb, self, queue);
      const all = dev.stats.get('tx_dropped') - before;
      if (off) this.#noSlave += all - nested;
      nested = outer + all;
      return status;
    };
    (dev as { ops: DeviceOps }).ops = { ...ops, startXmit };
  }

  #watch(dev: NetDevice): void {
    const { ops } = dev;
    const { machine } = dev.net;
    const startXmit: DeviceOps['startXmit'] = (skb, self, queue) => {
      const off = machine.cpu.irqsDisabled;
      const status = ops.startXmit(skb, self, queue);
      if (off && status === NETDEV_TX_OK) this.#taken++;
      return status;
    };
    (dev as { ops: DeviceOps }).ops = { ...ops, startXmit };
  }

  #sentBelow(): number {
    let sum = 0;
    for (const { counters } of this.#infos) sum += counters.get('sent') + counters.get('deferred_sent');
    return sum;
  }

  /** To be called often enough: before a slave leaves, and before 65536 datagrams have gone out. */
  follow(): void {
    for (const dev of this.#host.slaves) {
      const info = npinfoOf(dev);
      if (info !== null) this.#infos.add(info);
    }
    const { ipId } = this.#host.sim.net;
    this.#ipIds += (ipId - this.#lastIpId) & 0xffff;
    this.#lastIpId = ipId;
  }

  /** Datagrams that netpoll has made headers for since the books were opened. */
  datagramsNow(): number {
    this.follow();
    return this.#ipIds;
  }

  /** What does not add up. `before` is what the bond's netpoll had done when the books were opened. */
  check(before: number): string[] {
    this.follow();
    const wrong: string[] = [];
    const { bond, sim } = this.#host;
    const above = npinfoOf(bond.dev);
    if (above === null) return ['bond0 has lost its netpoll clients'];
    const { counters } = above;
    const asked = this.#ipIds + counters.get('arp_replies') + counters.get('neigh_replies');
    const done = outcomes(above) - before;
    if (asked !== done) wrong.push(`bond0: netpoll was asked ${asked} times, and accounts for ${done}`);
    const sent = this.#sentBelow() - this.#takenBefore;
    if (sent !== this.#taken)
      wrong.push(`netpoll has sent ${sent} frames by slaves, their drivers took ${this.#taken}`);
    const given = counters.get('sent') + counters.get('deferred_sent');
    let below = this.#noSlave;
    for (const info of this.#infos) below += outcomes(info, npinfoOf(info.dev) === info);
    const purged = sim.machine.skbs.drops.get(nameOf(DropReason.QUEUE_PURGE));
    const missing = given - below;
    const broadcast = bond.params.mode === BOND_MODE_BROADCAST;
    if (missing > purged || (!broadcast && missing < 0)) {
      wrong.push(`bond0 sent ${given} frames, its slaves account for ${below}, ${purged} were purged`);
    }
    return wrong;
  }
}

/** Frames that the netpoll of a device has done something with. */
export function outcomes({ counters, txq }: NetpollInfo, waits = true): number {
  let sum = waits ? txq.length : 0;
  for (const name of ['sent', 'deferred_sent', 'dropped', 'not_running'] as const) sum += counters.get(name);
  return sum;
}

function nameOf(reason: number): keyof typeof DropReason {
  const found = Object.entries(DropReason).find(([, value]) => value === reason);
  return found![0] as keyof typeof DropReason;
}

/** Every datagram that somebody has counted as lost between the storm's netpoll and the watcher's sockets. */
export function countedLosses(host: StormHost, watcher: StormWatcher, wires: readonly Wire[]): number {
  let sum = 0;
  for (const wire of wires)
    for (const name of ['lost', 'partitioned', 'unplugged'] as const) sum += wire.counters.get(name);
  for (const machine of [host, watcher.machine]) sum += machineLosses(machine);
  for (const target of host.netconsole.targets) sum += target.transmitErrors;
  return sum;
}

function machineLosses({ sim, ports, bond }: StormMachine): number {
  let sum = bond.dev.stats.get('tx_dropped');
  for (const name of sim.machine.skbs.drops.names) sum += sim.machine.skbs.drops.get(name);
  for (const port of ports) sum += cardLosses(port);
  return sum;
}

function cardLosses({ counters }: SimPort): number {
  let sum = 0;
  for (const name of [
    'rx_missed_errors',
    'rx_no_buffer',
    'rx_no_link',
    'rx_flushed',
    'tx_flushed',
    'rx_filtered',
  ] as const) {
    sum += counters.get(name);
  }
  return sum;
}
