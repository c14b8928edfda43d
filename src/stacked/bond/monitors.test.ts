import { describe, expect, it } from 'vitest';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { BOND_MODE_ACTIVEBACKUP, BOND_MODE_ROUNDROBIN } from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondSetOption } from './options.ts';

describe('what runs by itself on a bond', () => {
  it('runs while the bond is open, and not any more', () => {
    const rig = new BondRig({ params: { mode: BOND_MODE_ACTIVEBACKUP, miimon: 100 } });
    devClose(rig.dev);
    rig.link(0, false);
    rig.ms(500);
    expect(rig.bond.currActiveSlave?.dev.name).toBe('v0');
    devOpen(rig.dev);
    rig.ms(10);
    expect(rig.bond.currActiveSlave?.dev.name).toBe('v1');
    devClose(rig.dev);
    const { machine } = rig.sim;
    expect([machine.works.length, rig.bond.recvProbe]).toEqual([0, null]);
  });

  it('blames no slave for a thread that was held: neither asked nor heard, the ARP monitor starts to count anew', () => {
    const rig = new BondRig({
      params: { mode: BOND_MODE_ACTIVEBACKUP, miimon: 0, arpInterval: 100, arpTargets: [0x0a000002] },
    });
    // Somebody talks to us every 20 ms, as long as anybody listens.
    const frame = Uint8Array.from({ length: 60 }, (_, i) => (i < 6 ? 0xff : i === 12 ? 0x88 : i === 13 ? 0xb5 : 0));
    const talk = () => {
      if (!rig.sim.machine.cpu.irqsDisabled) rig.receive(0, frame);
      rig.world.after(20e6, talk);
    };
    talk();
    rig.ms(1000);
    const [v0] = rig.bond.slaves;
    expect([rig.bond.currActiveSlave, v0!.linkFailureCount]).toEqual([v0, 0]);
    // Interrupts off for a second: timers and works wait, and so does what comes in.
    const { cpu, executive } = rig.sim.machine;
    const irqs = cpu.localIrqSave();
    executive.spin(1e9);
    cpu.localIrqRestore(irqs);
    rig.ms(1000);
    expect([rig.bond.currActiveSlave, v0!.linkFailureCount]).toEqual([v0, 0]);
    // A link that is silent while the monitor runs is found.
    rig.link(0, false);
    rig.ms(600);
    expect([rig.bond.currActiveSlave === v0, v0!.linkFailureCount]).toEqual([false, 1]);
  });

  it.each([
    ['active-backup', BOND_MODE_ACTIVEBACKUP],
    ['balance-rr', BOND_MODE_ROUNDROBIN],
  ])('has groups joined again by another slave, in %s, resend_igmp times, 200 ms apart', (_name, mode) => {
    const rig = new BondRig({ params: { mode, miimon: 100 } });
    expect(bondSetOption(rig.bond, 'resend_igmp', '3')).toBe(0);
    const atMs: number[] = [];
    rig.sim.net.registerNotifier((event, dev) => {
      if (event === NetdevEvent.RESEND_IGMP && dev === rig.dev) atMs.push(rig.world.nowNs / 1e6);
      return 0;
    });
    rig.ms(1000);
    atMs.length = 0;
    rig.link(0, false);
    rig.ms(2000);
    expect(atMs.length).toBe(3);
    for (const [i, at] of atMs.slice(1).entries()) expect(Math.round(at - atMs[i]!)).toBe(200);
  });
});
