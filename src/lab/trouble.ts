/**
 * What goes wrong with a simulated card and its wire, for a while. Both farms, of seeds and of storms, draw from it.
 */
import type { Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';

/** What of a card can fail. */
export interface FailingCard {
  setLink(up: boolean): void;
  setTxStalled(stalled: boolean): void;
  setIrqStuck(stuck: boolean): void;
}

/** Kinds that lineTrouble knows: 0 to 3. */
export const LINE_TROUBLES = 4;

/** Of `kind`: no link, a stalled transmitter, an interrupt line that is stuck, a wire cut through. All is well again after `afterNs`. */
export function lineTrouble(world: World, card: FailingCard, wire: Wire, kind: number, afterNs: number): void {
  if (kind === 0) {
    card.setLink(false);
    world.after(afterNs, () => card.setLink(true));
  } else if (kind === 1) {
    card.setTxStalled(true);
    world.after(afterNs, () => card.setTxStalled(false));
  } else if (kind === 2) {
    card.setIrqStuck(true);
    world.after(afterNs, () => card.setIrqStuck(false));
  } else {
    wire.partitioned = true;
    world.after(afterNs, () => {
      wire.partitioned = false;
    });
  }
}
