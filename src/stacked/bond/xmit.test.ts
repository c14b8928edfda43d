// Which slave a frame leaves by: the modes alone, and what a real bond of two NICs did with 177 flows and netconsole while a link
// went and came (test/golden/bonding, Linux 6.1), and with the first frames of a list of all kinds in each mode (corpora/bonding).
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { goldenJson } from '../../../test/golden/vectors.ts';
import { bondAlbInitialize } from './alb.ts';
import {
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_BROADCAST,
  BOND_MODE_NAMES,
  BOND_MODE_ROUNDROBIN,
  BOND_MODE_TLB,
  BOND_MODE_XOR,
  BOND_XMIT_POLICY_LAYER34,
} from './bond.ts';
import { type XmitRig, xmitRig } from './xmit.fixture.ts';
import { bondXmit } from './xmit.ts';

const MACS = '001122334455525400770000';
const UDP = `${MACS}08004500002000000000401100000a4d05010a4d05021a091a0a000c000000000000`;
const IGMP = `${MACS}08004600002000000000010200000a4d0501e0000016940400002200000000000000`;

function choices(rig: XmitRig, hex: string, count: number): number[] {
  rig.sent.length = 0;
  for (let i = 0; i < count; i++) bondXmit(rig.bond, rig.frame(hex));
  return rig.sent.map((each) => each.slave);
}

describe('balance-rr', () => {
  it('takes slaves in turn, the second one first', () => {
    const rig = xmitRig(3);
    expect(choices(rig, UDP, 7)).toEqual([1, 2, 0, 1, 2, 0, 1]);
  });

  it('sends packets_per_slave frames by each', () => {
    const rig = xmitRig(3, { packetsPerSlave: 3 });
    expect(choices(rig, UDP, 9)).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 0]);
  });

  it('with packets_per_slave 0 sends by chance, by all alike', () => {
    const rig = xmitRig(3, { packetsPerSlave: 0 });
    const taken = choices(rig, UDP, 600);
    for (const i of [0, 1, 2]) expect(taken.filter((each) => each === i).length).toBeGreaterThan(150);
  });

  it('passes over who cannot send, and drops, counted, where nobody can', () => {
    const rig = xmitRig(3);
    rig.link(1, false);
    expect(choices(rig, UDP, 6)).toEqual([2, 2, 0, 2, 2, 0]);
    rig.link(0, false);
    rig.link(2, false);
    expect(choices(rig, UDP, 2)).toEqual([]);
    expect(rig.bond.dev.stats.get('tx_dropped')).toBe(2);
    expect(rig.machine.skbs.inUse).toBe(0);
  });

  it('keeps IGMP to one slave and does not count it', () => {
    const rig = xmitRig(3);
    expect(choices(rig, IGMP, 4)).toEqual([0, 0, 0, 0]);
    expect(choices(rig, UDP, 2)).toEqual([1, 2]);
  });
});

it('active-backup sends by the active slave, and by the slave of the frame’s queue where that is up', () => {
  const rig = xmitRig(3, { mode: BOND_MODE_ACTIVEBACKUP });
  expect(choices(rig, UDP, 2)).toEqual([]);
  expect(rig.bond.dev.stats.get('tx_dropped')).toBe(2);
  rig.bond.currActiveSlave = rig.bond.slaves[1]!;
  rig.bond.slaves[2]!.queueId = 5;
  expect(choices(rig, UDP, 2)).toEqual([1, 1]);
  const queued = (): number[] => {
    rig.sent.length = 0;
    const skb = rig.frame(UDP);
    skb.queueMapping = 5;
    bondXmit(rig.bond, skb);
    return rig.sent.map((each) => each.slave);
  };
  expect(queued()).toEqual([2]);
  rig.link(2, false);
  expect(queued()).toEqual([1]);
});

it('broadcast gives every slave that is up the same bytes, whoever is last', () => {
  const rig = xmitRig(3, { mode: BOND_MODE_BROADCAST });
  expect(choices(rig, UDP, 1)).toEqual([0, 1, 2]);
  expect(rig.sent.every((each) => each.bytes.toString('hex') === UDP)).toBe(true);
  rig.link(2, false);
  expect(choices(rig, UDP, 1)).toEqual([0, 1]);
  rig.link(0, false);
  rig.link(1, false);
  expect(choices(rig, UDP, 1)).toEqual([]);
  expect(rig.bond.dev.stats.get('tx_dropped')).toBe(1);
  expect(rig.machine.skbs.inUse).toBe(0);
});

it('802.3ad with broadcast_neighbor sends ARP and neighbour discovery by all, and else by hash', () => {
  const rig = xmitRig(2, { mode: BOND_MODE_8023AD, broadcastNeigh: true });
  rig.bond.usableSlaves = rig.bond.slaves;
  const arp = `${MACS}0806${'00'.repeat(28)}`;
  const icmpv6 = (type: string): string => `${MACS}86dd6000000000083aff${'00'.repeat(32)}${type}00000000000000`;
  expect(choices(rig, arp, 1)).toEqual([0, 1]);
  expect(choices(rig, icmpv6('87'), 1)).toEqual([0, 1]);
  expect(choices(rig, icmpv6('88'), 1)).toEqual([0, 1]);
  expect(choices(rig, icmpv6('80'), 1)).toHaveLength(1);
  expect(choices(rig, UDP, 1)).toHaveLength(1);
});

it('a bond without slaves drops, counted', () => {
  const rig = xmitRig(0, { mode: BOND_MODE_XOR, xmitPolicy: BOND_XMIT_POLICY_LAYER34 });
  expect(choices(rig, UDP, 1)).toEqual([]);
  expect(rig.bond.dev.stats.get('tx_dropped')).toBe(1);
});

interface Run {
  readonly name: string;
  readonly mode: string;
  readonly policy: string | null;
  /** ms, NIC, the frame's first bytes; what netconsole said where a link changed. */
  readonly sent: readonly [number, number, string, string?][];
}

const runs = goldenJson<Run[]>('bonding/over-bond-k61.json.gz');
/** Actor state in an LACPDU: in sync, collecting, distributing. */
const SYNCED = 0x3c;
const ETH0_DOWN = '(slave eth0): link status definitely down';
const ETH0_UP = '(slave eth0): link status definitely up';

/** Frames that a slave sends of its own accord: LACPDUs, and the learning packets of balance-alb. */
function isOwn(hex: string): boolean {
  return hex.slice(24, 28) === '8809' || hex.slice(24, 28) === '9000';
}

/**
 * Which NICs can send at each frame, from what the recording says of links: netconsole's lines, and the ports' own LACPDUs. Where
 * one slave carries everything (active-backup; ports without a speed do not aggregate) it is the other one from the first frame there.
 */
function* usable(run: Run): Generator<[boolean[], Run['sent'][number]]> {
  const ad = run.name.startsWith('802.3ad');
  const single = run.name.includes('unknown-speed') || run.name.startsWith('active-backup');
  let up = single || ad ? [true, false] : [true, true];
  let back = false;
  for (const frame of run.sent) {
    const [, nic, hex, said] = frame;
    if (single && nic === 1) up = [false, true];
    // The line about a link that has gone takes the other way already; the one about its return does not use it yet.
    if (said?.includes(ETH0_DOWN)) up = [false, true];
    if (said === undefined && back && !ad && !single) up = [true, true];
    back ||= said?.includes(ETH0_UP) ?? false;
    if (!isOwn(hex)) yield [up, frame];
    else if ((Number.parseInt(hex.slice(64, 66), 16) & SYNCED) === SYNCED) up = up.map((each, i) => each || i === nic);
  }
}

describe('every frame leaves by the NIC by which Linux sent it', () => {
  for (const run of runs.filter((each) => !each.name.includes('balance-alb'))) {
    it(run.name, () => {
      const policy = Number(/\((\d)\)/.exec(run.policy ?? '(0)')![1]);
      const mode = BOND_MODE_NAMES.indexOf(run.mode as (typeof BOND_MODE_NAMES)[number]);
      const rig = xmitRig(2, { mode, xmitPolicy: policy });
      const { bond } = rig;
      const wrong: string[] = [];
      let compared = 0;
      for (const [up, [ms, nic, hex, said]] of usable(run)) {
        bond.usableSlaves = bond.slaves.filter((_, i) => up[i]);
        bond.currActiveSlave = bond.usableSlaves[0]!;
        rig.sent.length = 0;
        bondXmit(bond, rig.frame(hex));
        compared++;
        if (rig.sent[0]?.slave !== nic) wrong.push(`${ms} ms, NIC ${nic}: ${hex} ${said ?? ''}`);
      }
      expect(wrong).toEqual([]);
      expect(compared).toBeGreaterThan(800);
      expect(rig.machine.skbs.inUse).toBe(0);
    });
  }
});

const corpora = resolve(
  import.meta.dirname,
  '../../..',
  process.env.NETPOLL_CORPORA ?? '../shared/corpora',
  'bonding/xmit-hash',
);

/**
 * Three slaves, frames 0 to 119 of a list of which we have every second one. Frames 29 to 31 are IGMP; of the others only how many
 * there were matters to these modes. balance-rr's counter had counted three frames before the run with packets_per_slave 3.
 */
describe.skipIf(!existsSync(corpora))(
  'modes, as a real bond (corpora; skipped where NETPOLL_CORPORA is absent)',
  () => {
    const frames = new Map<number, string>();
    const read = (kernel: string): Readonly<Record<string, readonly string[]>> => {
      const text = gunzipSync(readFileSync(`${corpora}/${kernel}.jsonl.gz`))
        .toString()
        .trim();
      for (const line of text.split('\n')) {
        const { i, hex } = JSON.parse(line) as { i: number; hex: string };
        frames.set(i, hex);
      }
      return (
        JSON.parse(readFileSync(`${corpora}/${kernel}-modes.json`, 'utf8')) as { modes: Record<string, string[]> }
      ).modes;
    };
    const setups: [string, Parameters<typeof xmitRig>[1], number][] = [
      ['balance-rr', { mode: BOND_MODE_ROUNDROBIN }, 0],
      ['balance-rr-pps1', { mode: BOND_MODE_ROUNDROBIN, packetsPerSlave: 1 }, 0],
      ['balance-rr-pps3', { mode: BOND_MODE_ROUNDROBIN, packetsPerSlave: 3 }, 3],
      ['active-backup', { mode: BOND_MODE_ACTIVEBACKUP }, 0],
      ['broadcast', { mode: BOND_MODE_BROADCAST }, 0],
      ['balance-tlb', { mode: BOND_MODE_TLB }, 0],
    ];
    for (const kernel of ['k61', 'k72']) {
      it.each(setups)(`${kernel}: %s`, (name, params, counted) => {
        const recorded = read(kernel)[name]!;
        const rig = xmitRig(3, params);
        rig.bond.rrTxCounter[0] = counted;
        if (name === 'active-backup' || name === 'balance-tlb') rig.bond.currActiveSlave = rig.bond.slaves[0]!;
        if (name === 'balance-tlb') bondAlbInitialize(rig.bond);
        const ours = recorded.map((_, i) => {
          rig.sent.length = 0;
          bondXmit(rig.bond, rig.frame(frames.get(i === 29 || i === 31 ? 30 : i) ?? UDP));
          return rig.sent.map((each) => `s${each.slave}`).join();
        });
        expect(ours).toEqual(recorded);
      });

      it(`${kernel}: balance-rr by chance keeps IGMP to the first slave, too`, () => {
        const recorded = read(kernel)['balance-rr-pps0']!;
        expect(recorded.slice(29, 32)).toEqual(['s0', 's0', 's0']);
        const rig = xmitRig(3, { packetsPerSlave: 0 });
        for (let i = 0; i < 20; i++) bondXmit(rig.bond, rig.frame(frames.get(30)!));
        expect(rig.sent.every((each) => each.slave === 0)).toBe(true);
      });
    }
  },
);
