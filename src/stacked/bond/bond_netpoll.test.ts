import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { createNetconsole, parseNetconsoleParam } from '../../clients/netconsole/netconsole.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { netifStopQueue, netifWakeQueue } from '../../device/netdev_queue.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { createNic } from '../../drivers/nic/nic.ts';
import { Netpoll, type RxHook } from '../../netpoll/netpoll.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollPoll } from '../../netpoll/poll.ts';
import { netpollSetTrap } from '../../netpoll/rx.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollCleanup, netpollSetup } from '../../netpoll/setup.ts';
import { Hand, udpFrame } from '../../sim/rig.fixture.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { parseIp } from '../../wire/address.ts';
import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  type BondParams,
} from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondEnslave } from './enslave.ts';
import { bondRelease } from './release.ts';

const AB = { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 };

/** A client of bond0: 10.0.0.1:6665 to 10.0.0.2:6666. */
function clientOf(rig: BondRig, rxHook: RxHook | null = null, dev = 'bond0'): { np: Netpoll; error: number } {
  const parsed = netpollParseOptions(`6665@10.0.0.1/${dev},6666@10.0.0.2/02:00:00:00:00:02`);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('test', parsed.options);
  np.rxHook = rxHook;
  return { np, error: netpollSetup(rig.sim.net, np) };
}

const send = (np: Netpoll, text: string) => netpollSendUdp(np, new TextEncoder().encode(text));

/** The payloads of the UDP frames that arrived, with the slave that carried each. */
function datagrams(rig: BondRig): string[] {
  return rig.heard
    .filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === 17)
    .map(({ slave, bytes }) => `${slave}:${new TextDecoder().decode(bytes.subarray(42))}`);
}

/** Slaves are NICs on wires of their own; each wire has a hand. */
function onWires(params: Partial<BondParams>): BondRig & { hands: Hand[] } {
  const rig = new BondRig({ slaves: 0, bare: true, params });
  const hands: Hand[] = [];
  for (let i = 0; i < 2; i++) {
    const wire = new Wire(rig.world);
    const port = new SimPort(rig.world, { name: `sim:${i}`, mac: Uint8Array.of(2, 0, 0, 0, 0, 0x10 + i), wire });
    bondEnslave(rig.bond, createNic(rig.sim.net, port, `eth${i}`));
    hands.push(new Hand(rig.world, wire));
  }
  devOpen(rig.dev);
  rig.ms(200);
  return Object.assign(rig, { hands });
}

/** Interrupts off: the stack may not be entered from here on. */
function wedged<T>(rig: BondRig, run: () => T): T {
  const irqs = rig.sim.machine.cpu.localIrqSave();
  try {
    return run();
  } finally {
    rig.sim.machine.cpu.localIrqRestore(irqs);
  }
}

describe('netpoll on a bond', () => {
  it('gives every slave a client of its own, and takes them away with the last client of the bond', () => {
    const rig = new BondRig({ params: AB });
    const { np, error } = clientOf(rig);
    expect([error, ...rig.bond.slaves.map((slave) => slave.np?.dev)]).toEqual([0, ...rig.ends]);
    expect(rig.ends.map((dev) => npinfoOf(dev)?.refs)).toEqual([1, 1]);
    const second = clientOf(rig);
    netpollCleanup(np);
    expect(rig.bond.slaves.every((slave) => slave.np !== null)).toBe(true);
    // The kernel forgets the slaves that are down.
    devClose(rig.ends[1]!);
    netpollCleanup(second.np);
    expect([...rig.bond.slaves.map(({ np: each }) => each), ...rig.ends.map(npinfoOf)]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });

  it.each([
    ['balance-rr', { mode: BOND_MODE_ROUNDROBIN, miimon: 100 }, ['1', '0', '1', '0']],
    ['active-backup', AB, ['0', '0', '0', '0']],
    ['balance-xor', { mode: BOND_MODE_XOR, miimon: 100 }, ['0', '0', '0', '0']],
    ['broadcast', { mode: BOND_MODE_BROADCAST, miimon: 100 }, ['0', '1', '0', '1', '0', '1', '0', '1']],
    ['802.3ad', { mode: BOND_MODE_8023AD, miimon: 100 }, ['0', '0', '0', '0']],
    ['balance-tlb', { mode: BOND_MODE_TLB, miimon: 100 }, ['0', '0', '0', '0']],
    ['balance-alb', { mode: BOND_MODE_ALB, miimon: 100 }, ['0', '0', '0', '0']],
  ])('sends with interrupts off in mode %s, by the slave that the mode chooses', (_mode, params, slaves) => {
    const rig = new BondRig({ params });
    rig.ms(2_500);
    const { np } = clientOf(rig);
    wedged(rig, () => {
      for (const text of ['a', 'b', 'c', 'd']) expect(send(np, text)).toBe(0);
    });
    rig.ms(1);
    expect(datagrams(rig).map((each) => each[0])).toEqual(slaves);
    expect(new Set(datagrams(rig).map((each) => each.slice(2))).size).toBe(4);
  });

  it('refuses a slave, and refuses the bond if one of its slaves cannot', () => {
    const rig = new BondRig({ params: AB });
    expect(clientOf(rig, null, 'v1').error).toBe(-Errno.EBUSY);
    expect(rig.log.at(-1)).toBe('netpoll: test: v1 is a slave device, aborting');
    rig.ends[1]!.netpollDisabled = true;
    const { np, error } = clientOf(rig);
    expect([error, np.dev, rig.dev.npinfo, ...rig.ends.map(npinfoOf)]).toEqual([
      -Errno.ENOTSUPP,
      null,
      null,
      null,
      null,
    ]);
    expect(rig.log.at(-1)).toBe("netpoll: bond0: v1 doesn't support polling, aborting");
  });

  it('takes late slaves in, lets slaves go, refuses one that cannot', () => {
    const rig = new BondRig({ slaves: 1, params: AB });
    const { np } = clientOf(rig);
    const late = rig.pair(1);
    expect([bondEnslave(rig.bond, late), rig.bond.slaves[1]!.np?.dev]).toEqual([0, late]);
    const cannot = rig.pair(2);
    cannot.netpollDisabled = true;
    expect([bondEnslave(rig.bond, cannot), rig.bond.slaves.length, cannot.master]).toEqual([-Errno.EBUSY, 2, null]);
    expect(rig.log.at(-1)).toBe(
      'bond0: (slave v2): master_dev is using netpoll, but new slave device does not support netpoll',
    );
    bondRelease(rig.bond, rig.ends[0]!);
    expect(npinfoOf(rig.ends[0]!)).toBeNull();
    expect(wedged(rig, () => send(np, 'x'))).toBe(0);
    rig.ms(1);
    expect(datagrams(rig)).toEqual(['1:x']);
  });

  it('is told to wait while the active slave changes; what it had to say then comes afterwards', () => {
    const rig = new BondRig({ params: AB });
    const { np } = clientOf(rig);
    let status = -1;
    rig.sim.net.registerNotifier((_event, dev) => {
      if (rig.bond.blockNetpollTx > 0 && dev === rig.ends[1] && status < 0) status = send(np, 'meanwhile');
      return 0;
    });
    rig.link(0, false);
    rig.ms(150);
    expect([rig.bond.currActiveSlave?.dev.name, status]).toEqual(['v1', 0]);
    expect(npinfoOf(rig.dev)!.counters.get('deferred')).toBe(1);
    rig.ms(200);
    expect(datagrams(rig)).toEqual(['1:meanwhile']);
  });

  it('keeps what a slave’s queue does not take on that slave, and sends it when the queue goes on', () => {
    const rig = new BondRig({ params: AB });
    const { np } = clientOf(rig);
    const txq = rig.ends[0]!.txQueues[0]!;
    netifStopQueue(txq, rig.world.nowNs);
    expect(send(np, 'late')).toBe(0);
    expect([npinfoOf(rig.ends[0]!)!.txq.length, npinfoOf(rig.ends[0]!)!.counters.get('deferred')]).toEqual([1, 1]);
    netifWakeQueue(txq);
    rig.ms(150);
    expect(datagrams(rig)).toEqual(['0:late']);
  });

  it('drops, counted, what no slave can send', () => {
    const rig = new BondRig({ params: AB });
    const { np } = clientOf(rig);
    for (const i of [0, 1]) rig.link(i, false);
    rig.ms(200);
    expect(send(np, 'x')).toBe(0);
    expect([rig.sim.machine.skbs.drops.get('NO_TX_TARGET'), rig.dev.stats.get('tx_dropped')]).toEqual([1, 1]);
  });

  it('hears with interrupts off what any slave in use receives, once, and answers', () => {
    const rig = onWires(AB);
    const got: string[] = [];
    const { np } = clientOf(rig, (self, { bytes, offset, len }) => {
      const text = new TextDecoder().decode(bytes.subarray(offset, offset + len));
      got.push(text);
      send(self, `${text}!`);
    });
    const frame = (payload: string) =>
      udpFrame({
        from: '10.0.0.2',
        to: '10.0.0.1',
        sourcePort: 6666,
        destPort: 6665,
        destMac: '02:00:00:00:00:10',
        payload,
      });
    wedged(rig, () => {
      rig.hands[0]!.send(frame('one'));
      rig.hands[1]!.send(frame('backup'));
      rig.sim.machine.executive.spin(100_000);
      expect(netpollPoll(np)).toBe(2);
      expect(got).toEqual(['one']);
    });
    rig.ms(200);
    const said = (hand: Hand) => hand.heard.map(({ bytes }) => new TextDecoder().decode(bytes.subarray(42)));
    expect([said(rig.hands[0]!), said(rig.hands[1]!)]).toEqual([['one!'], []]);
  });

  it('trapped answers ARP for its clients’ address over the active slave, and keeps frames from everybody else', () => {
    const rig = onWires(AB);
    const { np } = clientOf(rig, () => {});
    netpollSetTrap(rig.dev, true);
    const arp = Uint8Array.from([
      ...[255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
      ...[2, 0, 0, 0, 0, 2, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1],
      ...new Array(18).fill(0),
    ]);
    wedged(rig, () => {
      rig.hands[0]!.send(arp);
      rig.sim.machine.executive.spin(100_000);
      netpollPoll(np);
    });
    rig.ms(150);
    const reply = rig.hands[0]!.heard.find(({ bytes }) => bytes[13] === 6 && bytes[21] === 2)!;
    expect([...reply.bytes.slice(22, 32)]).toEqual([2, 0, 0, 0, 0, 0x10, 10, 0, 0, 1]);
    expect(npinfoOf(rig.dev)!.counters.get('arp_replies')).toBe(1);
  });
});

/** The kernel's netcons_over_bonding.sh, as far as it is about the bond. */
describe('netconsole over a bond', () => {
  const param = (dev: string) => `6665@10.0.0.1/${dev},6666@10.0.0.2/02:00:00:00:00:02`;
  function console(rig: BondRig, dev: string) {
    const parsed = parseNetconsoleParam(param(dev));
    if (!parsed.ok) throw new Error(parsed.reason);
    return createNetconsole(rig.sim.net, parsed.specs);
  }
  const rr = { mode: BOND_MODE_ROUNDROBIN, miimon: 100 };
  const lines = (rig: BondRig) => datagrams(rig).join('').includes.bind(datagrams(rig).join(''));

  it('1: a message arrives', () => {
    const rig = new BondRig({ params: rr });
    console(rig, 'bond0');
    rig.sim.machine.printk.info('netcons over bonding');
    rig.ms(1);
    expect(lines(rig)('netcons over bonding')).toBe(true);
  });

  it('2: a slave cannot be a target', () => {
    const rig = new BondRig({ params: rr });
    expect(console(rig, 'v0').targets.filter((target) => target.enabled)).toEqual([]);
  });

  it('3: a device works again when the bond is gone', () => {
    const rig = new BondRig({ slaves: 1, params: rr });
    bondRelease(rig.bond, rig.ends[0]!);
    console(rig, 'v0');
    rig.sim.machine.printk.info('on its own');
    rig.ms(1);
    expect(lines(rig)('on its own')).toBe(true);
  });

  it('4: a target whose device is enslaved stops', () => {
    const rig = new BondRig({ slaves: 1, bare: true, params: rr });
    const end = rig.ends[0] as NetDevice;
    end.addresses.push(parseIp('10.0.0.1')!);
    devOpen(end);
    const { targets } = console(rig, 'v0');
    expect(targets[0]!.enabled).toBe(true);
    devClose(end);
    bondEnslave(rig.bond, end);
    expect(targets[0]!.enabled).toBe(false);
    expect(rig.log.some((line) => line.includes('network logging stopped on interface v0'))).toBe(true);
  });

  it('5: a slave that joins does not disturb it', () => {
    const rig = new BondRig({ slaves: 1, params: rr });
    const { targets } = console(rig, 'bond0');
    bondEnslave(rig.bond, rig.pair(1));
    expect(targets[0]!.enabled).toBe(true);
    rig.sim.machine.printk.info('still here');
    rig.ms(1);
    expect(lines(rig)('still here')).toBe(true);
  });

  it('6: a device that cannot do netpoll does not get in', () => {
    const rig = new BondRig({ slaves: 1, params: rr });
    const { targets } = console(rig, 'bond0');
    const veth = rig.pair(1);
    veth.netpollDisabled = true;
    expect([bondEnslave(rig.bond, veth), targets[0]!.enabled]).toEqual([-Errno.EBUSY, true]);
  });
});
