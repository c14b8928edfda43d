/** A bond put together by hand, over devices that note what they are given: what a mode does with frames, without its monitors. */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { ethMacAddr } from '../../device/dev_addr.ts';
import { testDevice } from '../../device/device.fixture.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import { World } from '../../sim/world.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { BOND_LINK_UP, Bonding, type BondParams, bondDefaultParams, Slave } from './bond.ts';
import { bondUpdateSlaveArr } from './slave_arr.ts';

/** A frame that left: by which slave (its place in the bond), and its bytes. */
export interface Sent {
  readonly slave: number;
  readonly bytes: Buffer;
}

export interface XmitRig extends SimMachine {
  readonly world: World;
  readonly bond: Bonding;
  /** What left since the test emptied it. */
  readonly sent: Sent[];
  /** A frame for the bond; `hex` starts at its Ethernet header. */
  frame(hex: string): SkBuff;
  /** Gives slave `i` a link, or takes it away, as a monitor that commits. */
  link(i: number, up: boolean): void;
}

/** MAC of slave i; the bond has that of slave 0. */
export function slaveMac(i: number): Uint8Array {
  return Uint8Array.of(0x52, 0x54, 0, 0x77, 0xa0, i);
}

export function xmitRig(slaves: number, params: Partial<BondParams> = {}): XmitRig {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'bond' });
  const { net, machine } = sim;
  const sent: Sent[] = [];
  const recorder = (i: number): NetDevice =>
    testDevice(net, {
      setMacAddress: ethMacAddr,
      startXmit: (skb) => {
        const { bytes } = skb.arena;
        sent.push({ slave: i, bytes: Buffer.from(bytes.subarray(skb.data, skb.tail)) });
        skb.pool.consume(skb);
        return NETDEV_TX_OK;
      },
    });
  const dev = testDevice(net);
  dev.devAddr.set(slaveMac(0));
  const bond = new Bonding(dev, { ...bondDefaultParams(), ...params });
  for (let i = 0; i < slaves; i++) {
    const slave = new Slave(bond, recorder(i));
    slave.dev.devAddr.set(slaveMac(i));
    slave.dev.liveAddrChange = true;
    slave.permHwaddr.set(slaveMac(i));
    slave.link = BOND_LINK_UP;
    bond.slaves.push(slave);
  }
  bondUpdateSlaveArr(bond);
  return {
    ...sim,
    world,
    bond,
    sent,
    frame(hex) {
      const bytes = Buffer.from(hex, 'hex');
      const skb = machine.skbs.allocForDevice(dev, bytes.length)!;
      const at = skbPut(skb, bytes.length);
      skb.arena.bytes.set(bytes, at);
      skb.protocol = bytes.length >= 14 ? bytes.readUInt16BE(12) : 0;
      return skb;
    },
    link(i, up) {
      bond.slaves[i]!.link = up ? BOND_LINK_UP : 2;
      bondUpdateSlaveArr(bond);
    },
  };
}
