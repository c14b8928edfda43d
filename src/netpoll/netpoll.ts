/**
 * struct netpoll: one client, that is one UDP conversation over one device, and what all clients of a device share.
 *
 *     Netpoll (netconsole)  --\
 *     Netpoll (pong)        ---+--> NetpollInfo of the device: receivers, deferred frames, reserve, counters
 *
 * A client is set up by netpollSetup (setup.ts) or, by a stacked device on those below it, by netpollSetupLower (attach.ts); it
 * is taken down by netpollCleanup. All fields may be set before that; after it `dev`, `devName` and `localIp` say what it got.
 */
import type { NetDevice } from '../device/net_device.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import type { IpAddress } from '../wire/address.ts';
import type { NetpollOptions } from './options.ts';
import { netpollQueue } from './txq.ts';

/** Where a frame goes to. A Netpoll is one itself: its own remote end. */
export interface NetpollPeer {
  readonly remoteIp: IpAddress;
  readonly remotePort: number;
  readonly remoteMac: Uint8Array;
}

/**
 * A datagram for a client. One object serves all of them: what lies in it, the addresses included, is valid during the call of
 * the rxHook only. Who wants to keep something copies it.
 */
export interface RxDatagram extends NetpollPeer {
  /** The arena's bytes; the payload is bytes[offset .. offset + len). */
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly len: number;
}

/**
 * Called for each datagram for this client: in softirq context on NAPI drivers, in interrupt context on others, or with
 * everything off when netpoll itself polls. The frame stays netpoll's. A reply through the same device is deferred until
 * the poll is over.
 */
export type RxHook = (np: Netpoll, datagram: RxDatagram) => void;

/** Takes a frame that could not be sent now: NET_XMIT_SUCCESS if it is kept for later, NET_XMIT_DROP if it is freed. */
export type DropHook = (np: Netpoll, skb: SkBuff) => number;

/** Asked with interrupts off about a frame that a lower device received; `skb.data` is behind the Ethernet header. */
export type PassUp = (skb: SkBuff) => boolean;

export class Netpoll implements NetpollPeer {
  /** The client's name, in front of what it logs. */
  readonly name: string;
  dev: NetDevice | null = null;
  devName: string;
  devMac: Uint8Array | null;
  localIp: IpAddress | null;
  localPort: number;
  remoteIp: IpAddress;
  remotePort: number;
  remoteMac: Uint8Array;
  rxHook: RxHook | null = null;
  /** netpollQueue unless the client says otherwise; null: frames that cannot be sent are freed and counted. */
  drop: DropHook | null = netpollQueue;
  /** A receiver that listens to everybody: remoteIp and remotePort are only where it sends to by itself. */
  anyRemote = false;
  /** Source address of its frames (`local_mac`); null: whatever the device has when a frame is sent. 6 bytes. */
  localMac: Uint8Array | null = null;
  /** The stacked device that keeps this client on a device below it (attach.ts); null: a client of somebody's own. */
  upper: NetDevice | null = null;
  /** Whether a frame of `dev` is one of `upper` too. It only looks. */
  passUp: PassUp | null = null;
  /** `upper` is the device of the frame's VLAN tag: it gets the frame without it. */
  takesTag = false;

  constructor(name: string, options: NetpollOptions) {
    this.name = name;
    this.devName = options.devName;
    this.devMac = options.devMac;
    this.localIp = options.localIp;
    this.localPort = options.localPort;
    this.remoteIp = options.remoteIp;
    this.remotePort = options.remotePort;
    this.remoteMac = options.remoteMac;
  }
}
