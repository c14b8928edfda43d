/**
 * Which frames the kernel's device takes for a packet socket: PACKET_ADD_MEMBERSHIP counts for as long as the socket lives, and
 * the device goes back to what it was when the last socket that wanted something is closed.
 *
 *     PROMISC every frame    ALLMULTI every group    UNICAST one more address    MULTICAST one group
 *
 * A membership that the kernel refuses (its device cannot) is left out: the port then takes what it gets to see.
 */
import type { PortRxMode } from '../../drivers/nic/port.ts';
import { libc } from '../sys/libc.ts';
import { PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC } from '../sys/packet.ts';
import { SOL_PACKET } from '../sys/socket.ts';

const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_MR_MULTICAST = 0;
const PACKET_MR_ALLMULTI = 2;
const PACKET_MR_UNICAST = 3;
/** struct packet_mreq: index, type, length and eight bytes of address. */
const MREQ_SIZE = 16;

export class PacketMembership {
  readonly #fd: number;
  readonly #ifindex: number;
  /** What the kernel was asked for, by its bytes. */
  readonly #held = new Map<string, Buffer>();

  constructor(fd: number, ifindex: number) {
    this.#fd = fd;
    this.#ifindex = ifindex;
  }

  /** Joins what is new, leaves what is gone. `own` is a further address of the device, or null. */
  set(mode: PortRxMode, own: Uint8Array | null): void {
    const wanted = new Map<string, Buffer>();
    const want = (type: number, addr: Uint8Array | null): void => {
      const request = this.#request(type, addr);
      wanted.set(request.toString('hex'), request);
    };
    if (mode.promisc) want(PACKET_MR_PROMISC, null);
    if (mode.allmulti) want(PACKET_MR_ALLMULTI, null);
    for (const addr of mode.unicast) want(PACKET_MR_UNICAST, addr);
    for (const addr of mode.multicast) want(PACKET_MR_MULTICAST, addr);
    if (own !== null) want(PACKET_MR_UNICAST, own);
    for (const [key, request] of this.#held) {
      if (wanted.has(key)) continue;
      this.#held.delete(key);
      libc().setsockopt(this.#fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, request, MREQ_SIZE);
    }
    for (const [key, request] of wanted) {
      if (this.#held.has(key)) continue;
      if (libc().setsockopt(this.#fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, MREQ_SIZE) === 0) {
        this.#held.set(key, request);
      }
    }
  }

  #request(type: number, addr: Uint8Array | null): Buffer {
    const request = Buffer.alloc(MREQ_SIZE);
    request.writeInt32LE(this.#ifindex, 0);
    request.writeUInt16LE(type, 4);
    request.writeUInt16LE(addr === null ? 0 : addr.length, 6);
    if (addr !== null) request.set(addr, 8);
    return request;
  }
}
