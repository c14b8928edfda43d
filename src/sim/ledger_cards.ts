/**
 * What the ledger asks of a card and its driver, by kind of card.
 *
 *     taken off the wire = given to the driver + on the ring + flushed (reset, close)
 *     handed over by the driver = sent or flushed + on the ring
 *
 * A device without hardware (veth, loopback) takes nothing off a wire: what it gives up was handed over somewhere in the machine.
 */
import type { NetDevice } from '../device/net_device.ts';
import type { RingHardware } from '../drivers/ring/hardware.ts';
import type { RingNic } from '../drivers/ring/ring_control.ts';
import type { SimPort } from './sim_port.ts';

export interface CardAccount {
  readonly dev: NetDevice;
  /** Frames that the card has put into its ring, and that were thrown away there. */
  taken(): number;
  flushed(): number;
  /** Frames that the driver has taken out of it, whatever became of them. */
  given(): number;
  /** Frames on the ring now, at most. */
  held(): number;
  /** Frames that the driver gave the card, and that are finished. */
  handed(): number;
  sent(): number;
  /** Slots of the arena that the driver holds while the device is up. */
  slots(): number;
  /** Frames that arrived at the card, wherever they went; for the wire's sum. */
  arrived(): number;
  /** rx_packets counts a frame only if the backlog took it. */
  readonly countsAccepted: boolean;
}

/** A SimPort under the nic driver, or under snull. */
export function simPortCard(port: SimPort, dev: NetDevice): CardAccount {
  const { counters } = port;
  return {
    dev,
    countsAccepted: false,
    taken: () => counters.get('rx_frames'),
    flushed: () => counters.get('rx_flushed'),
    given: () => dev.stats.get('rx_packets') + dev.stats.get('rx_errors'),
    held: () => port.held,
    handed: () => dev.stats.get('tx_packets'),
    sent: () => counters.get('tx_frames') + counters.get('tx_flushed'),
    slots: () => 0,
    arrived: () => simPortArrived(port),
  };
}

/** Frames that came to the card, wherever they went. */
export function simPortArrived({ counters }: SimPort): number {
  const kept = counters.get('rx_frames') + counters.get('rx_filtered') + counters.get('rx_missed_errors');
  return kept + counters.get('rx_no_buffer') + counters.get('rx_no_link');
}

/** The textbook card. */
export function ringCard(hw: RingHardware, dev: NetDevice): CardAccount {
  const { counters } = hw;
  const { queues } = dev.priv as RingNic;
  const sum = (of: (queue: (typeof queues)[number]) => number): number =>
    queues.reduce((total, queue) => total + of(queue), 0);
  return {
    dev,
    countsAccepted: false,
    taken: () => counters.get('rx_frames'),
    flushed: () => sum(({ rxFlushed }) => rxFlushed),
    given: () => sum(({ rxPackets, rxLost }) => rxPackets + rxLost),
    held: () => sum(({ rxSize }) => rxSize),
    handed: () => dev.stats.get('tx_packets'),
    sent: () => sum(({ txPackets, txFlushed }) => txPackets + txFlushed),
    slots: () => sum((queue) => queue.slots()),
    arrived: () =>
      counters.get('rx_frames') +
      counters.get('rx_filtered') +
      counters.get('rx_missed') +
      counters.get('rx_too_long') +
      counters.get('rx_no_link'),
  };
}

/** veth, loopback: no hardware. */
export function softwareCard(dev: NetDevice): CardAccount {
  const none = (): number => 0;
  return {
    dev,
    countsAccepted: true,
    taken: none,
    flushed: none,
    given: none,
    held: none,
    handed: none,
    sent: none,
    slots: none,
    arrived: none,
  };
}
