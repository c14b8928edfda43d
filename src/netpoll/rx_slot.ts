// hot
/**
 * The datagram that rx hooks are shown: one object for all frames of a device, filled anew for each.
 */
import { UDP_HLEN, udpSourcePort } from '../wire/udp.ts';
import type { RxDatagram } from './netpoll.ts';

export class RxSlot implements RxDatagram {
  remoteIp: RxDatagram['remoteIp'];
  remotePort = 0;
  readonly remoteMac: Uint8Array;
  bytes: Uint8Array;
  offset = 0;
  len = 0;
  readonly #four: { readonly family: 4; v4: number };
  readonly #six: { readonly family: 6; readonly v6: Uint8Array };

  constructor() {
    // A number that is no small integer from the start: the field then keeps any address in place.
    this.#four = { family: 4, v4: 0xffffffff };
    this.#six = { family: 6, v6: new Uint8Array(16) };
    this.remoteIp = this.#four;
    this.remoteMac = new Uint8Array(6);
    this.bytes = this.remoteMac;
  }

  /** Shows the datagram with its Ethernet header at `mac`, its IP header at `ip`, and `len` bytes of UDP at `udp`. */
  fill(view: DataView, bytes: Uint8Array, mac: number, ip: number, six: boolean, udp: number, len: number): void {
    if (six) {
      const address = this.#six.v6;
      for (let i = 0; i < 16; i++) address[i] = bytes[ip + 8 + i]!;
      this.remoteIp = this.#six;
    } else {
      this.#four.v4 = view.getUint32(ip + 12);
      this.remoteIp = this.#four;
    }
    for (let i = 0; i < 6; i++) this.remoteMac[i] = bytes[mac + 6 + i]!;
    this.remotePort = udpSourcePort(view, udp);
    this.bytes = bytes;
    this.offset = udp + UDP_HLEN;
    this.len = len - UDP_HLEN;
  }
}
