/**
 * A machine of the seed farm: drawn, watched, with sockets and netpoll clients; and the faults that can be planted in it, to
 * show that the checkers find them.
 */
import type { Prng } from '../base/prng.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devClose, devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { Netpoll } from '../netpoll/netpoll.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { watchDevice, watchSinks } from '../sim/contexts.ts';
import { Ledger } from '../sim/ledger.ts';
import { createSimMachine, type SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';

/** Faults for the canary: a frame freed twice, one that nobody frees, one that the card loses, a driver called without its lock. */
export const PLANTS = ['double free', 'lost frame', 'lost by the card', 'wrong context'] as const;
export type Plant = (typeof PLANTS)[number];

/** UDP ports: a socket of the stack, and a client of netpoll. */
export const STACK_PORT = 7;
export const NETPOLL_PORT = 6;

export interface SeedStation {
  readonly number: number;
  readonly sim: SimMachine;
  readonly port: SimPort;
  readonly dev: NetDevice;
  readonly ledger: Ledger;
  readonly np: Netpoll;
  up(): void;
  down(): void;
}

export function seedStation(world: World, wire: Wire, chance: Prng, number: number, plant: Plant | null): SeedStation {
  const model = chance.chance(0.3) ? { cpuModel: { ksoftirqdNice: chance.below(40) - 20 } } : {};
  const sim = createSimMachine(world, { hostname: `host${number}`, cpus: 1 + chance.below(3), slots: 128, ...model });
  const mac = Uint8Array.of(2, 0, 0, 0, 0, number);
  const ring = 4 << chance.below(4);
  const port = new SimPort(world, { name: `sim:${number}`, mac, wire, ring, model: sim.model });
  const driver = chance.chance(0.65) ? createNic : createSnull;
  const dev = driver(sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: 0x0a000000 + number });
  watchSinks(sim.net);
  watchDevice(dev);
  const ledger = new Ledger(sim, [{ port, dev }]);
  if (sim.model !== null && chance.chance(0.5)) sim.model.addTask(0, 'hog', 0);
  devOpen(dev);
  udpBind(new Inet(sim.stack), STACK_PORT, (skb) => {
    if (plant === 'double free') skb.pool.consume(skb);
    if (plant === 'lost frame') skb.pool.get(skb);
    if (plant === 'wrong context') dev.ops.startXmit(skb, dev, dev.txQueues[0]!);
  });
  if (plant === 'lost by the card') loseEveryThird(port);
  const np = netpollClient(sim, number, chance);
  return { number, sim, port, dev, ledger, np, up: () => void devOpen(dev), down: () => devClose(dev) };
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

/** The canary's card: takes frames off its ring and forgets every third of them. */
function loseEveryThird(port: SimPort): void {
  const burst = port.rxBurst.bind(port);
  let count = 0;
  port.rxBurst = (queue, out, limit) => {
    const n = burst(queue, out, limit);
    return n > 0 && ++count % 3 === 0 ? n - 1 : n;
  };
}
