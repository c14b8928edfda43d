/**
 * Our own stack as a host on a link whose other end is a real Linux.
 *
 *   namespace a                                             namespace b
 *   inet_host.mjs on packet:v0: 10.0.0.77, fd00::77  --veth--  10.0.0.2, fd00::2: ping, arping, socat, ip neigh
 *
 * The kernel of namespace a knows neither address (and has no IPv6), so whatever answers for them is ours: ARP, neighbour
 * advertisements, echoes, and datagrams, whole and in fragments in both directions.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'busybox'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'inet_host.mjs');
const FOUR = '10.0.0.77';
const SIX = 'fd00::77';

interface Told {
  readonly state: string;
  readonly replies: number;
  readonly snmp: Record<string, number>;
  readonly drops: Record<string, number>;
  readonly inUse: number;
}

describe.skipIf(lacking !== undefined)(titled('inet against a real Linux', lacking), () => {
  const folder = scratch('inet');
  let pair: VethPair;
  let host: Child;
  let mac: string;

  beforeAll(async () => {
    pair = await vethPair('inet');
    const { a, b } = pair;
    mac = a.mac;
    // No IPv6 in namespace a: the kernel there must not answer, nor ask.
    await b.space.run(['sysctl', '-qw', 'net.ipv6.conf.v0.disable_ipv6=0', 'net.ipv6.conf.v0.accept_dad=0']);
    await b.space.ip('addr', 'add', 'fd00::2/64', 'dev', 'v0', 'nodad');
    host = await a.space.start([process.execPath, PROGRAM, 'v0', `${FOUR}/24`, `${SIX}/64`]);
    await host.until('up', () => host.lines.length > 0, 20_000);
  }, 30_000);
  afterAll(async () => {
    await host?.stop();
    await pair?.remove();
    folder.discard();
  });

  const there = (argv: string[], mayFail = false) => pair.b.space.run(argv, mayFail);

  it.each([
    ['ping', FOUR, '56'],
    ['ping', FOUR, '8000'],
    ['ping6', SIX, '56'],
    ['ping6', SIX, '8000'],
  ])('answers the kernel’s %s of %s with %s bytes', async (program, address, size) => {
    const { stdout } = await there(['busybox', program, '-c', '3', '-i', '0.2', '-s', size, '-W', '2', address]);
    expect(stdout).toContain('3 packets transmitted, 3 packets received, 0% packet loss');
  });

  it('answers arping, and is in the kernel’s tables with its hardware address', async () => {
    const { stdout } = await there(['busybox', 'arping', '-c', '2', '-w', '3', '-I', 'v0', FOUR]);
    expect(stdout.toLowerCase()).toContain(`from ${FOUR} [${mac}]`);
    const known = await pair.b.space.ip('neigh');
    expect(known).toMatch(new RegExp(`${FOUR} dev v0 lladdr ${mac} (ref \\d+ )?(REACHABLE|DELAY|STALE|PROBE)`));
    expect(known).toMatch(new RegExp(`${SIX} dev v0 lladdr ${mac}`));
  });

  it.each([
    ['IPv4', `UDP4:${FOUR}:7000`, 20],
    ['IPv6', `UDP6:[${SIX}]:7000`, 20],
    ['IPv4, in fragments', `UDP4:${FOUR}:7000`, 20_000],
    ['IPv6, in fragments', `UDP6:[${SIX}]:7000`, 20_000],
    ['IPv4, as long as it can be', `UDP4:${FOUR}:7000`, 65_507],
  ])('echoes socat’s datagram over %s', async (_, where, size) => {
    const sent = randomBytes(size);
    const [from, to] = [join(folder.path, 'sent'), join(folder.path, 'heard')];
    writeFileSync(from, sent);
    await there(['sh', '-c', `socat -b 70000 -t 1 STDIO ${where} < ${from} > ${to}`]);
    expect(Buffer.compare(readFileSync(to), sent)).toBe(0);
  });

  it('tells the kernel that nobody listens on a port', async () => {
    const { stderr, code } = await there(
      ['sh', '-c', `(echo a; sleep 0.2; echo b) | socat -t 0.5 - UDP4:${FOUR}:9`],
      true,
    );
    expect(`${code} ${stderr}`).toContain('Connection refused');
    const six = await there(['sh', '-c', `(echo a; sleep 0.2; echo b) | socat -t 0.5 - UDP6:[${SIX}]:9`], true);
    expect(`${six.code} ${six.stderr}`).toContain('Connection refused');
  });

  it('pinged the kernel itself with fragments, and lost no frame', async () => {
    await host.stop('SIGTERM');
    const end = host.lines.map((line) => JSON.parse(line) as Told).at(-1)!;
    expect(end.state).toBe('end');
    expect(end.replies).toBeGreaterThan(3);
    expect(end.snmp).toMatchObject({ IpReasmFails: 0, Ip6ReasmFails: 0, IcmpInCsumErrors: 0, Icmp6InCsumErrors: 0 });
    expect(end.snmp.UdpInCsumErrors).toBe(0);
    expect(end.drops.NOMEM).toBe(0);
  });
});
