/**
 * What the kernel's own tests of bonding check (tools/testing/selftests/drivers/net/bonding), on simulated machines: bond_options.sh,
 * mode-1-recovery-updelay.sh, mode-2-recovery-updelay.sh, bond-arp-interval-causes-panic.sh, bond-eth-type-change.sh,
 * bond_stacked_header_parse.sh. Elsewhere: netcons_over_bonding.sh (bond_netpoll.test.ts), dev_addr_lists.sh (rx_mode.test.ts),
 * those of LACP (ad_selftests.test.ts), of ARP and NS (arp_monitor.test.ts).
 */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { IFF_MASTER, IFF_SLAVE } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { Inet } from '../../inet/inet.ts';
import { UdpSock } from '../../inet/udp_socket.ts';
import { parseIp, printMac } from '../../wire/address.ts';
import { bondOf } from './bond.ts';
import { createBond } from './bond_dev.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondEnslave } from './enslave.ts';
import { bondGetOption, bondSetOption, bondSetOptions } from './options.ts';
import { bondRelease } from './release.ts';

function bonded(options: string, slaves: number): BondRig {
  const rig = new BondRig({ slaves, bare: true });
  expect(bondSetOptions(rig.bond, options)).toBe(0);
  for (const end of rig.ends) expect(bondEnslave(rig.bond, end)).toBe(0);
  devOpen(rig.dev);
  rig.ms(300);
  return rig;
}

const active = (rig: BondRig) => bondGetOption(rig.bond, 'active_slave');
const frame = Uint8Array.from({ length: 60 }, (_, i) => [2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 1, 0x88, 0xb5][i] ?? 0);

describe('bond_options.sh', () => {
  const modes = ['active-backup', 'balance-tlb', 'balance-alb'];
  it.each(modes.flatMap((mode) => [0, 1, 2].map((reselect) => [mode, reselect] as const)))(
    'prio, %s, primary_reselect %i',
    (mode, reselect) => {
      const rig = bonded(`mode=${mode} miimon=100 primary=v1 primary_reselect=${reselect}`, 3);
      for (const [i, prio] of [0, 10, 11].entries()) bondSetOption(rig.bond, 'prio', `v${i}:${prio}`);
      expect(bondGetOption(rig.bond, 'prio')).toBe('v0:0 v1:10 v2:11');
      const then = (i: number, up: boolean) => {
        rig.link(i, up);
        rig.ms(250);
        return active(rig);
      };
      expect(active(rig)).toBe('v1');
      expect(then(1, false)).toBe('v2');
      expect(then(2, false)).toBe('v0');
      expect(then(2, true)).toBe(reselect === 0 ? 'v2' : 'v0');
      expect(then(1, true)).toBe(reselect === 0 ? 'v1' : 'v0');
      if (reselect !== 0) expect(then(0, false)).toBe('v1');
    },
  );

  it('prio beyond a byte and below zero', () => {
    const rig = bonded('mode=active-backup miimon=100 primary=v1', 3);
    for (const prio of ['v0:1000000', 'v1:0', 'v2:-50']) expect(bondSetOption(rig.bond, 'prio', prio)).toBe(0);
    rig.link(1, false);
    rig.ms(250);
    expect(active(rig)).toBe('v0');
    rig.link(0, false);
    rig.ms(250);
    expect(active(rig)).toBe('v2');
  });

  it.each([
    [10, 100, 10],
    [20, 100, 10],
    [30, 100, 10],
    [50, 1000, 100],
  ])('num_grat_arp %i, one every %i ms (miimon %i)', (count, delay, miimon) => {
    const options = `mode=active-backup miimon=${miimon} peer_notif_delay=${delay} num_grat_arp=${count}`;
    const rig = bonded(options, 2);
    rig.dev.addresses.push(parseIp('192.0.2.1')!);
    rig.ms(delay * (count + 1));
    rig.heard.length = 0;
    rig.link(0, false);
    rig.ms(delay * (count + 2));
    const announced = rig.heard.filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 6 && bytes[21] === 1);
    expect([announced.length, new Set(announced.map(({ slave }) => slave))]).toEqual([count, new Set([1])]);
  });

  describe('fail_over_mac', () => {
    const macs = (rig: BondRig) => [rig.dev, ...rig.ends].map((dev) => printMac(dev.devAddr).slice(-2));

    it('none: one address for all, and everybody his own afterwards', () => {
      const rig = bonded('mode=active-backup miimon=100 fail_over_mac=none', 3);
      expect(macs(rig)).toEqual(['10', '10', '10', '10']);
      rig.link(0, false);
      rig.ms(250);
      expect([active(rig), ...macs(rig)]).toEqual(['v1', '10', '10', '10', '10']);
      for (const end of rig.ends) bondRelease(rig.bond, end);
      expect(macs(rig).slice(1)).toEqual(['10', '11', '12']);
    });

    it('active: everybody his own, the bond that of the active one', () => {
      const rig = bonded('mode=active-backup miimon=100 fail_over_mac=active', 3);
      expect(macs(rig)).toEqual(['10', '10', '11', '12']);
      rig.link(0, false);
      rig.ms(250);
      expect(macs(rig)).toEqual(['11', '10', '11', '12']);
      bondRelease(rig.bond, rig.ends[1]!);
      expect([active(rig), ...macs(rig)]).toEqual(['v2', '12', '10', '11', '12']);
    });

    it('follow: the active one has the bond’s; who comes back with it is given another', () => {
      const rig = bonded('mode=active-backup miimon=100 fail_over_mac=follow', 3);
      expect(macs(rig)).toEqual(['10', '10', '11', '12']);
      rig.link(0, false);
      rig.ms(250);
      expect([active(rig), ...macs(rig)]).toEqual(['v1', '10', '11', '10', '12']);
      const [v0] = rig.ends;
      bondRelease(rig.bond, v0!);
      expect(macs(rig)).toEqual(['10', '10', '10', '12']);
      rig.link(0, true);
      expect(bondEnslave(rig.bond, v0!)).toBe(0);
      expect(new Set(macs(rig)).size).toBe(3);
      expect(macs(rig)[2]).toBe('10');
      bondRelease(rig.bond, v0!);
      expect(macs(rig)[1]).toBe('10');
    });
  });
});

describe('mode-1-recovery-updelay.sh and mode-2-recovery-updelay.sh', () => {
  const updelays = [0, 200, 500, 1000, 2000, 5000, 10_000];
  it.each(['active-backup', 'balance-xor'].flatMap((mode) => updelays.map((updelay) => [mode, updelay] as const)))(
    '%s with an updelay of %i ms: sends again within two seconds after all links were gone',
    (mode, updelay) => {
      const rig = bonded(`mode=${mode} miimon=100`, 2);
      expect(bondSetOption(rig.bond, 'updelay', String(updelay))).toBe(0);
      for (const i of [0, 1]) rig.link(i, false);
      rig.ms(400);
      rig.heard.length = 0;
      rig.send(frame);
      rig.ms(1);
      expect(rig.heard).toEqual([]);
      for (const i of [0, 1]) rig.link(i, true);
      rig.ms(2000);
      rig.send(frame);
      rig.ms(1);
      expect(rig.heard.filter(({ bytes }) => bytes[13] === 0xb5).length).toBe(1);
      const late = rig.bond.slaves.filter(({ link }) => link !== 0);
      expect(late.length).toBe(updelay > 2000 - 200 ? 1 : 0);
      rig.ms(updelay + 500);
      expect(rig.bond.slaves.map(({ link }) => link)).toEqual([0, 0]);
    },
  );
});

describe('bond-arp-interval-causes-panic.sh', () => {
  it('active-backup, then balance-rr over the same slave, both with an arp_interval: datagrams pass', () => {
    const rig = new BondRig({ slaves: 1, bare: true });
    const inet = new Inet(rig.sim.stack, { host: true });
    inet.addAddress(rig.dev, parseIp('172.16.0.1')!, 24);
    rig.bond.inet = inet;
    const socket = new UdpSock(inet, {});
    // The other end answers ARP for 172.16.0.2.
    const [peer] = rig.peers;
    const { rxHandler } = peer!;
    peer!.rxHandler = (skb) => {
      const { bytes } = skb.arena;
      const at = skb.macHeader;
      if (bytes[at + 13] === 6 && bytes[at + 21] === 1) {
        const asker = [...bytes.slice(at + 22, at + 32)];
        const us = [...peer!.devAddr, 172, 16, 0, 2];
        const head = [...asker.slice(0, 6), ...peer!.devAddr, 8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
        rig.receive(0, Uint8Array.from([...head, ...us, ...asker, ...new Array(18).fill(0)]));
      }
      return rxHandler!(skb);
    };
    const options = 'arp_interval=1000 arp_ip_target=+172.16.0.2';
    expect(bondSetOptions(rig.bond, `mode=active-backup ${options}`)).toBe(0);
    const passes = () => {
      rig.heard.length = 0;
      for (let i = 0; i < 5; i++) {
        socket.sendTo(parseIp('172.16.0.2')!, 9, Uint8Array.of(i));
        rig.ms(1000);
      }
      return rig.heard.filter(({ bytes }) => bytes[23] === 17).length;
    };
    bondSetOption(rig.bond, 'slaves', '+v0');
    devOpen(rig.dev);
    rig.ms(3000);
    expect(passes()).toBe(5);
    bondSetOption(rig.bond, 'slaves', '-v0');
    devClose(rig.dev);
    expect(bondSetOptions(rig.bond, 'mode=balance-rr arp_interval=1000')).toBe(0);
    bondSetOption(rig.bond, 'slaves', '+v0');
    devOpen(rig.dev);
    rig.ms(3000);
    expect(passes()).toBe(5);
  });
});

describe('bond-eth-type-change.sh', () => {
  it('MASTER and SLAVE survive a device of another type that does not get in', () => {
    const rig = new BondRig({ slaves: 2, bare: true });
    const strange = Object.assign(rig.ends[1]!, { type: 824 });
    expect(bondEnslave(rig.bond, strange)).toBe(-Errno.EINVAL);
    expect(rig.dev.flags & (IFF_MASTER | IFF_SLAVE)).toBe(IFF_MASTER);
    expect(bondEnslave(rig.bond, rig.ends[0]!)).toBe(0);
    expect([rig.dev.flags & IFF_MASTER, rig.ends[0]!.flags & IFF_SLAVE]).toEqual([IFF_MASTER, IFF_SLAVE]);
  });
});

describe('bond_stacked_header_parse.sh', () => {
  it('a bond over a bond sends and receives without going round', () => {
    const rig = new BondRig({ slaves: 2, bare: true });
    bondSetOptions(rig.bond, 'mode=active-backup miimon=100');
    for (const end of rig.ends) bondEnslave(rig.bond, end);
    const upper = createBond(rig.sim.net, 'bond1', { mode: 1, miimon: 100 });
    expect(bondEnslave(bondOf(upper), rig.dev)).toBe(0);
    devOpen(upper);
    rig.ms(300);
    const got: string[] = [];
    upper.rxHandler = (skb) => {
      got.push(skb.dev!.name);
      skb.pool.consume(skb);
      return 'consumed';
    };
    rig.receive(0, Uint8Array.from([...upper.devAddr, ...frame.subarray(6)]));
    rig.ms(1);
    expect(got).toEqual(['bond1']);
    rig.heard.length = 0;
    rig.link(0, false);
    rig.ms(250);
    expect(bondOf(upper).currActiveSlave?.dev).toBe(rig.dev);
    expect(active(rig)).toBe('v1');
  });
});
