// Every mode, whatever is sent and whatever happens to links meanwhile: a frame leaves once (broadcast: by each that is up), or is counted
// as dropped, and its memory comes back; with interrupts off by the slaves' own netpoll.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollSetup } from '../../netpoll/setup.ts';
import { bondAlbInitialize, bondAlbMonitor } from './alb.ts';
import { bondAlbHandleActiveChange } from './alb_mac.ts';
import { arpRig } from './arp_rig.fixture.ts';
import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_ALB,
  BOND_MODE_BROADCAST,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  bondIsLb,
  bondSlaveCanTx,
} from './bond.ts';
import { xmitRig } from './xmit.fixture.ts';
import { bondXmit } from './xmit.ts';

const MODES = [
  ['balance-rr', BOND_MODE_ROUNDROBIN],
  ['active-backup', BOND_MODE_ACTIVEBACKUP],
  ['balance-xor', BOND_MODE_XOR],
  ['broadcast', BOND_MODE_BROADCAST],
  ['802.3ad', BOND_MODE_8023AD],
  ['balance-tlb', BOND_MODE_TLB],
  ['balance-alb', BOND_MODE_ALB],
] as const;

describe.each(MODES)('%s', (name, mode) => {
  it('loses no frame uncounted and no memory, whatever is sent while links come and go', () => {
    const type = fc.constantFrom(0x0800, 0x86dd, 0x0806, 0x8100, 0x88b5);
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          send: fc.uint8Array({ minLength: 0, maxLength: 90 }),
          type,
          tag: fc.integer({ min: -1, max: 4095 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ link: fc.integer({ min: 0, max: 2 }), up: fc.boolean() }) },
      { weight: 1, arbitrary: fc.record({ tick: fc.integer({ min: 1, max: 120 }) }) },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 0, max: 5 }),
        fc.boolean(),
        (steps, xmitPolicy, tlbDynamicLb) => {
          const rig = xmitRig(3, { mode, xmitPolicy, tlbDynamicLb });
          const { bond, machine } = rig;
          if (bondIsLb(bond)) bondAlbInitialize(bond);
          const choose = (): void => {
            const able = bond.slaves.filter(bondSlaveCanTx);
            if (mode === BOND_MODE_8023AD) bond.usableSlaves = able;
            const next =
              bond.currActiveSlave !== null && able.includes(bond.currActiveSlave)
                ? bond.currActiveSlave
                : (able[0] ?? null);
            if (bondIsLb(bond)) bondAlbHandleActiveChange(bond, next);
            else if (mode === BOND_MODE_ACTIVEBACKUP) bond.currActiveSlave = next;
          };
          choose();
          for (const each of steps) {
            if ('link' in each) {
              rig.link(each.link, each.up);
              choose();
            } else if ('tick' in each) {
              for (let i = 0; i < each.tick && bondIsLb(bond); i++) bondAlbMonitor(bond);
            } else {
              rig.sent.length = 0;
              const dropped = bond.dev.stats.get('tx_dropped');
              const skb = rig.frame(
                `00112233445552540077a000${each.type.toString(16).padStart(4, '0')}${Buffer.from(each.send).toString('hex')}`,
              );
              skb.vlanTci = each.tag;
              bondXmit(bond, skb);
              const lost = bond.dev.stats.get('tx_dropped') - dropped;
              const up = bond.slaves.filter((slave) => slave.link === 0).length;
              const frames = rig.sent.filter(({ bytes }) => bytes.readUInt16BE(12) !== 0x9000).length;
              if (mode === BOND_MODE_BROADCAST) expect([frames, lost]).toEqual([up, up === 0 ? 1 : 0]);
              else expect([frames, lost]).toEqual(frames === 1 ? [1, 0] : [0, 1]);
              if (up > 0 && mode !== BOND_MODE_BROADCAST) expect(frames).toBe(1);
            }
            expect(machine.skbs.inUse).toBe(0);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('sends by the slaves’ own netpoll while interrupts are off, as counted there', () => {
    const rig = arpRig(2, { mode, miimon: 100, xmitPolicy: 1 });
    rig.target = false;
    rig.run(12_000);
    if (mode === BOND_MODE_8023AD) expect(rig.bond.usableSlaves.length).toBeGreaterThan(0);
    const parsed = netpollParseOptions('6665@10.0.0.1/bond0,6666@10.0.0.2/02:00:00:00:ff:02');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const nps = [0, 1].map((i) => {
      const np = new Netpoll('test', { ...parsed.options, localPort: 6665 + 2 * i });
      expect(netpollSetup(rig.net, np)).toBe(0);
      return np;
    });
    rig.seen.length = 0;
    const { cpu } = rig.machine;
    const were = cpu.localIrqSave();
    for (let i = 0; i < 20; i++) expect(netpollSendUdp(nps[i % 2]!, Uint8Array.of(i))).toBe(0);
    cpu.localIrqRestore(were);
    const datagrams = rig.seen.filter(({ bytes }) => bytes.readUInt16BE(12) === 0x0800);
    const copies = mode === BOND_MODE_BROADCAST ? 2 : 1;
    expect(datagrams.map(({ bytes }) => bytes[42]).sort((a, b) => a! - b!)).toEqual(
      Array.from({ length: 20 * copies }, (_, i) => Math.floor(i / copies)),
    );
    const counted = rig.devices.map((dev) => npinfoOf(dev)!.counters.get('sent'));
    expect(counted[0]! + counted[1]!, name).toBe(20 * copies);
    expect(npinfoOf(rig.bond.dev)!.counters.get('sent')).toBe(20);
    expect(rig.machine.skbs.inUse).toBe(rig.net.netpollReserve.length);
  });
});
