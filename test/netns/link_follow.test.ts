/**
 * netpoll collect on an interface that is deleted and made anew: it waits, says so and what for, and goes on collecting;
 * also where the kernel could not tell it all that happened.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'awk'] });
const CLI = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'netpoll.js');
const COLLECT = [process.execPath, CLI, 'collect', '--no-http', '--jsonl', '--listen'];

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
    const collector = await here.start([...COLLECT, `${scheme}:v0:6666`]);
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

  it('sees what has become of it where the kernel had no room to tell', async () => {
    await plug();
    const collector = await here.start([...COLLECT, 'packet:v0:6666']);
    await collector.says(/listening/);
    process.kill(collector.pid, 'SIGSTOP');
    const changes = Array.from({ length: 3000 }, (_, i) => `link set lo mtu ${1500 + (i % 2)}`);
    await here.run(['sh', '-c', `echo '${changes.join('\n')}' | ip -batch -`]);
    await here.ip('link', 'del', 'v0');
    await plug();
    // A column of /proc/net/netlink: messages that a socket had no room for.
    const { stdout } = await here.run(['awk', '$9 > 0 { n += $9 } END { print n + 0 }', '/proc/net/netlink']);
    expect(Number(stdout), 'lost messages').toBeGreaterThan(0);
    process.kill(collector.pid, 'SIGCONT');
    await collector.says(/v0 was deleted/);
    await collector.says(/v0 is back; \S+ is up/);
    await log('after the silence');
    await collector.says(/"after the silence"/);
    expect((await collector.stop('SIGINT')).code).toBe(0);
    await here.ip('link', 'del', 'v0');
  });

  it('keeps a process that has nothing else to do while it waits, and not once it is back and closed', async () => {
    await plug();
    const host = await here.start([process.execPath, 'test/netns/fixtures/follow_ends.mjs', 'packet:v0']);
    await host.says(/up/);
    await here.ip('link', 'del', 'v0');
    await host.says(/waiting/);
    // Longer than whatever is still to be done in a process that ends.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await plug();
    expect(await host.ended).toEqual({ code: 0, signal: null });
    expect(host.lines).toEqual(['up', 'waiting', 'up']);
    await here.ip('link', 'del', 'v0');
  });

  it('ends by Ctrl-C while it waits', async () => {
    await plug();
    const collector = await here.start([...COLLECT, 'packet:v0:6666']);
    await collector.says(/listening/);
    await here.ip('link', 'del', 'v0');
    await collector.says(/waiting for an interface v0/);
    expect((await collector.stop('SIGINT')).code).toBe(0);
  });
});
