/**
 * Who wants frames of which protocol (`struct packet_type`, dev_add_pack).
 *
 * Taps (ETH_P_ALL) see every frame and get a clone; one handler an EtherType gets the frame itself. A machine knows a few
 * types: looking through them in a row takes less than a Map's hash, once a frame.
 */

import type { SkBuff } from '../skb/sk_buff.ts';
import { ETH_P_ALL } from '../wire/eth.ts';

/** Gets the frame's reference with it; returns NET_RX_SUCCESS or NET_RX_DROP. */
export type PacketHandler = (skb: SkBuff) => number;

export class PacketTypes {
  readonly taps: PacketHandler[] = [];
  readonly #types: number[] = [];
  /** Of #types at the same position. */
  readonly #handlers: PacketHandler[] = [];

  /** Adds a handler; ETH_P_ALL adds a tap. A second handler for a type replaces the first. (`dev_add_pack`) */
  add(type: number, handler: PacketHandler): void {
    if (type === ETH_P_ALL) {
      this.taps.push(handler);
      return;
    }
    const at = this.#types.indexOf(type);
    if (at >= 0) {
      this.#handlers[at] = handler;
    } else {
      this.#types.push(type);
      this.#handlers.push(handler);
    }
  }

  /** (`dev_remove_pack`) */
  remove(type: number, handler: PacketHandler): void {
    if (type === ETH_P_ALL) {
      const at = this.taps.indexOf(handler);
      if (at >= 0) this.taps.splice(at, 1);
      return;
    }
    const at = this.#types.indexOf(type);
    if (at >= 0 && this.#handlers[at] === handler) {
      this.#types.splice(at, 1);
      this.#handlers.splice(at, 1);
    }
  }

  /** The types that have a handler. */
  list(): readonly number[] {
    return this.#types;
  }

  handler(type: number): PacketHandler | undefined {
    const types = this.#types;
    for (let i = 0; i < types.length; i++) if (types[i] === type) return this.#handlers[i];
    return undefined;
  }
}
