/**
 * 3,213 writes to the options of a real kernel's bond (6.1), in every mode, without slaves, with one, and up: the same verdict and the
 * same value afterwards. Rows in which 6.18, which this bond is of, is another: see DIFFERENT.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { devOpen } from '../../device/open.ts';
import { BondRig } from './bond_rig.fixture.ts';
import { bondGetOption, bondSetOption } from './options.ts';

type Row = readonly [state: string, mode: string, name: string, value: string, errno: number, reads: string];

const WRITE_MS = 32;

/** Zero is no system's address any more; `x` reads what was there before. */
const DIFFERENT = new Set(['00:00:00:00:00:00', 'x'].map((address) => `802.3ad ad_actor_system ${address}`));

const file = new URL('../../../test/golden/bonding/options-k61.json.gz', import.meta.url);
const { rows } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as { rows: Row[] };
const states = [...new Set(rows.map(([state, mode]) => `${state} ${mode}`))];

describe.each(states)('a bond that is %s', (which) => {
  const [state, mode] = which.split(' ');
  it('takes and refuses what that of a real kernel does', () => {
    const rig = new BondRig({ slaves: 1, bare: true });
    rig.ends[0]!.name = 'eth0';
    const { bond } = rig;
    expect(bondSetOption(bond, 'mode', mode!)).toBe(0);
    if (state !== 'down') expect(bondSetOption(bond, 'slaves', '+eth0')).toBe(0);
    if (state === 'up') devOpen(rig.dev);
    const wrong: string[] = [];
    for (const [of, in_, name, value, errno, reads] of rows) {
      if (of !== state || in_ !== mode) continue;
      const got = [-bondSetOption(bond, name, value), bondGetOption(bond, name)];
      // Monitors go on meanwhile: the emulated machine took so long for one.
      rig.ms(WRITE_MS);
      if (DIFFERENT.has(`${mode} ${name} ${value}`)) continue;
      if (got[0] !== errno || got[1] !== reads) {
        wrong.push(`${name}=${value}: ${errno} ${reads}; ours ${got[0]} ${got[1]}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});
