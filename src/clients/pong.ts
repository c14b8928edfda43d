/**
 * pong: the test module of seed 003. Answers every datagram with PONG, to whoever sent it.
 *
 * Whether the answer goes out at once depends on the path: the hook runs inside the poll of the device that the datagram came
 * in on, so a reply through that device is deferred until the poll is over, never recursed.
 */
import type { Net } from '../device/net.ts';
import { Netpoll, type RxDatagram } from '../netpoll/netpoll.ts';
import type { NetpollOptions } from '../netpoll/options.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollCleanup, netpollSetup } from '../netpoll/setup.ts';

export interface Pong {
  readonly np: Netpoll;
  /** Datagrams answered so far. */
  answered: number;
  /** Stops answering. */
  close(): void;
}

export interface PongOptions {
  /** Sees each datagram before it is answered. */
  readonly onPing?: (datagram: RxDatagram) => void;
  /** Answer everybody, not just the remote address of the options. */
  readonly anyRemote?: boolean;
}

/** Sets the client up on its device; a negative errno (with the reason in the log) if that is refused. */
export function createPong(net: Net, options: NetpollOptions, pongOptions: PongOptions = {}): Pong | number {
  const answer = new TextEncoder().encode('PONG');
  const np = new Netpoll('pong', options);
  const pong: Pong = { np, answered: 0, close: () => netpollCleanup(np) };
  np.anyRemote = pongOptions.anyRemote ?? false;
  np.rxHook = (self, datagram) => {
    pongOptions.onPing?.(datagram);
    pong.answered++;
    netpollSendUdp(self, answer, 0, answer.length, datagram);
  };
  const error = netpollSetup(net, np);
  return error < 0 ? error : pong;
}
