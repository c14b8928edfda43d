/**
 * The cards of the seed farm: a driver drawn for each machine, over a card on the wire, and the faults that any card can have.
 *
 *     nic over a SimPort     snull over a SimPort     ring: the textbook card, 1 to 3 queues
 */
import type { Prng } from '../base/prng.ts';
import { ethtoolSetChannels, ethtoolSetCoalesce, ethtoolSetRingparam } from '../device/ethtool.ts';
import { netdevSetIrqSuspend } from '../device/irq_suspend.ts';
import { netdevSetDefer } from '../device/napi_struct.ts';
import type { NetDevice } from '../device/net_device.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { RingHardware } from '../drivers/ring/hardware.ts';
import { createRingNic } from '../drivers/ring/ring_nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { devSetThreaded } from '../napi/threaded.ts';
import { type CardAccount, ringCard, simPortCard } from '../sim/ledger_cards.ts';
import type { SimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';

export interface SeedCard {
  readonly dev: NetDevice;
  readonly account: CardAccount;
  /** Of a SimPort, for the canary that loses frames there. */
  readonly port: SimPort | null;
  setLink(up: boolean): void;
  setTxStalled(stalled: boolean): void;
  setIrqStuck(stuck: boolean): void;
}

export const CARD_KINDS = ['nic', 'snull', 'ring'] as const;
export type CardKind = (typeof CARD_KINDS)[number];

export function drawKind(chance: Prng): CardKind {
  const dice = chance.below(100);
  return dice < 40 ? 'nic' : dice < 65 ? 'snull' : 'ring';
}

/** Slots that a card of this kind keeps for itself: a ring's buffers and descriptors. */
export function cardSlots(kind: CardKind, queues: number): number {
  return kind === 'ring' ? queues * (RING + 2) : 0;
}

const RING = 64;

export function seedCard(
  world: World,
  wire: Wire,
  chance: Prng,
  sim: SimMachine,
  options: { readonly kind: CardKind; readonly queues: number; readonly mac: Uint8Array; readonly name: string },
): SeedCard {
  const { kind, queues, mac, name } = options;
  if (kind === 'ring') return ringSeedCard(world, wire, sim, mac, name, queues);
  const ring = 4 << chance.below(4);
  const port = new SimPort(world, { name: `sim:${name}`, mac, wire, ring, model: sim.model });
  const dev = (kind === 'nic' ? createNic : createSnull)(sim.net, port, name);
  return {
    dev,
    account: simPortCard(port, dev),
    port,
    setLink: (up) => port.setLink(up),
    setTxStalled: (stalled) => port.setTxStalled(stalled),
    setIrqStuck: (stuck) => port.setIrqStuck(stuck),
  };
}

function ringSeedCard(
  world: World,
  wire: Wire,
  sim: SimMachine,
  mac: Uint8Array,
  name: string,
  queues: number,
): SeedCard {
  const hw: RingHardware = new RingHardware({
    mac,
    queues,
    after: (ns, action) => world.after(ns, action),
    serialisationNs: (len) => wire.serialisationNs(len),
    send: (bytes, offset, len) => wire.transmit(hw, bytes, offset, len),
  });
  wire.attach(hw);
  const dev = createRingNic(sim.net, hw, { name, ring: RING });
  return {
    dev,
    account: ringCard(hw, dev),
    port: null,
    setLink: (up) => hw.setLink(up),
    setTxStalled: (stalled) => hw.setTxStalled(stalled),
    setIrqStuck: (stuck) => hw.setIrqStuck(stuck),
  };
}

/** How the card's interrupts are held back, and who polls it: drawn once, or changed by a user while frames come and go. */
export function tuneCard(chance: Prng, dev: NetDevice): void {
  const dice = chance.below(6);
  if (dice === 0) ethtoolSetCoalesce(dev, { rxUsecs: 1 + chance.below(200), rxFrames: 1 + chance.below(16) });
  else if (dice === 1) ethtoolSetCoalesce(dev, { adaptiveRx: chance.chance(0.5) });
  else if (dice === 2) netdevSetDefer(dev, chance.below(3), chance.below(3) * 20_000);
  else if (dice === 3) devSetThreaded(dev, chance.chance(0.5));
  else if (dice === 4) netdevSetIrqSuspend(dev, chance.below(2) * 200_000);
  else ethtoolSetCoalesce(dev, { rxUsecs: 0, rxFrames: 1 });
}

/** Other rings, another number of queues; the card goes down and up for it. */
export function reshapeCard(chance: Prng, dev: NetDevice): void {
  const { ethtoolOps } = dev;
  const most = ethtoolOps?.getChannels?.(dev).combinedMax ?? 1;
  if (most > 1 && chance.chance(0.5)) ethtoolSetChannels(dev, 0, 0, 1 + chance.below(most));
  else ethtoolSetRingparam(dev, dev.txQueues.length > 1 ? RING : 8 << chance.below(4), RING);
}
