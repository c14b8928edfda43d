// balance-alb as Linux 6.1 did it over two NICs (test/golden/bonding): which NIC every frame left by, with which source address, and
// every learning packet. The recorded learning packets are the clock: ten ticks of the monitor lie between two of a slave.
import { expect, it } from 'vitest';
import { goldenJson } from '../../../test/golden/vectors.ts';
import { bondAlbInitialize, bondAlbMonitor } from './alb.ts';
import { bondAlbHandleActiveChange } from './alb_mac.ts';
import { BOND_MODE_ALB } from './bond.ts';
import { xmitRig } from './xmit.fixture.ts';
import { bondXmit } from './xmit.ts';

type Frame = [number, number, string];
const runs = goldenJson<{ name: string; sent: Frame[] }[]>('bonding/over-bond-k61.json.gz');
const { sent } = runs.find((each) => each.name === 'balance-alb-layer2')!;

/** The recording has the first bytes of frames; their lengths stand in their IP headers, and count as load. */
function whole(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  const type = bytes.readUInt16BE(12);
  const len = type === 0x0800 ? 14 + bytes.readUInt16BE(16) : type === 0x86dd ? 54 + bytes.readUInt16BE(18) : 60;
  return hex + '00'.repeat(Math.max(0, len - bytes.length));
}

it('sends every frame by the NIC and from the address by which Linux sent it, and learning packets in between', () => {
  const rig = xmitRig(2, { mode: BOND_MODE_ALB });
  const { bond } = rig;
  for (const slave of bond.slaves) slave.speed = 1000;
  bondAlbInitialize(bond);
  bond.alb!.txRebalanceCounter = 100;
  bondAlbHandleActiveChange(bond, bond.slaves[0]!);
  // It has the bond's address already and exchanges it with itself, so Linux announces it twice; then one each second by each slave.
  expect(rig.sent.map((each) => each.slave)).toEqual([0, 0]);
  const learning = sent.filter(([, , hex]) => hex.slice(24, 28) === '9000');
  const beats = learning.filter(([, nic]) => nic === 1).map(([ms]) => ms);
  const tick = (beats[10]! - beats[0]!) / 100;
  const ticks = beats.flatMap((ms, i) => {
    const since = i === 0 ? ms - 10 * tick : beats[i - 1]!;
    return Array.from({ length: 10 }, (_, k) => since + ((k + 1) * (ms - since)) / 10);
  });
  const wrong: string[] = [];
  let pulse = 0;
  let compared = 0;
  rig.sent.length = 0;
  for (const [ms, nic, hex] of sent) {
    if (hex.slice(24, 28) === '9000') continue;
    for (; pulse < ticks.length && ticks[pulse]! < ms; pulse++) bondAlbMonitor(bond);
    const before = rig.sent.length;
    bondXmit(bond, rig.frame(whole(hex)));
    const left = rig.sent[before];
    rig.sent.length = before;
    compared++;
    const source = left?.bytes.toString('hex', 6, 12);
    if (left?.slave !== nic || source !== hex.slice(12, 24)) wrong.push(`${ms} ms NIC ${nic} ${hex}: ${left?.slave}`);
  }
  for (; pulse < ticks.length; pulse++) bondAlbMonitor(bond);
  expect(wrong).toEqual([]);
  expect(compared).toBeGreaterThan(900);
  const ours = rig.sent.map(({ slave, bytes }) => [slave, bytes.toString('hex').slice(0, 96)]);
  expect(ours).toEqual(learning.slice(2).map(([, nic, hex]) => [nic, hex]));
  expect(ours.length).toBe(2 * beats.length);
  expect(rig.sent[0]!.bytes.length).toBe(60);
});
