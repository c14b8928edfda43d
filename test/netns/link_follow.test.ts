/**
 * netpoll collect on an interface that is deleted and made anew: it waits, says so and what for, and goes on collecting.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat'] });
const CLI = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'netpoll.js');

describe.skipIf(lacking !== undefined)(titled('a collector whose interface goes away', lacking), () => {
  let here: Namespace;
  let there: Namespace;
  beforeAll(async () => {
    here = await Namespace.make('follow-a');
    there = await Namespace.make('follow-b');
  });
  afterAll(async () => {
    await Promise.all([here?.remove(), there?.remove()]);
  });

  const plug = async (): Promise<void> => {
    await here.ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v0', 'netns', there.name);
    await here.ip('addr', 'add', '10.0.0.1/24', 'dev', 'v0');
    await there.ip('addr', 'add', '10.0.0.2/24', 'dev', 'v0');
    for (const space of [there, here]) await space.ip('link', 'set', 'v0', 'up');
    await there.neighbour('v0', '10.0.0.1', await here.macOf('v0'));
  };
  const log = async (text: string): Promise<void> => {
    await there.run(['sh', '-c', `printf '6,1,1,-;${text}\\n' | socat -u STDIN UDP4-SENDTO:10.0.0.1:6666`]);
  };

  it.each(['packet', 'xdp'])('%s: goes on when the interface is back', async (scheme) => {
    await plug();
    const words = ['collect', '--no-http', '--jsonl', '--listen', `${scheme}:v0:6666`];
    const collector = await here.start([process.execPath, CLI, ...words]);
    await collector.says(/listening/);
    await log('before');
    await collector.says(/"before"/);
    await here.ip('link', 'del', 'v0');
    await collector.says(/v0 was deleted, .*waiting for an interface v0, which is taken as soon as it is up/);
    await plug();
    await collector.says(/v0 is back; \S+ is up/);
    await log('after');
    await collector.says(/"after"/);
    await here.ip('link', 'set', 'v0', 'down');
    await collector.says(/v0 was set down; nothing moves until: ip link set v0 up/);
    expect((await collector.stop('SIGINT')).code).toBe(0);
    await here.ip('link', 'del', 'v0');
  });

  it('ends by Ctrl-C while it waits', async () => {
    await plug();
    const collector = await here.start([process.execPath, CLI, 'collect', '--no-http', '--listen', 'packet:v0:6666']);
    await collector.says(/listening/);
    await here.ip('link', 'del', 'v0');
    await collector.says(/waiting for an interface v0/);
    expect((await collector.stop('SIGINT')).code).toBe(0);
  });
});
