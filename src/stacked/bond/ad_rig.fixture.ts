/**
 * An end of an 802.3ad bundle without the rest of a bond: its slaves' links are what the test says, what it sends is in `sent`
 * and goes where the test says, and a tick happens when the test says.
 */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { allocEtherdev, ethTypeTrans } from '../../device/eth.ts';
import { type NetDevice, netifCarrierOff, netifCarrierOn } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { registerNetdevice } from '../../device/register.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import type { World } from '../../sim/world.ts';
import { skbPut } from '../../skb/sk_buff.ts';
import { Lacpdu, readLacpdu } from '../../wire/lacp.ts';
import { ad3BindSlave, ad3HandleLinkChange, ad3Initialize, ad3StateMachineHandler } from './ad_3ad.ts';
import { AD_TICK_NS, type AdPort } from './ad_port.ts';
import { ad3LacpduRecv } from './ad_recv.ts';
import {
  BOND_LINK_DOWN,
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  Bonding,
  type BondParams,
  bondDefaultParams,
  DUPLEX_FULL,
  Slave,
} from './bond.ts';
import { bondSetBackupSlave, bondSetSlaveInactiveFlags } from './slave_state.ts';

export interface AdRigOptions extends Partial<BondParams> {
  /** Hardware addresses: the bond's, and slave i's with i added to its last byte. */
  readonly mac?: readonly number[];
  readonly slaves?: number;
  readonly speed?: number;
  readonly duplex?: number;
}

export interface Sent {
  readonly atNs: number;
  readonly slave: number;
  readonly bytes: Uint8Array;
}

export class AdRig {
  readonly world: World;
  readonly sim: SimMachine;
  readonly bond: Bonding;
  readonly sent: Sent[] = [];
  /** Lines of the log. */
  readonly log: string[] = [];
  onSend: (sent: Sent) => void = () => {};
  #enslaved = 0;

  constructor(world: World, options: AdRigOptions = {}) {
    const { mac = [2, 0, 0, 0, 0xaa, 0], slaves = 2, speed = 1000, duplex = DUPLEX_FULL, ...params } = options;
    this.world = world;
    this.sim = createSimMachine(world, { hostname: `system${mac[4]}`, slots: 64 });
    const decoder = new TextDecoder();
    this.sim.machine.printk.registerConsole({ name: 'test', write: ({ text }) => this.log.push(decoder.decode(text)) });
    const dev = this.#device('bond0', mac, () => {});
    netifCarrierOff(dev);
    this.bond = new Bonding(dev, { ...bondDefaultParams(), mode: BOND_MODE_8023AD, ...params });
    ad3Initialize(this.bond);
    for (let i = 0; i < slaves; i++) this.enslave(speed, duplex);
  }

  /** One slave more; the link is up if its speed is known. */
  enslave(speed = 1000, duplex: number = DUPLEX_FULL): Slave {
    const index = this.#enslaved++;
    const mac = [...this.bond.dev.devAddr];
    mac[5]! += index;
    const dev = this.#device(`eth${index}`, mac, (bytes) => {
      const sent = { atNs: this.world.nowNs, slave: index, bytes };
      this.sent.push(sent);
      this.onSend(sent);
    });
    const slave = new Slave(this.bond, dev);
    slave.permHwaddr.set(dev.devAddr);
    slave.link = BOND_LINK_UP;
    slave.speed = speed;
    slave.duplex = duplex;
    this.bond.slaves.push(slave);
    ad3BindSlave(slave);
    return slave;
  }

  port(index: number): AdPort {
    return this.bond.slaves[index]!.ad!;
  }

  /** What was said last on a slave. */
  said(index: number): Lacpdu {
    const last = this.sent.findLast(({ slave }) => slave === index)!;
    return readLacpdu(new DataView(last.bytes.buffer), 14, new Lacpdu());
  }

  /** As the monitor tells it. */
  setLink(index: number, up: boolean): void {
    const slave = this.bond.slaves[index]!;
    if ((slave.link === BOND_LINK_UP) === up) return;
    if (up) netifCarrierOn(slave.dev);
    else netifCarrierOff(slave.dev);
    slave.link = up ? BOND_LINK_UP : BOND_LINK_DOWN;
    if (up) bondSetBackupSlave(slave);
    else bondSetSlaveInactiveFlags(slave);
    ad3HandleLinkChange(slave, up);
  }

  /** A frame comes in; true: it was consumed. */
  hear(index: number, bytes: Uint8Array): boolean {
    const slave = this.bond.slaves[index]!;
    const pool = this.sim.machine.skbs;
    const skb = pool.allocForDevice(slave.dev, bytes.length)!;
    skb.arena.bytes.set(bytes, skbPut(skb, bytes.length));
    skb.protocol = ethTypeTrans(skb, slave.dev);
    const taken = ad3LacpduRecv(this.bond, slave, skb);
    pool.consume(skb);
    return taken;
  }

  /** `count` ticks, the world's time between them. */
  tick(count = 1, tickNs = AD_TICK_NS): void {
    for (let i = 0; i < count; i++) {
      ad3StateMachineHandler(this.bond);
      this.world.runFor(tickNs);
    }
  }

  #device(name: string, mac: readonly number[], send: (bytes: Uint8Array) => void): NetDevice {
    const dev = allocEtherdev(this.sim.net, {
      name,
      ops: {
        open: () => 0,
        startXmit(skb) {
          send(skb.arena.bytes.slice(skb.data, skb.data + skb.len));
          skb.pool.consume(skb);
          return NETDEV_TX_OK;
        },
      },
    });
    dev.noQueue = true;
    dev.devAddr.set(mac);
    if (registerNetdevice(dev) < 0 || devOpen(dev) < 0) throw new Error(`${name} does not come up`);
    return dev;
  }
}

/** Slave i of one is cabled to slave i of the other. A frame for which `lose` says true does not arrive. */
export function cable(a: AdRig, b: AdRig, lose: (sent: Sent) => boolean = () => false, delayNs = 1000): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.onSend = (sent) => {
      if (lose(sent)) return;
      from.world.after(delayNs, () => {
        const slave = to.bond.slaves[sent.slave];
        if (slave?.link === BOND_LINK_UP) to.hear(sent.slave, sent.bytes);
      });
    };
  }
}

/** Ticks of both ends, the second one half a tick later. */
export function tickBoth(a: AdRig, b: AdRig, count: number): void {
  for (let i = 0; i < count; i++) {
    ad3StateMachineHandler(a.bond);
    a.world.runFor(AD_TICK_NS / 2);
    ad3StateMachineHandler(b.bond);
    b.world.runFor(AD_TICK_NS / 2);
  }
}
