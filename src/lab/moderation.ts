/**
 * Interrupt moderation: how many interrupts a frame costs, and what it costs a frame to wait for one, by load, on the textbook card.
 *
 *     off        an interrupt as soon as a frame is there: the best latency, at most one interrupt a frame
 *     fixed      rx-usecs 50, rx-frames 32: waits, also when nothing else comes
 *     adaptive   DIM: short at low load, longer while frames come in numbers
 *
 * Under overload NAPI alone needs no interrupts; moderation is for the loads between.
 */
import type { CoalesceParams } from '../device/coalesce.ts';
import { ethtoolSetCoalesce } from '../device/ethtool.ts';
import { devOpen } from '../device/open.ts';
import { RingHardware } from '../drivers/ring/hardware.ts';
import { createRingNic } from '../drivers/ring/ring_nic.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { sentNs, startFlood } from './flood.ts';

export const MODERATIONS = ['off', 'fixed', 'adaptive'] as const;
export type ModerationWay = (typeof MODERATIONS)[number];

const SETTINGS: Readonly<Record<ModerationWay, Partial<CoalesceParams>>> = {
  off: {},
  fixed: { rxUsecs: 50, rxFrames: 32 },
  adaptive: { adaptiveRx: true },
};

export const MODERATION_RATES: readonly number[] = [1e3, 5e3, 20e3, 50e3, 100e3, 200e3, 400e3, 800e3];

export interface ModerationPoint {
  readonly way: ModerationWay;
  /** Frames a second. */
  readonly offered: number;
  readonly delivered: number;
  readonly interruptsPerFrame: number;
  /** From the wire to the socket, nanoseconds. */
  readonly meanNs: number;
  readonly maxNs: number;
  /** What was in force at the end. */
  readonly rxUsecs: number;
  readonly rxFrames: number;
}

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const IP = 0x0a000001;
const PORT = 9;
/** Interrupts in which DIM finds its level before anything is measured. */
const SETTLE_INTERRUPTS = 64 * 16;

export interface ModerationOptions {
  readonly seed?: number;
  /** Milliseconds that are measured; 50 if absent. */
  readonly ms?: number;
}

/** One run, measured after moderation has settled. */
export function moderationPoint(way: ModerationWay, offered: number, options: ModerationOptions = {}): ModerationPoint {
  const spanNs = (options.ms ?? 50) * 1e6;
  const settleNs = Math.max(20e6, (SETTLE_INTERRUPTS / offered) * 1e9);
  const world = new World({ seed: options.seed ?? 1 });
  const wire = new Wire(world, { rateBps: 100e9 });
  const sim = createSimMachine(world, { hostname: 'lab', cpuModel: {}, slots: 4096, hz: 1000 });
  const hw: RingHardware = new RingHardware({
    mac: MAC,
    after: (ns, action) => world.after(ns, action),
    serialisationNs: (len) => wire.serialisationNs(len),
    send: (bytes, offset, len) => wire.transmit(hw, bytes, offset, len),
  });
  wire.attach(hw);
  const dev = createRingNic(sim.net, hw, { name: 'eth0' });
  dev.addresses.push({ family: 4, v4: IP });
  devOpen(dev);
  ethtoolSetCoalesce(dev, SETTINGS[way]);
  let delivered = 0;
  let sumNs = 0;
  let maxNs = 0;
  let measuring = false;
  udpBind(new Inet(sim.stack), PORT, (skb) => {
    if (!measuring) return;
    const tookNs = world.nowNs - sentNs(skb.arena.view, skb.data) - wire.delayNs;
    delivered++;
    sumNs += tookNs;
    maxNs = Math.max(maxNs, tookNs);
  });
  const endNs = settleNs + spanNs;
  startFlood(world, wire, { destMac: MAC, destIp: IP, destPort: PORT, rate: offered, fromNs: 0, untilNs: endNs });
  world.runUntil(settleNs);
  const [interrupts, frames] = [hw.counters.get('interrupts'), hw.counters.get('rx_frames')];
  measuring = true;
  world.runUntil(endNs);
  const now = dev.ethtoolOps!.getCoalesce!(dev);
  return {
    way,
    offered,
    delivered: (delivered * 1e9) / spanNs,
    interruptsPerFrame: (hw.counters.get('interrupts') - interrupts) / (hw.counters.get('rx_frames') - frames),
    meanNs: delivered === 0 ? 0 : sumNs / delivered,
    maxNs,
    rxUsecs: now.rxUsecs,
    rxFrames: now.rxFrames,
  };
}
