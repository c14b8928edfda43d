/**
 * A machine of the seed farm: drawn, watched, with a card on the wire, a pair of veths, sockets and netpoll clients; and the faults
 * that can be planted in it, to show that the checkers find them.
 */
import type { Prng } from '../base/prng.ts';
import { NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { napiCompleteDone } from '../device/napi_struct.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devClose, devOpen } from '../device/open.ts';
import { createVethPair } from '../drivers/veth.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { Netpoll } from '../netpoll/netpoll.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { watchDevice, watchSinks } from '../sim/contexts.ts';
import { Ledger } from '../sim/ledger.ts';
import { softwareCard } from '../sim/ledger_cards.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import type { SimPort } from '../sim/sim_port.ts';
import { Starvation } from '../sim/starvation.ts';
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { cardSlots, drawKind, type SeedCard, seedCard, tuneCard } from './seed_cards.ts';

/**
 * Faults for the canary: a frame freed twice, one that nobody frees, one that the card loses, a driver called without its lock, a frame
 * sent down the stack with interrupts off, an instance that is never polled again, a frame that nobody gets to for too long.
 */
export const PLANTS = [
  'double free',
  'lost frame',
  'lost by the card',
  'wrong context',
  'interrupts off',
  'starvation',
  'old frame',
] as const;
export type Plant = (typeof PLANTS)[number];

/** UDP ports: a socket of the stack, and a client of netpoll. */
export const STACK_PORT = 7;
export const NETPOLL_PORT = 6;

/**
 * How long a machine may be kept from its softirqs, nanoseconds. Without a cost model code takes no time but where netpoll waits: a tick
 * (4 ms) for each of 30 frames, by interrupts nested in it, again. With one, ksoftirqd may have the lowest priority beside a task
 * that wants all of the CPU.
 */
const STARVED_NS = 500e6;
const STARVED_MODEL_NS = 3e9;

export interface SeedStation {
  readonly number: number;
  readonly sim: SimMachine;
  readonly card: SeedCard;
  readonly dev: NetDevice;
  /** Two more devices, of which each receives what the other sends; null: this machine has none. */
  readonly veths: readonly [NetDevice, NetDevice] | null;
  readonly ledger: Ledger;
  readonly starvation: Starvation;
  readonly np: Netpoll;
  up(): void;
  down(): void;
}

export function seedStation(world: World, wire: Wire, chance: Prng, number: number, plant: Plant | null): SeedStation {
  const model = chance.chance(0.3) ? { cpuModel: { ksoftirqdNice: chance.below(40) - 20 } } : {};
  const drawn = drawKind(chance);
  const kind = plant === 'lost by the card' || plant === 'starvation' ? 'nic' : drawn;
  const queues = kind === 'ring' ? 1 + chance.below(3) : 1;
  const slots = 128 + cardSlots(kind, queues);
  const cpus = 1 + chance.below(3);
  const sim = createSimMachine(world, { hostname: `host${number}`, cpus, slots, skbs: 4 * slots, ...model });
  const mac = Uint8Array.of(2, 0, 0, 0, 0, number);
  const card = seedCard(world, wire, chance, sim, { kind, queues, mac, name: 'eth0' });
  const { dev } = card;
  dev.addresses.push({ family: 4, v4: 0x0a000000 + number });
  const veths = chance.chance(0.4) ? pair(sim, number, chance) : null;
  drawSteering(chance, sim, dev);
  watchSinks(sim.net);
  for (const each of sim.net.devices) watchDevice(each);
  const ledger = new Ledger(sim, [card.account, ...(veths ?? []).map(softwareCard)]);
  const starvation = new Starvation(world, sim, sim.model === null ? STARVED_NS : STARVED_MODEL_NS);
  if (sim.model !== null && chance.chance(0.5)) sim.model.addTask(0, 'hog', 0);
  for (const each of sim.net.devices) devOpen(each);
  for (let n = chance.below(3); n > 0; n--) tuneCard(chance, dev);
  if (plant !== null) plantFault(plant, sim, card);
  udpBind(new Inet(sim.stack), STACK_PORT, (skb) => {
    if (plant === 'double free') skb.pool.consume(skb);
    if (plant === 'lost frame') skb.pool.get(skb);
    if (plant === 'wrong context') dev.ops.startXmit(skb, dev, dev.txQueues[0]!);
    if (plant === 'interrupts off') {
      const were = sim.machine.cpu.localIrqSave();
      devQueueXmit(skb.pool.get(skb));
      sim.machine.cpu.localIrqRestore(were);
    }
  });
  const np = netpollClient(sim, number, chance);
  const up = () => void devOpen(dev);
  return { number, sim, card, dev, veths, ledger, starvation, np, up, down: () => devClose(dev) };
}

/** Frames to other CPUs (RPS), after their readers (RFS); datagrams merged (GRO). */
function drawSteering(chance: Prng, sim: SimMachine, dev: NetDevice): void {
  const { rps } = sim.stack;
  const cpus = sim.machine.cpus.length;
  if (cpus > 1 && chance.chance(0.5)) {
    for (let q = 0; q < dev.txQueues.length; q++) {
      rps.setCpus(
        dev,
        q,
        sim.machine.cpus.map(({ id }) => id).filter(() => chance.chance(0.7)),
      );
      if (chance.chance(0.3)) rps.setFlowCount(dev, q, 64);
    }
    if (chance.chance(0.3)) rps.setSockFlowEntries(256);
  }
  if (chance.chance(0.3)) dev.features |= NETIF_F_GRO_UDP_FWD;
}

function pair(sim: SimMachine, number: number, chance: Prng): readonly [NetDevice, NetDevice] {
  const end = (which: number) => ({
    net: sim.net,
    mac: Uint8Array.of(2, 0, 0, 1, which, number),
    name: `veth${which}`,
    gro: chance.chance(0.5),
  });
  return createVethPair(end(0), end(1));
}

/** A client that answers every second datagram, from wherever its hook is called. */
function netpollClient(sim: SimMachine, number: number, chance: Prng): Netpoll {
  const peer = number === 1 ? 2 : 1;
  const parsed = netpollParseOptions(
    `${NETPOLL_PORT}@10.0.0.${number}/eth0,${NETPOLL_PORT}@10.0.0.${peer}/02:00:00:00:00:0${peer}`,
  );
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('farm', parsed.options);
  const answer = new Uint8Array(4);
  let heard = 0;
  const replies = chance.chance(0.5);
  np.rxHook = (self, datagram) => {
    if (replies && datagram.len > 4 && heard++ % 2 === 0) netpollSendUdp(self, answer, 0, answer.length, datagram);
  };
  if (chance.chance(0.2)) np.drop = null;
  const error = netpollSetup(sim.net, np);
  if (error !== 0) throw new Error(`netpollSetup: ${error}`);
  return np;
}

function plantFault(plant: Plant, sim: SimMachine, card: SeedCard): void {
  if (plant === 'lost by the card' && card.port !== null) loseEveryThird(card.port);
  if (plant === 'starvation') {
    // The driver says that it is done, and has not completed.
    const napi = card.dev.napiList[0]!;
    const { poll } = napi;
    let polls = 0;
    (napi as { poll: typeof poll }).poll = (self, budget) => {
      if (++polls !== 5 || budget === 0) return poll(self, budget);
      napiCompleteDone(self, 0);
      self.state |= 1;
      return 0;
    };
  }
  if (plant === 'old frame') {
    // The sink of the stack keeps a frame for a while.
    for (const softnet of sim.net.softnet) {
      const { deliver } = softnet;
      let count = 0;
      softnet.deliver = (skb) => {
        if (++count !== 3) return deliver(skb);
        sim.machine.timers.mod(
          sim.machine.timers.create(() => sim.machine.skbs.consume(skb)),
          sim.machine.executive.now() + 4e9,
        );
        return 0;
      };
    }
  }
}

/** The canary's card: takes frames off its ring and forgets every third of them. */
function loseEveryThird(port: SimPort): void {
  const burst = port.rxBurst.bind(port);
  let count = 0;
  port.rxBurst = (queue, out, limit) => {
    const n = burst(queue, out, limit);
    return n > 0 && ++count % 3 === 0 ? n - 1 : n;
  };
}
