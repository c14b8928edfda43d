/**
 * What real kernels (6.1 and 7.2) did with a bond of three veth slaves while links were pulled and put back, and options were
 * written: after every step, 150 and 700 ms later, the active slave, the carrier, the addresses, every slave's state, link and
 * failure count; and which slave carried six frames. Recorded states, not ours; ours must equal them.
 */

import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { netifCarrierOk, OPERSTATES } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { BOND_LINK_BACK, BOND_LINK_DOWN, BOND_LINK_FAIL, bondIsActiveSlave } from './bond.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondEnslave } from './enslave.ts';
import { bondSetOption } from './options.ts';

interface Run {
  readonly conf: Record<string, string>;
  readonly steps: readonly (readonly [string, string | number])[];
  readonly log: readonly string[];
}

const golden = new URL('../../../test/golden/bonding/', import.meta.url);
const LINKS: Record<number, string> = {
  [BOND_LINK_FAIL]: 'going down',
  [BOND_LINK_DOWN]: 'down',
  [BOND_LINK_BACK]: 'going back',
};

/** An ICMP echo request from 10.0.0.1 to 10.0.0.2, identifier `id`; the sender's MAC ends in `mac`. */
function echo(mac: number, id: number): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set([2, 0, 0, 0, 0, 0x77, 2, 0, 0, 0, 0, mac, 8, 0]);
  frame.set([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 14);
  frame.set([8, 0, 0, 0, id >>> 8, id & 255, 0, 1], 34);
  return frame;
}

class Script {
  readonly rig: BondRig;
  readonly got: string[] = [];
  readonly mode: string;

  constructor(conf: Record<string, string>) {
    this.mode = conf.mode!;
    this.rig = new BondRig({ slaves: 3, bare: true });
    const { bond, ends, dev } = this.rig;
    this.set('mode', conf.mode!);
    this.set('miimon', '100');
    for (const [name, value] of Object.entries(conf)) if (name !== 'mode' && name !== 'primary') this.set(name, value);
    for (const end of ends) expect(bondEnslave(bond, end)).toBe(0);
    if (conf.primary !== undefined) this.set('primary', conf.primary);
    devOpen(dev);
    this.rig.ms(1_030);
  }

  set(name: string, value: string): number {
    return bondSetOption(this.rig.bond, name, value);
  }

  state(label: string): string {
    const { bond, dev, rig } = { ...this.rig, rig: this.rig };
    const slaves = bond.slaves.map((slave) => {
      const state = bondIsActiveSlave(slave) ? 'active' : 'backup';
      return `${slave.dev.name}:${state},${LINKS[slave.link] ?? 'up'},${rig.mac(slave.dev)},fail=${slave.linkFailureCount}`;
    });
    // Sysfs names an active slave only in modes that have one.
    const active = ['active-backup', 'balance-tlb', 'balance-alb'].includes(this.mode) ? bond.currActiveSlave : null;
    const carrier = netifCarrierOk(dev) ? 1 : 0;
    const oper = OPERSTATES[dev.operstate]!.toLowerCase();
    return [
      `STATE ${label}`,
      `active=${active?.dev.name ?? ''}`,
      `carrier=${carrier}`,
      `oper=${oper}`,
      `mac=${rig.mac(dev)}`,
      ...slaves,
    ].join('|');
  }

  /** Six frames; which slave each left by, and whether its bytes were changed. */
  transmit(id: number): string {
    const { heard } = this.rig;
    const out: string[] = [];
    for (let i = 0; i < 6; i++) {
      heard.length = 0;
      const frame = echo(0x11 + i, id);
      this.rig.send(frame);
      this.rig.ms(1);
      const mine = heard.filter((each) => each.bytes[12] === 8 && each.bytes[23] === 1);
      const one = mine.map(({ slave, bytes }) => `v${slave}${bytes.every((byte, n) => byte === frame[n]) ? '' : '*'}`);
      out.push(`0 ${one.join('') || '-'}`);
    }
    return `TX ${out.join(' ')}`;
  }

  step(verb: string, what: string | number): number {
    if (verb === 'down' || verb === 'up') this.rig.link(Number(what), verb === 'up');
    else if (verb === 'active') return this.set('active_slave', `v${what}`);
    else if (verb === 'primary') return this.set('primary', what === 'none' ? '' : String(what));
    else if (verb === 'prio') return this.set('prio', `v${what}:10`);
    return 0;
  }
}

describe.each(['k61', 'k72'])('a bond driven as the one of kernel %s was', (kernel) => {
  const file = new URL(`failover-${kernel}.json.gz`, golden);
  const { runs } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { runs: Run[] };
  it.each(runs.map((run) => [JSON.stringify(run.conf), run] as const))('%s is in the recorded states', (_name, run) => {
    const script = new Script(run.conf);
    const wanted: string[] = [];
    const got: string[] = [];
    let at = -1;
    let status = 0;
    for (const line of run.log) {
      const stepped = /^STATE (\d+) .* t(150|700)\|/.exec(line);
      if (line.startsWith('STATE start')) {
        wanted.push(line);
        got.push(script.state('start'));
      } else if (line.startsWith('RC ')) {
        const [verb, what] = run.steps[++at]!;
        status = script.step(verb, what);
        wanted.push(`${verb} ${what}: ${line === 'RC 0' ? 'set' : 'refused'}`);
        got.push(`${verb} ${what}: ${status === 0 ? 'set' : 'refused'}`);
      } else if (stepped !== null) {
        const number = Number(stepped[1]);
        const [verb, what] = run.steps[number]!;
        if (number !== at) {
          at = number;
          script.step(verb, what);
        }
        script.rig.ms(stepped[2] === '150' ? 150 : 550);
        wanted.push(line);
        got.push(script.state(`${number} ${verb} ${what} t${stepped[2]}`));
      } else if (line.startsWith('TX ')) {
        wanted.push(line);
        got.push(script.transmit(FRAME_ID));
      }
    }
    expect(got).toEqual(wanted);
  });
});

/** An identifier whose layer3+4 hash chooses as the recorded frames' did. */
const FRAME_ID = 1;
