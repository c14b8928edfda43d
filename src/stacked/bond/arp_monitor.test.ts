// The ARP monitor over a switch that loses links silently: the devices keep their carrier, only answers stay away.
import { describe, expect, it } from 'vitest';
import { testDevice } from '../../device/device.fixture.ts';
import { devOpen } from '../../device/open.ts';
import { parseIp } from '../../wire/address.ts';
import { createVlan } from '../vlan/vlan.ts';
import { type ArpRig, arpRig, TARGET, TARGET6 } from './arp_rig.fixture.ts';
import {
  BOND_ARP_FILTER,
  BOND_ARP_VALIDATE_ALL,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_XOR,
} from './bond.ts';

const AB = { mode: BOND_MODE_ACTIVEBACKUP, arpInterval: 100, arpTargets: [TARGET] };

/** Everything that the machine has said. */
function logOf(rig: ArpRig): string[] {
  const { printk } = rig.machine;
  const records = Array.from({ length: printk.nextSeq }, (_, seq) => printk.record(seq));
  return records.map((each) => Buffer.from(each?.text ?? []).toString());
}

describe('active-backup', () => {
  it('keeps slaves up while the target answers, asking once an interval by the active slave', () => {
    const rig = arpRig(2, AB);
    expect(rig.run(1000)).toBe('v0 up, v1 up, active v0');
    rig.seen.length = 0;
    expect(rig.run(1000)).toBe('v0 up, v1 up, active v0');
    const requests = rig.seen.filter((each) => each.bytes.readUInt16BE(12) === 0x0806);
    expect(requests.map((each) => each.slave)).toEqual(Array.from({ length: 10 }, () => 0));
    // Who has 10.0.0.2, tell 10.0.0.1 at the slave's address.
    expect(requests[0]!.bytes.toString('hex')).toBe(
      `ffffffffffff${'020000000000'}08060001080006040001${'020000000000'}0a000001${'000000000000'}0a000002`,
    );
  });

  it('finds a link that went silently within missed_max intervals, changes over, and takes it back as a backup', () => {
    const rig = arpRig(2, AB);
    rig.run(1000);
    rig.wire[0] = false;
    expect(rig.run(200)).toBe('v0 up, v1 up, active v0');
    expect(rig.run(200)).toBe('v0 down, v1 up, active v1');
    expect(rig.bond.slaves[0]!.linkFailureCount).toBe(1);
    rig.wire[0] = true;
    expect(rig.run(500)).toBe('v0 up, v1 up, active v1');
    const log = logOf(rig);
    expect(log).toContain('bond0: (slave v0): link status definitely down, disabling slave');
    expect(log).toContain('bond0: (slave v0): link status definitely up');
  });

  it('tries one slave after the other while nobody is active, and takes the first that hears something', () => {
    const rig = arpRig(3, AB);
    rig.run(1000);
    rig.target = false;
    rig.wire.fill(false);
    expect(rig.run(1500)).toBe('v0 down, v1 down, v2 down, active none');
    expect(rig.bond.currentArpSlave).not.toBeNull();
    rig.seen.length = 0;
    rig.wire.fill(true);
    rig.run(600);
    const tried = rig.seen.map((each) => each.slave);
    expect(new Set(tried)).toEqual(new Set([0, 1, 2]));
    rig.wire[0] = false;
    rig.wire[1] = false;
    rig.target = true;
    expect(rig.run(1000)).toBe('v0 down, v1 down, v2 up, active v2');
    expect(rig.bond.currentArpSlave).toBeNull();
  });

  it('with validation is not deceived by traffic that is not the target’s, nor by its own requests', () => {
    const rig = arpRig(2, { ...AB, arpValidate: BOND_ARP_VALIDATE_ALL });
    expect(rig.run(1000)).toBe('v0 up, v1 up, active v0');
    rig.target = false;
    expect(rig.run(2000)).toMatch(/v0 down, v1 down, active none/);
    rig.target = true;
    expect(rig.run(1000)).toMatch(/active v\d/);
    expect(rig.run(1000)).toMatch(/v0 up, v1 up, active v\d/);
  });

  it('without validation a backup lives on its own requests, as long as the switch spreads them', () => {
    const rig = arpRig(2, AB);
    rig.run(1000);
    rig.wire[1] = false;
    expect(rig.run(1000)).toBe('v0 up, v1 down, active v0');
  });

  it('with the filter alone counts ARP and IPv6 and nothing else', () => {
    const rig = arpRig(2, { ...AB, arpValidate: BOND_ARP_FILTER });
    expect(rig.run(1000)).toBe('v0 up, v1 up, active v0');
  });

  it('waits missed_max intervals', () => {
    const rig = arpRig(2, { ...AB, missedMax: 5 });
    rig.run(1000);
    rig.wire[0] = false;
    expect(rig.run(450)).toBe('v0 up, v1 up, active v0');
    expect(rig.run(300)).toBe('v0 down, v1 up, active v1');
  });

  it('asks an IPv6 target by neighbour solicitation', () => {
    const rig = arpRig(2, { ...AB, arpTargets: [], nsTargets: [TARGET6], arpValidate: BOND_ARP_VALIDATE_ALL });
    expect(rig.run(1500)).toBe('v0 up, v1 up, active v0');
    const ns = rig.seen.filter((each) => each.bytes.readUInt16BE(12) === 0x86dd && each.bytes[54] === 135);
    expect(ns.length).toBeGreaterThan(5);
    expect(ns.at(-1)!.bytes.subarray(0, 6).toString('hex')).toBe('3333ff000002');
    rig.wire[0] = false;
    expect(rig.run(1000)).toBe('v0 down, v1 up, active v1');
  });

  it('asks for a target behind a VLAN device with its tag, from its address, and believes the tagged answer', () => {
    const far = 0xc0a80302;
    const rig = arpRig(2, { ...AB, arpTargets: [far], arpValidate: BOND_ARP_VALIDATE_ALL });
    const vlan = createVlan(rig.bond.dev, 3);
    devOpen(vlan);
    rig.inet.addAddress(vlan, parseIp('192.168.3.1')!, 24);
    rig.run(1000);
    const probe = rig.seen.at(-1)!.bytes;
    expect(probe.toString('hex')).toBe(
      'ffffffffffff02000000000081000003080600010800060400010200000000' + '00c0a80301000000000000c0a80302',
    );
    expect(rig.run(0)).toMatch(/active none/);
    for (let i = 0; i < 10; i++) {
      const reply = Buffer.from(probe);
      reply.set(probe.subarray(6, 12), 0);
      reply.set([2, 0, 0, 0, 0xff, 3], 6);
      reply.writeUInt16BE(2, 24);
      reply.set([2, 0, 0, 0, 0xff, 3, 0xc0, 0xa8, 3, 2], 26);
      reply.set([...probe.subarray(6, 12), 0xc0, 0xa8, 3, 1], 36);
      for (const slave of [0, 1]) rig.receive(slave, reply);
      rig.run(100);
    }
    expect(rig.run(0)).toMatch(/active v\d/);
  });

  it('does not ask by the bond for a target that another device leads to', () => {
    const rig = arpRig(1, { ...AB, arpTargets: [0xac100002] });
    const other = testDevice(rig.net);
    rig.inet.addAddress(other, parseIp('172.16.0.1')!, 24);
    rig.seen.length = 0;
    rig.run(1000);
    expect(rig.seen).toEqual([]);
  });

  it('sends without an address of its own where there is no route, and says so once if answers are to be validated', () => {
    const rig = arpRig(1, { ...AB, arpTargets: [0xc0a80001], arpValidate: BOND_ARP_VALIDATE_ALL });
    rig.run(500);
    const request = rig.seen.find((each) => each.bytes.readUInt16BE(12) === 0x0806)!;
    expect(request.bytes.readUInt32BE(28)).toBe(0);
    const said = logOf(rig).filter((text) => /no route to arp_ip_target 192[.]168[.]0[.]1/.test(text));
    expect(said).toHaveLength(1);
  });
});

describe.each([
  ['balance-rr', BOND_MODE_ROUNDROBIN],
  ['balance-xor', BOND_MODE_XOR],
])('%s', (_name, mode) => {
  it('asks by every slave, takes one that hears nothing out, and back in', () => {
    const rig = arpRig(2, { mode, arpInterval: 100, arpTargets: [TARGET] });
    expect(rig.run(1000)).toMatch(/v0 up, v1 up/);
    expect(new Set(rig.seen.map((each) => each.slave))).toEqual(new Set([0, 1]));
    rig.wire[1] = false;
    expect(rig.run(500)).toMatch(/v0 up, v1 down/);
    expect(rig.bond.usableSlaves.map((each) => each.dev.name)).toEqual(mode === BOND_MODE_XOR ? ['v0'] : ['v0', 'v1']);
    rig.wire[1] = true;
    expect(rig.run(500)).toMatch(/v0 up, v1 up/);
  });
});
