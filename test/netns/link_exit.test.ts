/**
 * Whichever way a process ends, its interface is afterwards what it was before: no promiscuous mode, no address, no group, no program,
 * no device of ours stays.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'bridge'], paths: ['/dev/net/tun'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'promisc_host.mjs');
const READY_MS = 20_000;

/** How the process is told to end, and by which signal. */
const WAYS: readonly (readonly [name: string, how: string, signal: NodeJS.Signals | null])[] = [
  ['SIGINT, with a handler that closes', 'clean', 'SIGINT'],
  ['SIGTERM, with a handler that closes', 'clean', 'SIGTERM'],
  ['SIGINT without a handler', 'wait', 'SIGINT'],
  ['SIGTERM without a handler', 'wait', 'SIGTERM'],
  ['SIGKILL', 'wait', 'SIGKILL'],
  ['SIGSEGV', 'wait', 'SIGSEGV'],
  ['an exception that nobody catches', 'throw', null],
  ['process.exit()', 'exit', null],
];

describe.skipIf(lacking !== undefined)(titled('an interface after its process', lacking), () => {
  let space: Namespace;
  beforeAll(async () => {
    space = await Namespace.make('exit');
    await space.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    await space.ip('tuntap', 'add', 'dev', 't1', 'mode', 'tap', 'vnet_hdr');
    for (const dev of ['v0', 'v1', 't1']) await space.ip('link', 'set', dev, 'addrgenmode', 'none', 'up');
  });
  afterAll(async () => {
    await space?.remove();
  });

  const looks = async (): Promise<string> => {
    const looks = [await space.ip('-d', 'link', 'show'), await space.ip('maddr', 'show')];
    looks.push((await space.run(['bridge', 'fdb', 'show'])).stdout);
    return looks.join('\n');
  };

  for (const spec of ['packet:v0', 'xdp:v0', 'tap:t0', 'tap:t1']) {
    it.each(WAYS)(`${spec}: is what it was after %s`, async (_, how, signal) => {
      const before = await looks();
      const child = await space.start([process.execPath, PROGRAM, spec, how]);
      await child.until('up', () => child.lines.length > 0, READY_MS);
      const during = await looks();
      expect(during).not.toBe(before);
      if (spec.endsWith('v0')) {
        // Twice: asked for, and because a veth has no filter for the further address.
        expect(during).toMatch(/v0@v1: .*\n.* promiscuity 2 {2}allmulti 1 /);
        expect(during).toContain('02:00:00:00:99:01 dev v0 self permanent');
        expect(during).toContain('01:00:5e:01:02:03');
      }
      if (signal === null) await child.ended;
      else await child.stop(signal);
      // The kernel takes programs and sockets apart from a work queue, a moment after the process is gone.
      for (let patience = 100; patience > 0 && (await looks()) !== before; patience--);
      expect(await looks()).toBe(before);
    });
  }
});
