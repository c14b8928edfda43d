/**
 * A way to one QEMU, which comes and goes: what datagrams and streams have in common.
 *
 *     nobody --met(fd)--> up: frames go out by `tx` --its socket says why not--> lose --disconnect--> nobody
 *                          |  ^
 *                          +--+ no room in the socket: it is watched for that, until there is
 */
import type { FrameBatch } from '../../drivers/nic/port.ts';
import type { FrameQueue } from './frame_queue.ts';
import type { ChannelSite } from './qemu_channel.ts';

export abstract class PeerChannel {
  peers = 0;
  lostPeers = 0;
  lostBy = 0;
  up = false;
  abstract readonly tx: FrameQueue & { restart(fd: number): void };
  protected readonly site: ChannelSite;
  readonly #reconnectMs: number;
  /** The socket is looked at for room too. */
  #wantsRoom = false;
  #callAtNs = 0;

  constructor(site: ChannelSite, reconnectMs: number) {
    this.site = site;
    this.#reconnectMs = reconnectMs;
  }

  abstract advance(): void;
  /** Closes what led to the peer, and sees to the next one. */
  protected abstract disconnect(): void;
  /** Has the port woken when the socket has room, or no more. */
  protected abstract watchRoom(on: boolean): void;

  txBurst(batch: FrameBatch, n: number): number {
    if (!this.up) this.advance();
    const taken = this.tx.burst(batch, n, this.up);
    this.#settle();
    return taken;
  }

  txReap(done: FrameBatch): number {
    if (this.tx.blocked) {
      this.tx.flush();
      this.#settle();
    }
    return this.tx.reap(done);
  }

  /** It is not yet time to call again. */
  protected get resting(): boolean {
    return this.site.now() < this.#callAtNs;
  }

  protected callLater(): void {
    this.#callAtNs = this.site.now() + this.#reconnectMs * 1e6;
    this.site.advanceIn(this.#reconnectMs);
  }

  protected callNow(): void {
    this.#callAtNs = 0;
  }

  /** There is a peer: frames go to `fd`. */
  protected met(fd: number): void {
    this.#wantsRoom = false;
    this.tx.restart(fd);
    this.up = true;
    this.peers++;
    this.site.changed();
  }

  /** The peer is gone, and what waited for it is finished. */
  protected lose(errno: number): void {
    if (!this.up) return;
    this.up = false;
    this.lostPeers++;
    this.lostBy = errno;
    this.tx.drop();
    this.disconnect();
    this.site.changed();
  }

  /** Sees to what a push has left behind: an end, or the wish for room. */
  #settle(): void {
    const { tx } = this;
    if (tx.lost !== 0) this.lose(tx.lost);
    if (!this.up || tx.blocked === this.#wantsRoom) return;
    this.#wantsRoom = tx.blocked;
    this.watchRoom(tx.blocked);
  }
}
