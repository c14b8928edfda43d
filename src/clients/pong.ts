/**
 * pong: the test module of seed 003. Answers every datagram with PONG, to whoever sent it.
 *
 *     ping on eth0 --> hook, inside eth0's poll --+-- answer by eth0: deferred until the poll is over, never recursed
 *                                                 +-- answer by another device (`through`): on its way when the hook returns
 *
 * On a bond the same holds for its slaves: the answer is deferred if it leaves by the slave that the ping came in on.
 */
import { NETDEV_TX_OK } from '../base/status.ts';
import type { Net } from '../device/net.ts';
import { Netpoll, type RxDatagram } from '../netpoll/netpoll.ts';
import type { NetpollOptions } from '../netpoll/options.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollCleanup, netpollSetup } from '../netpoll/setup.ts';

export interface Pong {
  readonly np: Netpoll;
  /** Datagrams answered so far: the answer was sent, or waits to be. */
  answered: number;
  /** Datagrams whose answer netpoll did not take: no memory, device down, deferred queue full. */
  refused: number;
  /** Stops answering. */
  close(): void;
}

export interface PongOptions {
  /** Sees each datagram before it is answered. */
  readonly onPing?: (datagram: RxDatagram) => void;
  /** Answer everybody, not just the remote address of the options. */
  readonly anyRemote?: boolean;
  /** Client of another device by which the answers leave; it is the caller's. Absent: by the device that the ping came in on. */
  readonly through?: Netpoll;
}

/** Sets the client up on its device; a negative errno (with the reason in the log) if that is refused. */
export function createPong(net: Net, options: NetpollOptions, pongOptions: PongOptions = {}): Pong | number {
  const answer = new TextEncoder().encode('PONG');
  const np = new Netpoll('pong', options);
  const pong: Pong = { np, answered: 0, refused: 0, close: () => netpollCleanup(np) };
  np.anyRemote = pongOptions.anyRemote ?? false;
  np.rxHook = (self, datagram) => {
    pongOptions.onPing?.(datagram);
    const status = netpollSendUdp(pongOptions.through ?? self, answer, 0, answer.length, datagram);
    if (status === NETDEV_TX_OK) pong.answered++;
    else pong.refused++;
  };
  const error = netpollSetup(net, np);
  return error < 0 ? error : pong;
}
