/**
 * A stream to QEMU: somebody listens, somebody calls, and again when the connection is gone.
 *
 *     listen    nobody --a caller--> connected --closed, broken, garbage--> nobody            the next caller waits in the kernel's queue
 *     connect   nobody --we call--> on the way --> connected --...--> nobody --after `reconnectMs`--> we call
 *
 * One guest at a time. A guest that restarts comes with a new connection; what was half sent or half received of the old one is gone.
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { HostArena } from '../arena.ts';
import { errnoName } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { READABLE, type ReadySet, WRITABLE } from '../sys/ready_set.ts';
import { PeerChannel } from './peer_channel.ts';
import type { ChannelSite, QemuChannel } from './qemu_channel.ts';
import {
  acceptQemuSocket,
  type BoundSocket,
  bindQemuSocket,
  callQemuSocket,
  openQemuSocket,
  refuseUseless,
  tuneConnection,
} from './qemu_socket.ts';
import { printAddress, type QemuAddress } from './qemu_spec.ts';
import { StreamReceive } from './stream_receive.ts';
import { StreamTransmit } from './stream_transmit.ts';

export class StreamChannel extends PeerChannel implements QemuChannel {
  readonly rx: StreamReceive;
  readonly tx: StreamTransmit;
  readonly #address: QemuAddress;
  readonly #ready: ReadySet;
  /** Null: we call. */
  readonly #listener: BoundSocket | null;
  #fd = -1;

  /** Listens, or starts to call. Throws SetupError; nothing is left open then. */
  constructor(
    spec: { readonly mode: 'listen' | 'connect'; readonly address: QemuAddress; readonly reconnectMs: number },
    memory: HostArena,
    ready: ReadySet,
    site: ChannelSite,
  ) {
    super(site, spec.reconnectMs);
    this.#address = spec.address;
    this.#ready = ready;
    const what = `${spec.mode === 'listen' ? 'listen' : 'call QEMU'} on ${printAddress(spec.address)}`;
    if (spec.mode === 'connect') refuseUseless(spec.address, what);
    this.rx = new StreamReceive(memory);
    this.tx = new StreamTransmit(memory, -1);
    try {
      this.#listener = spec.mode === 'listen' ? bindQemuSocket(spec.address, true, what) : null;
    } catch (error) {
      this.rx.release();
      throw error;
    }
    if (this.#listener !== null) ready.add(this.#listener.fd, READABLE);
  }

  get pending(): boolean {
    return this.up && this.rx.pending;
  }

  advance(): void {
    if (this.up) return;
    if (this.#listener === null) this.#call();
    else this.#accept(this.#listener.fd);
  }

  rxBurst(out: FrameBatch, limit: number): number {
    if (!this.up) this.advance();
    if (!this.up) return 0;
    const n = this.rx.burst(out, limit);
    if (this.rx.lost !== 0) this.lose(this.rx.lost);
    return n;
  }

  close(): void {
    if (this.#fd >= 0) libc().close(this.#fd);
    this.#fd = -1;
    this.up = false;
    this.tx.drop();
    if (this.#listener !== null) {
      libc().close(this.#listener.fd);
      this.#listener.remove();
    }
    this.rx.release();
  }

  /** Takes the next caller. */
  #accept(listener: number): void {
    const fd = acceptQemuSocket(listener);
    if (fd < 0) return;
    this.#ready.remove(listener);
    this.#ready.add(fd, READABLE);
    this.#connected(fd);
  }

  /** Calls, or sees how far the call has come. */
  #call(): void {
    if (this.#fd < 0) {
      if (this.resting) return;
      try {
        this.#fd = openQemuSocket(this.#address, true, 'call QEMU');
      } catch {
        this.callLater();
        return;
      }
      // Ready to be written to means that the call is over, either way.
      this.#ready.add(this.#fd, WRITABLE);
    }
    if (callQemuSocket(this.#fd, this.#address)) {
      // A path answers at once, and so may loopback; what is on the way says EALREADY the next time.
      if (this.#address.kind === 'inet' && !this.#isConnected()) return;
    } else {
      const errno = errnoName(libc().errno());
      if (errno === 'EALREADY') return;
      if (errno !== 'EISCONN') {
        libc().close(this.#fd);
        this.#fd = -1;
        this.callLater();
        return;
      }
    }
    this.#ready.change(this.#fd, READABLE);
    this.#connected(this.#fd);
  }

  #isConnected(): boolean {
    return !callQemuSocket(this.#fd, this.#address) && errnoName(libc().errno()) === 'EISCONN';
  }

  #connected(fd: number): void {
    tuneConnection(fd, this.#address);
    this.#fd = fd;
    this.rx.restart(fd);
    this.met(fd);
  }

  protected override disconnect(): void {
    libc().close(this.#fd);
    this.#fd = -1;
    if (this.#listener === null) this.callLater();
    else this.#ready.add(this.#listener.fd, READABLE);
  }

  protected override watchRoom(on: boolean): void {
    this.#ready.change(this.#fd, on ? READABLE | WRITABLE : READABLE);
  }
}
