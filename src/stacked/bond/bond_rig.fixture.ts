/** A bond of veth slaves v0, v1, ... in a simulated machine; what it sends arrives at the other ends, p0, p1, ... */
import type { NetDevice } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { createVethPair } from '../../drivers/veth.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import { World } from '../../sim/world.ts';
import { skbPut, skbReserve } from '../../skb/sk_buff.ts';
import { devQueueXmit } from '../../stack/dev_queue_xmit.ts';
import { type Bonding, type BondParams, bondOf } from './bond.ts';
import { createBond } from './bond_dev.ts';
import { bondEnslave } from './enslave.ts';

/** A frame that arrived at the other end of slave `slave`. */
export interface Heard {
  readonly atNs: number;
  readonly slave: number;
  readonly bytes: Uint8Array;
}

export interface BondRigOptions {
  readonly slaves?: number;
  readonly params?: Partial<BondParams>;
  /** Enslaved and opened by the test itself. */
  readonly bare?: boolean;
  readonly world?: World;
  readonly cpus?: number;
}

export class BondRig {
  readonly world: World;
  readonly sim: SimMachine;
  readonly dev: NetDevice;
  readonly bond: Bonding;
  readonly ends: NetDevice[] = [];
  readonly peers: NetDevice[] = [];
  readonly heard: Heard[] = [];
  /** Lines of the log. */
  readonly log: string[] = [];

  constructor(options: BondRigOptions = {}) {
    this.world = options.world ?? new World({ seed: 1 });
    this.sim = createSimMachine(this.world, { hostname: 'bonded', cpus: options.cpus ?? 1 });
    const decoder = new TextDecoder();
    this.sim.machine.printk.registerConsole({ name: 'test', write: ({ text }) => this.log.push(decoder.decode(text)) });
    this.dev = createBond(this.sim.net, 'bond0', options.params);
    this.bond = bondOf(this.dev);
    for (let i = 0; i < (options.slaves ?? 2); i++) this.pair(i);
    if (options.bare === true) return;
    for (const end of this.ends) bondEnslave(this.bond, end);
    devOpen(this.dev);
  }

  /** v0 has the address 02:00:00:00:00:10, v1 the one ending in 11; the other end is up. */
  pair(i: number): NetDevice {
    const { net } = this.sim;
    const [end, peer] = createVethPair(
      { net, name: `v${i}`, mac: Uint8Array.of(2, 0, 0, 0, 0, 0x10 + i) },
      { net, name: `p${i}`, mac: Uint8Array.of(2, 0, 0, 0, 1, 0x10 + i) },
    );
    peer.rxHandler = (skb) => {
      const { bytes } = skb.arena;
      this.heard.push({ atNs: this.world.nowNs, slave: i, bytes: bytes.slice(skb.macHeader, skb.tail) });
      skb.pool.consume(skb);
      return 'consumed';
    };
    devOpen(peer);
    this.ends.push(end);
    this.peers.push(peer);
    return end;
  }

  /** Pulls the cable of slave `i`, or puts it back. */
  link(i: number, up: boolean): void {
    if (up) devOpen(this.peers[i]!);
    else devClose(this.peers[i]!);
  }

  ms(ms: number): void {
    this.world.runFor(ms * 1e6);
  }

  /** Sends a whole frame over the bond. */
  send(frame: Uint8Array): number {
    return sendFrame(this.dev, frame);
  }

  /** The other end of slave `i` sends one. */
  receive(i: number, frame: Uint8Array): number {
    return sendFrame(this.peers[i]!, frame);
  }

  mac(dev: NetDevice): string {
    return [...dev.devAddr].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
  }
}

function sendFrame(dev: NetDevice, frame: Uint8Array): number {
  const skb = dev.net.machine.skbs.alloc(frame.length + 64)!;
  skbReserve(skb, 64);
  skb.arena.bytes.set(frame, skbPut(skb, frame.length));
  skb.dev = dev;
  skb.macHeader = skb.data;
  skb.networkHeader = skb.data + 14;
  skb.protocol = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  return devQueueXmit(skb);
}
