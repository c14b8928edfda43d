/**
 * What netpoll ls prints, against iproute2 and ethtool of this machine: devices of the same kind in the same state, line for line but
 * for indexes, addresses and figures that are the machine's own.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ethtoolSetCoalesce, ethtoolSetRingparam } from '../device/ethtool.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devClose, devOpen } from '../device/open.ts';
import { createLoopback } from '../drivers/loopback.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createVethPair } from '../drivers/veth.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { ethtoolText } from './ls_ethtool.ts';
import { linkJson, linkText } from './ls_link.ts';

const has = (tool: string): boolean => {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const lacking = process.getuid?.() !== 0 ? 'needs root' : has('ethtool') ? undefined : 'needs ethtool';
const netns = `npls${process.pid}`;
const run = (...args: string[]): string => execFileSync('ip', ['-n', netns, ...args], { encoding: 'utf8' });
/** Indexes and addresses are another machine's. */
const plain = (text: string): string =>
  text
    .replace(/^\d+: /, '#: ')
    .replace(/([0-9a-f]{2}:){5}[0-9a-f]{2} brd/, 'MAC brd')
    .replace(/ifindex":\d+/, 'ifindex":0');

/** Our devices, as the kernel's of the same names. */
function ours() {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'me' });
  const lo = createLoopback(sim.net);
  const end = (which: number) => ({ net: sim.net, mac: Uint8Array.of(2, 0, 0, 0, 0, which), name: `v${which}` });
  const [v0, v1] = createVethPair(end(0), end(1));
  return { world, lo, v0, v1 };
}

describe.skipIf(lacking !== undefined)(
  `netpoll ls beside ip and ethtool${lacking ? ` (skip: ${lacking})` : ''}`,
  () => {
    beforeAll(() => {
      execFileSync('ip', ['netns', 'add', netns]);
      run('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
      for (const dev of ['v0', 'v1']) run('link', 'set', dev, 'addrgenmode', 'none');
    });
    afterAll(() => {
      execFileSync('ip', ['netns', 'del', netns]);
    });

    const same = (dev: NetDevice, name: string, world: World): void => {
      world.runFor(2e9);
      expect(plain(linkText(dev, true))).toBe(plain(run('-s', 'link', 'show', name)));
      const [theirs] = JSON.parse(run('-j', '-s', 'link', 'show', name));
      const our = linkJson(dev, true) as typeof theirs;
      expect({ ...our, ifindex: 0, address: '' }).toEqual({ ...theirs, ifindex: 0, address: '' });
    };

    it('shows a pair of veths as ip -s link does: down, half up, up', () => {
      const { world, v0, v1 } = ours();
      same(v0, 'v0', world);
      devOpen(v0);
      run('link', 'set', 'v0', 'up');
      same(v0, 'v0', world);
      same(v1, 'v1', world);
      devOpen(v1);
      run('link', 'set', 'v1', 'up');
      same(v0, 'v0', world);
      devClose(v0);
      run('link', 'set', 'v0', 'down');
      same(v1, 'v1', world);
    });

    it('shows loopback, and what a user did to it', () => {
      const { world, lo } = ours();
      same(lo, 'lo', world);
      run('link', 'set', 'lo', 'up');
      devOpen(lo);
      same(lo, 'lo', world);
    });

    it('lists features as ethtool -k does', () => {
      const { lo } = ours();
      const features = execFileSync('ip', ['netns', 'exec', netns, 'ethtool', '-k', 'lo'], { encoding: 'utf8' });
      const theirs = labels(features);
      const our = labels(ethtoolText(lo, 'features'));
      // A kernel of another age knows one feature more or less.
      expect(our.filter((name) => !theirs.includes(name)).length).toBeLessThan(4);
      expect(our.filter((name) => theirs.includes(name))).toEqual(theirs.filter((name) => our.includes(name)));
      expect(theirs.filter((name) => !our.includes(name)).length).toBeLessThan(4);
    });
  },
);

const golden = (query: string): string =>
  readFileSync(new URL(`../../test/golden/ethtool/${query}.txt`, import.meta.url), 'utf8');
const labels = (text: string): string[] => text.split('\n').map((line) => line.replace(/^([^:]*):.*/, '$1'));
const figures = (text: string): string => text.replace(/(?<=:\s+)\d+/g, '#');

describe('netpoll ls ethtool, beside the recorded answers of a real card', () => {
  const card = (): NetDevice => {
    const world = new World({ seed: 1 });
    const sim = createSimMachine(world, { hostname: 'me' });
    const port = new SimPort(world, { name: 'sim:0', mac: Uint8Array.of(2, 0, 0, 0, 0, 2), wire: new Wire(world) });
    return createNic(sim.net, port, 'eth0');
  };

  it('has the same tables for rings and channels, but for the figures', () => {
    const dev = card();
    expect(figures(ethtoolText(dev, 'rings'))).toBe(figures(golden('rings')));
    expect(figures(ethtoolText(dev, 'channels'))).toBe(figures(golden('channels')));
  });

  it('has the same lines for coalescing and the driver, and n/a for what it does not know', () => {
    const dev = card();
    const coalesce = ethtoolText(dev, 'coalesce');
    expect(labels(coalesce)).toEqual(labels(golden('coalesce')));
    expect(coalesce).toContain('\nrx-usecs: 0\nrx-frames: 1\nrx-usecs-irq: n/a\n');
    expect(labels(ethtoolText(dev, 'driver'))).toEqual(labels(golden('driver')));
  });

  it('shows what ethtool -G and -C have changed', () => {
    const dev = card();
    ethtoolSetRingparam(dev, 512, 64);
    ethtoolSetCoalesce(dev, { rxUsecs: 20, rxFrames: 8 });
    expect(ethtoolText(dev, 'rings')).toMatch(/Current hardware settings:\nRX:\t\t512\n[\s\S]*\nTX:\t\t64\n/);
    expect(ethtoolText(dev, 'coalesce')).toContain('\nrx-usecs: 20\nrx-frames: 8\n');
  });
});
