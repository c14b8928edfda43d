/**
 * Who has this address? A wedged process that has trapped its device answers a real kernel's ARP and neighbour solicitation.
 *
 *   namespace a: wedged.mjs on packet:v0, as 10.0.0.77 or fd00::77, which its kernel does not have  --veth--  b: pinger.mjs
 *
 * The kernel of b knows no hardware address beforehand: it finds it by asking, and so does what answers its pings.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl'] });
const FIXTURES = join(dirname(fileURLToPath(import.meta.url)), 'fixtures');
const PINGS = 20;
const PONG_PORT = 7777;

describe.skipIf(lacking !== undefined)(titled('a wedged process', lacking), () => {
  let pair: VethPair;

  beforeAll(async () => {
    pair = await vethPair('neigh');
    const { space, device } = pair.b;
    await space.run(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=0', `net.ipv6.conf.${device}.disable_ipv6=0`]);
    await space.ip('address', 'add', 'fd00::2/64', 'dev', device, 'nodad');
  });
  afterAll(async () => {
    await pair?.remove();
  });

  it.each([
    ['ARP', '10.0.0.77', '10.0.0.2'],
    ['neighbour solicitation', 'fd00::77', 'fd00::2'],
  ])('answers %s with its hardware address, and then datagrams', async (_name, own, peer) => {
    const { a, b } = pair;
    const options = `6665@${own}/packet:${a.device},6666@${peer}/${b.mac}`;
    const wedged = await a.space.start([
      process.execPath,
      join(FIXTURES, 'wedged.mjs'),
      ...[options, '1', '0', String(PONG_PORT)],
    ]);
    await wedged.says(/"sent"/, 30_000);
    const argv = [process.execPath, join(FIXTURES, 'pinger.mjs'), own, String(PONG_PORT), String(PINGS)];
    const { stdout } = await b.space.run(argv);
    expect(JSON.parse(stdout)).toEqual({ answered: PINGS, wrong: 0 });
    expect(await b.space.ip('neigh', 'show', own)).toMatch(new RegExp(`lladdr ${a.mac} .*REACHABLE`));
    expect(wedged.end).toBeUndefined();
    await wedged.stop('SIGKILL');
  });
});
