/**
 * Who wants frames of which protocol (`struct packet_type`, dev_add_pack).
 *
 * Taps (ETH_P_ALL) see every frame and get a clone; one handler an EtherType gets the frame itself.
 */

import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_ALL } from '../wire/eth.ts';

/** Gets the frame's reference with it; returns NET_RX_SUCCESS or NET_RX_DROP. */
export type PacketHandler = (skb: SkBuff) => number;

export class PacketTypes {
  readonly taps: PacketHandler[] = [];
  readonly #byType = new Map<number, PacketHandler>();

  /** Adds a handler; ETH_P_ALL adds a tap. A second handler for a type replaces the first. (`dev_add_pack`) */
  add(type: number, handler: PacketHandler): void {
    if (type === ETH_P_ALL) this.taps.push(handler);
    else this.#byType.set(type, handler);
  }

  /** (`dev_remove_pack`) */
  remove(type: number, handler: PacketHandler): void {
    if (type === ETH_P_ALL) {
      const at = this.taps.indexOf(handler);
      if (at >= 0) this.taps.splice(at, 1);
    } else if (this.#byType.get(type) === handler) {
      this.#byType.delete(type);
    }
  }

  handler(type: number): PacketHandler | undefined {
    return this.#byType.get(type);
  }
}
