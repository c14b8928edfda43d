/**
 * One CPU of a machine whose CPUs are threads: a machine of this thread's own, with its share of the memory, joined to the others.
 *
 *     own: event loop, sk_buffs, devices, softnet, backlog, sockets, log          shared: the memory of all frames, the table of CPUs
 *
 *     RPS of this CPU --RemoteCpu--> rings --> HandoverNapi of the other --> its netif_receive_skb
 *
 *   1. `bootCpu` puts a machine together that knows all CPUs by number and runs one (Machine.here); the backlogs of the others are
 *      the ways there (rps.setBacklog), the sockets' table of RFS is everybody's, and its softnet counters stand in the table.
 *   2. Its doorbell is an interrupt line, which polls what was handed over.
 *   3. CPUs that come and go: whoever is woken looks at the table (`#follow`). What a dead CPU had not looked at goes up here.
 */
import type { SetupError } from '../../base/status.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { SOFTNET_COUNTERS } from '../../device/softnet.ts';
import { Nic } from '../../drivers/nic/nic_queue.ts';
import { DropReason } from '../../skb/drop_reason.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { arenaShare, type SharedMemory } from '../arena.ts';
import type { Watch } from '../executive.ts';
import { assembleHostMachine, type HostMachine } from '../host_machine.ts';
import { UdpPort } from '../udp/udp_port.ts';
import { XdpPort } from '../xdp/xdp_port.ts';
import { CpuState, type CpuTable, counterAt } from './cpu_table.ts';
import { DeviceNumbers } from './device_numbers.ts';
import { Doorbells } from './doorbell.ts';
import { HandoverSender } from './handover.ts';
import { HANDOVER_XMIT } from './handover_entry.ts';
import { HandoverNapi } from './handover_napi.ts';
import { RemoteCpu } from './remote_cpu.ts';
import { openShared, type SharedDeviceOptions } from './shared_device.ts';

const TAKEN_BACK = counterAt('taken_back');
const DIED_WITH = counterAt('died_with');
const UNREAD = counterAt('unread');
const KERNEL_DROPS = counterAt('kernel_drops');
/** A word of a pair's control: the generation of the CPU there whose death this one has settled. */
const SETTLED = 8;

export interface CpuParts {
  readonly table: CpuTable;
  readonly cpu: number;
  readonly memory: SharedMemory;
  /** This thread's view of the memory. */
  readonly buffer: ArrayBuffer;
  readonly skbs: number | undefined;
}

interface Lost {
  readonly unread: number;
  readonly drops: number;
}
const NONE_LOST: Lost = { unread: 0, drops: 0 };

export class HostCpu {
  readonly number: number;
  readonly table: CpuTable;
  readonly host: HostMachine;
  readonly bells: Doorbells;
  readonly handover: HandoverNapi;
  readonly remotes: readonly RemoteCpu[];
  readonly #watch: Watch;
  /** By CPU: which bringing-up of it we hand frames to, 0: it is offline. */
  readonly #generations: number[];
  /** Of each device, what of its frames that were lost is in the table. */
  readonly #lost = new Map<NetDevice, Lost>();

  /** Throws SetupError. */
  constructor({ table, cpu, memory, buffer, skbs }: CpuParts) {
    this.number = cpu;
    this.table = table;
    const arena = arenaShare(memory, cpu, buffer);
    const noKoffi: SetupError | null = null;
    this.host = assembleHostMachine({ arena, noKoffi, skbs, cpus: table.cpus, bootCpu: cpu });
    const { net, stack, executive, machine } = this.host;
    for (const softnet of net.softnet) {
      const { id } = softnet.cpu;
      softnet.useRow(table.counters(id).subarray(0, SOFTNET_COUNTERS));
      softnet.droppedElsewhere = () => droppedFor(table, id);
    }
    stack.rps.useSockFlows(table.sockFlows());
    this.bells = new Doorbells(table, cpu);
    const devices = new DeviceNumbers(table, net);
    const others = machine.cpus.filter(({ id }) => id !== cpu);
    this.remotes = others.map(({ id }) => {
      const sender = new HandoverSender(table.pair(cpu, id), arena);
      return new RemoteCpu(cpu, id, table, sender, this.bells, devices);
    });
    for (const remote of this.remotes) stack.rps.setBacklog(remote.cpu, remote);
    net.registerNotifier((event, dev) => {
      if (event === NetdevEvent.DOWN) this.#countLost(dev);
      return 0;
    });
    this.#generations = machine.cpus.map(() => 0);
    this.handover = new HandoverNapi(net, cpu, table, this.bells, devices, this.remotes, (skb) => {
      devQueueXmit(skb);
    });
    this.handover.onLook = () => this.#follow(devices);
    this.#watch = executive.watch(table.bell(cpu), () => this.#rung(), { keepAlive: false });
    this.#watch.arm(true);
    table.fallAsleep(cpu);
    this.#follow(devices);
  }

  /**
   * Opens a device: on several CPUs the same one, a queue each (shared_device.ts). `on` names those that have a queue; the others see the
   * device. Throws SetupError, as HostMachine.openDevice.
   */
  openDevice(spec: string, options: SharedDeviceOptions = {}): NetDevice {
    return openShared(this.host, this.table, this.number, this.remotes, spec, options);
  }

  /** Closes every device of this CPU and hears its doorbell no more. */
  close(): void {
    this.host.close();
    this.#watch.close();
  }

  /**
   * What was in the ring of a device that goes down (closed, or its interface is gone) is unread for good, and is so in the table, and so
   * is what the kernel had no room for: of packet sockets it is there already (descriptors.ts), and a TAP device's is not one queue's.
   */
  #countLost(dev: NetDevice): void {
    if (!(dev.priv instanceof Nic)) return;
    const { port } = dev.priv;
    const { counters } = port;
    const unread = counters.get('rx_unread');
    const own = port instanceof UdpPort || port instanceof XdpPort;
    const drops = own ? counters.get('rx_dropped_kernel') : 0;
    const told = this.#lost.get(dev) ?? NONE_LOST;
    const row = this.table.counters(this.number);
    row[UNREAD]! += unread - told.unread;
    row[KERNEL_DROPS]! += drops - told.drops;
    this.#lost.set(dev, { unread, drops });
  }

  #rung(): void {
    this.bells.heard();
    this.#watch.arm(true);
    this.handover.line.raise();
  }

  /** Who is online now, and who was when we looked last. Bound: the CPUs. */
  #follow(devices: DeviceNumbers): void {
    for (const remote of this.remotes) {
      const { cpu } = remote;
      const online = this.table.online(cpu);
      const generation = this.table.generation(cpu);
      const known = this.#generations[cpu]!;
      if (known !== 0 && (!online || generation !== known)) {
        remote.online = false;
        this.#generations[cpu] = 0;
        this.#takeBack(remote, devices);
        Atomics.store(this.table.pair(this.number, cpu).control, SETTLED, known);
      } else if (this.table.state(cpu) === CpuState.DEAD) {
        // It was never online for us: nothing of ours is there.
        Atomics.store(this.table.pair(this.number, cpu).control, SETTLED, generation);
      }
    }
    this.meet();
  }

  /** Hands frames to CPUs that have come online from here on. In any context. */
  meet(): void {
    for (const remote of this.remotes) {
      const { cpu } = remote;
      if (this.#generations[cpu] !== 0 || !this.table.online(cpu)) continue;
      this.#generations[cpu] = this.table.generation(cpu);
      remote.online = true;
    }
  }

  /** In a poll. What a dead CPU had not looked at goes up here, in order; what it had in hand is lost with it. (`dev_cpu_dead`) */
  #takeBack(remote: RemoteCpu, devices: DeviceNumbers): void {
    const { machine, net } = this.host;
    const softnet = net.softnet[this.number]!;
    const counters = this.table.counters(this.number);
    const held = remote.sender.takeBack(machine.skbs, (skb: SkBuff, number: number, kind: number) => {
      const dev = devices.deviceOf(number);
      if (dev === null || kind === HANDOVER_XMIT) {
        skb.pool.kfree(skb, DropReason.DEV_READY);
        return;
      }
      counters[TAKEN_BACK]!++;
      skb.dev = dev;
      // Now, and not from the backlog: the next frames of these flows go up past it.
      softnet.deliver(skb);
    });
    counters[DIED_WITH]! += held;
  }
}

/** True once `by` has settled the death of that generation of `cpu`. */
export function deathSettled(table: CpuTable, by: number, cpu: number, generation: number): boolean {
  return Atomics.load(table.pair(by, cpu).control, SETTLED) === generation;
}

/** Frames that other CPUs could not hand over to `cpu`. */
function droppedFor(table: CpuTable, cpu: number): number {
  let sum = 0;
  for (let from = 0; from < table.cpus; from++) sum += table.pairDrops(from, cpu);
  return sum;
}
