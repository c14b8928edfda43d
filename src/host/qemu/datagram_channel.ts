/**
 * Datagrams to and from QEMU, one frame each.
 *
 *     paths   QEMU --> our path (bound)          we --> a second socket, connected to QEMU's path: its being connected is the link
 *     IP      one socket, bound to ours and connected to QEMU's: the link is up from the beginning
 *
 * With paths two sockets are needed: a bound socket that was connected to a QEMU which has died refuses the next one's datagrams, and one
 * that is not connected does not tell when the far end has room. That QEMU has gone is learnt by the next send; that it is back by
 * its first frame, or by calling it again.
 */

import { SetupError } from '../../base/status.ts';
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import { systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { READABLE, type ReadySet, WRITABLE } from '../sys/ready_set.ts';
import { DatagramReceive, RX_SLOTS } from './datagram_receive.ts';
import { DatagramTransmit } from './datagram_transmit.ts';
import { PeerChannel } from './peer_channel.ts';
import type { ChannelSite, QemuChannel } from './qemu_channel.ts';
import { type BoundSocket, bindQemuSocket, callQemuSocket, openQemuSocket, refuseUseless } from './qemu_socket.ts';
import { printAddress, type QemuAddress } from './qemu_spec.ts';

export class DatagramChannel extends PeerChannel implements QemuChannel {
  readonly rx: DatagramReceive;
  readonly tx: DatagramTransmit;
  readonly pending = false;
  readonly #remote: QemuAddress;
  readonly #ready: ReadySet;
  readonly #bound: BoundSocket;
  /** Where frames are sent from: the bound socket, or one of its own; -1: nowhere. */
  #out = -1;

  /** Binds, and tries to reach QEMU. Throws SetupError; nothing is left open then. */
  constructor(
    spec: { readonly address: QemuAddress; readonly remote: QemuAddress; readonly reconnectMs: number },
    memory: HostArena,
    ready: ReadySet,
    site: ChannelSite,
  ) {
    super(site, spec.reconnectMs);
    this.#remote = spec.remote;
    this.#ready = ready;
    const what = `bind ${printAddress(spec.address)}`;
    refuseUseless(spec.remote, `send to ${printAddress(spec.remote)}`);
    this.#bound = bindQemuSocket(spec.address, false, what);
    const { fd } = this.#bound;
    this.rx = new DatagramReceive(memory, fd);
    this.tx = new DatagramTransmit(memory, -1, spec.remote.kind === 'inet');
    try {
      if (!this.rx.post()) {
        throw new SetupError('ERR_NETPOLL_ARENA_FULL', `a qemu port of datagrams needs ${RX_SLOTS} arena slots`);
      }
      if (spec.remote.kind === 'inet' && !callQemuSocket(fd, spec.remote)) {
        throw systemError('connect', `send to ${printAddress(spec.remote)}`, 'is there a route?');
      }
    } catch (error) {
      this.close();
      throw error;
    }
    ready.add(fd, READABLE);
  }

  advance(): void {
    if (this.up || this.resting) return;
    if (this.#remote.kind === 'inet') {
      this.#reached(this.#bound.fd);
      return;
    }
    let fd = -1;
    try {
      fd = openQemuSocket(this.#remote, false, 'send to QEMU');
    } catch {
      // No descriptor is free: later.
    }
    if (fd >= 0 && callQemuSocket(fd, this.#remote)) {
      this.#reached(fd);
      return;
    }
    if (fd >= 0) libc().close(fd);
    this.callLater();
  }

  rxBurst(out: FrameBatch, limit: number): number {
    const n = this.rx.burst(out, limit);
    if (!this.up) {
      // Somebody sends: then somebody is there.
      if (n > 0) this.callNow();
      this.advance();
    }
    return n;
  }

  close(): void {
    if (this.#out >= 0 && this.#out !== this.#bound.fd) libc().close(this.#out);
    this.#out = -1;
    this.up = false;
    this.tx.drop();
    libc().close(this.#bound.fd);
    this.#bound.remove();
    this.rx.release();
  }

  #reached(fd: number): void {
    this.#out = fd;
    this.met(fd);
  }

  protected override disconnect(): void {
    if (this.#out !== this.#bound.fd) libc().close(this.#out);
    this.#out = -1;
    this.callLater();
  }

  protected override watchRoom(on: boolean): void {
    if (this.#out === this.#bound.fd) this.#ready.change(this.#out, on ? READABLE | WRITABLE : READABLE);
    else if (on) this.#ready.add(this.#out, WRITABLE);
    else this.#ready.remove(this.#out);
  }
}
