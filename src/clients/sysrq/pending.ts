/**
 * What a SysRq listener has written down in its hook and not yet done: a short list of places that are made once.
 *
 *     take() in the hook  -->  [ place | place | place | ... 8 ]  -->  first, drop() in the bottom half
 *
 * A place keeps copies: a datagram, and the addresses in it, are valid in the hook only.
 */
import type { RxDatagram } from '../../netpoll/netpoll.ts';
import type { IpAddress } from '../../wire/address.ts';
import { SysrqFrame, type SysrqStatus } from '../../wire/sysrq_command.ts';

/** Places of a list. */
export const SYSRQ_PENDING_MAX = 8;

/** Where something came from, kept. Serves as the peer that an answer goes to. */
export class KeptPeer {
  remoteIp: IpAddress;
  remotePort = 0;
  readonly remoteMac = new Uint8Array(6);
  readonly #ip4 = { family: 4 as const, v4: 0 };
  readonly #ip6 = { family: 6 as const, v6: new Uint8Array(16) };

  constructor() {
    this.remoteIp = this.#ip4;
  }

  keep({ remoteIp, remotePort, remoteMac }: RxDatagram): void {
    if (remoteIp.family === 4) {
      this.#ip4.v4 = remoteIp.v4;
      this.remoteIp = this.#ip4;
    } else {
      for (let i = 0; i < 16; i++) this.#ip6.v6[i] = remoteIp.v6[i]!;
      this.remoteIp = this.#ip6;
    }
    this.remotePort = remotePort;
    for (let i = 0; i < 6; i++) this.remoteMac[i] = remoteMac[i]!;
  }
}

/** A thing to be done. */
export class PendingPlace {
  readonly peer = new KeptPeer();
  /** The answer or result, not sealed yet; unused for plain characters. */
  readonly frame = new SysrqFrame();
  key = '';
  status: SysrqStatus = 1;
  /** A plain character: no answer. */
  plain = false;
  /** The last result once more. */
  again = false;
}

export class PendingList {
  readonly #places = Array.from({ length: SYSRQ_PENDING_MAX }, () => new PendingPlace());
  #head = 0;
  #tail = 0;

  get length(): number {
    return this.#tail - this.#head;
  }

  get full(): boolean {
    return this.length === SYSRQ_PENDING_MAX;
  }

  /** The next free place, from now on part of the list. There must be one. */
  take(datagram: RxDatagram): PendingPlace {
    const place = this.#places[this.#tail++ % SYSRQ_PENDING_MAX]!;
    place.peer.keep(datagram);
    place.plain = place.again = false;
    return place;
  }

  /** The oldest; it keeps its place until drop(). There must be one. */
  get first(): PendingPlace {
    return this.#places[this.#head % SYSRQ_PENDING_MAX]!;
  }

  /** The oldest is done. */
  drop(): void {
    this.#head++;
  }
}
