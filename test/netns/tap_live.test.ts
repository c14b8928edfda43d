/**
 * Our own stack behind a TAP device of a real Linux: what the kernel sends there comes to us.
 *
 *   kernel 10.0.0.2, fd00::2 on v0: ping, socat  <--TAP-->  inet_host.mjs on tap:v0: 10.0.0.77, fd00::77
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { Namespace } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'busybox'], paths: ['/dev/net/tun'] });
const PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'fixtures', 'inet_host.mjs');
const FOUR = '10.0.0.77';
const SIX = 'fd00::77';

interface Told {
  readonly state: string;
  readonly snmp: Record<string, number>;
  readonly drops: Record<string, number>;
  readonly port: Record<string, number>;
}

describe.skipIf(lacking !== undefined).each([
  ['of 1500 bytes', ''],
  ['of 9000 bytes', ',mtu=9000'],
])(titled('inet behind a TAP device %s', lacking), (_, options) => {
  const folder = scratch('tap');
  let space: Namespace;
  let host: Child;

  beforeAll(async () => {
    space = await Namespace.make('tap');
    host = await space.start([process.execPath, PROGRAM, `tap:v0${options}`, `${FOUR}/24`, `${SIX}/64`]);
    await host.until('up', () => host.lines.length > 0, 20_000);
    await space.run(['sysctl', '-qw', 'net.ipv6.conf.v0.disable_ipv6=0', 'net.ipv6.conf.v0.accept_dad=0']);
    await space.ip('addr', 'add', '10.0.0.2/24', 'dev', 'v0');
    await space.ip('addr', 'add', 'fd00::2/64', 'dev', 'v0', 'nodad');
  }, 30_000);
  afterAll(async () => {
    await host?.stop();
    await space?.remove();
    folder.discard();
  });

  it.each([
    ['ping', FOUR, '56'],
    ['ping', FOUR, '8000'],
    ['ping', FOUR, '30000'],
    ['ping6', SIX, '56'],
    ['ping6', SIX, '30000'],
  ])('answers the kernel’s %s of %s with %s bytes', async (program, address, size) => {
    const { stdout } = await space.run(['busybox', program, '-c', '3', '-i', '0.2', '-s', size, '-W', '2', address]);
    expect(stdout).toContain('3 packets transmitted, 3 packets received, 0% packet loss');
  });

  it.each([
    ['IPv4', `UDP4:${FOUR}:7000`, 20],
    ['IPv6', `UDP6:[${SIX}]:7000`, 20],
    ['IPv4, in fragments', `UDP4:${FOUR}:7000`, 8900],
    ['IPv6, in fragments', `UDP6:[${SIX}]:7000`, 8900],
    ['IPv4, as long as it can be', `UDP4:${FOUR}:7000`, 65_507],
  ])('echoes socat’s datagram over %s', async (_way, where, size) => {
    const sent = randomBytes(size);
    const [from, to] = [join(folder.path, 'sent'), join(folder.path, 'heard')];
    writeFileSync(from, sent);
    await space.run(['sh', '-c', `socat -b 70000 -t 1 STDIO ${where} < ${from} > ${to}`]);
    expect(Buffer.compare(readFileSync(to), sent)).toBe(0);
  });

  it('lost no frame, and leaves no device', async () => {
    await host.stop('SIGTERM');
    const end = host.lines.map((line) => JSON.parse(line) as Told).at(-1)!;
    expect(end.state).toBe('end');
    expect(end.snmp).toMatchObject({ IpReasmFails: 0, Ip6ReasmFails: 0, UdpInCsumErrors: 0, IcmpInCsumErrors: 0 });
    expect(end.drops.NOMEM).toBe(0);
    expect(end.port).toMatchObject({ rx_no_buffer: 0, rx_bad_headers: 0, rx_dropped_kernel: 0, tx_errors: 0 });
    expect(await space.ip('-o', 'link')).not.toContain('v0');
  });
});
