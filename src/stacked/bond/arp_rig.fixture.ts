/**
 * A bond over devices whose far end answers ARP and neighbour solicitations for one target, through a switch that can lose each link
 * without the devices noticing: what only the ARP monitor sees.
 */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { ethMacAddr } from '../../device/dev_addr.ts';
import { allocEtherdev, ethTypeTrans } from '../../device/eth.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { registerNetdevice } from '../../device/register.ts';
import { Inet } from '../../inet/inet.ts';
import { createSimMachine, type SimMachine } from '../../sim/sim_machine.ts';
import { World } from '../../sim/world.ts';
import { type SkBuff, skbPut } from '../../skb/sk_buff.ts';
import { parseIp } from '../../wire/address.ts';
import { ARPOP_REPLY, ARPOP_REQUEST, writeArp } from '../../wire/arp.ts';
import { ETH_P_ARP, ETH_P_IPV6, writeEth } from '../../wire/eth.ts';
import { BOND_LINK_UP, type Bonding, type BondParams, bondOf } from './bond.ts';
import { createBond } from './bond_dev.ts';
import { bondEnslave } from './enslave.ts';

export const TARGET = 0x0a000002;
export const TARGET6 = Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2);
const TARGET_MAC = Uint8Array.of(2, 0, 0, 0, 0xff, 2);

export interface ArpRig extends SimMachine {
  readonly world: World;
  readonly bond: Bonding;
  readonly devices: readonly NetDevice[];
  readonly inet: Inet;
  /** Whether link i reaches the switch; the devices keep their carrier. */
  readonly wire: boolean[];
  /** The target answers. */
  target: boolean;
  /** Frames that reached the switch: slave, bytes from the destination on. */
  readonly seen: { readonly slave: number; readonly bytes: Buffer }[];
  /** A frame comes in on slave i. */
  receive(i: number, bytes: Uint8Array): void;
  /** Runs for so many ms and gives each slave's state, and the active one: `v0 up, v1 down, active v0`. */
  run(ms: number): string;
}

export function arpRig(count: number, params: Partial<BondParams>): ArpRig {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'bond' });
  const { net, machine } = sim;
  const rig = { wire: Array.from({ length: count }, () => true), target: true, seen: [] as ArpRig['seen'][number][] };
  const devices: NetDevice[] = [];

  const receive = (i: number, bytes: Uint8Array): void => {
    if (!rig.wire[i]) return;
    const dev = devices[i]!;
    const skb = machine.skbs.allocForDevice(dev, bytes.length)!;
    const at = skbPut(skb, bytes.length);
    skb.arena.bytes.set(bytes, at);
    skb.protocol = ethTypeTrans(skb, dev);
    net.softnet[0]!.enqueue(skb);
  };

  /** The switch: broadcasts come out of every other port, and the target hears them. */
  const transmit = (i: number, skb: SkBuff): number => {
    const bytes = Buffer.from(skb.arena.bytes.slice(skb.data, skb.tail));
    skb.pool.consume(skb);
    if (!rig.wire[i]) return NETDEV_TX_OK;
    rig.seen.push({ slave: i, bytes });
    if ((bytes[0]! & 1) !== 0) for (let other = 0; other < count; other++) if (other !== i) receive(other, bytes);
    if (!rig.target) return NETDEV_TX_OK;
    const answer = answerTo(bytes);
    if (answer !== null) receive(i, answer);
    return NETDEV_TX_OK;
  };

  const dev = createBond(net, 'bond0', params);
  const bond = bondOf(dev);
  const inet = new Inet(sim.stack);
  bond.inet = inet;
  for (let i = 0; i < count; i++) {
    const slave = allocEtherdev(net, {
      name: 'v%d',
      ops: { open: () => 0, startXmit: (skb) => transmit(i, skb), setMacAddress: ethMacAddr },
    });
    slave.devAddr.set([2, 0, 0, 0, 0, i]);
    slave.liveAddrChange = true;
    slave.ethtoolOps = {
      getLinkKsettings: () => ({ speed: 1000, duplex: 'full', autoneg: false, port: 'Twisted Pair' }),
    };
    if (registerNetdevice(slave) < 0) throw new Error('the test device is refused');
    devices.push(slave);
    const error = bondEnslave(bond, slave);
    if (error < 0) throw new Error(`enslaving fails: ${error}`);
  }
  inet.addAddress(dev, parseIp('10.0.0.1')!, 24);
  inet.addAddress(dev, parseIp('fe80::1')!, 64);
  devOpen(dev);
  return Object.assign(rig, sim, {
    world,
    bond,
    devices,
    inet,
    receive,
    run(ms: number): string {
      world.runFor(ms * 1e6);
      const states = bond.slaves.map((each) => `${each.dev.name} ${each.link === BOND_LINK_UP ? 'up' : 'down'}`);
      return `${states.join(', ')}, active ${bond.currActiveSlave?.dev.name ?? 'none'}`;
    },
  });
}

/** ARP: to who asks for the target. Solicitations: an advertisement. Null: nothing to be answered. */
function answerTo(bytes: Buffer): Uint8Array | null {
  const type = bytes.readUInt16BE(12);
  const asker = bytes.subarray(6, 12);
  if (type === ETH_P_ARP && bytes.readUInt16BE(20) === ARPOP_REQUEST && bytes.readUInt32BE(38) === TARGET) {
    const out = new Uint8Array(60);
    const view = new DataView(out.buffer);
    writeEth(view, 0, asker, TARGET_MAC, ETH_P_ARP);
    writeArp(view, 14, ARPOP_REPLY, TARGET_MAC, TARGET, asker, bytes.readUInt32BE(28));
    return out;
  }
  if (type === ETH_P_IPV6 && bytes[54] === 135 && bytes.subarray(62, 78).equals(TARGET6)) {
    const out = new Uint8Array(14 + 40 + 24);
    const view = new DataView(out.buffer);
    writeEth(view, 0, asker, TARGET_MAC, ETH_P_IPV6);
    view.setUint32(14, 0x60000000);
    view.setUint16(18, 24);
    view.setUint16(20, 0x3aff);
    out.set(TARGET6, 22);
    out.set(bytes.subarray(22, 38), 38);
    out[54] = 136;
    out.set(TARGET6, 62);
    return out;
  }
  return null;
}
