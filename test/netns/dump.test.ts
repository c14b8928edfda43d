/**
 * netpoll dump beside tcpdump: on one cable, on the frames that pass; on recorded captures, line by line and count by count.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CaptureReader } from '../../src/wire/pcap.ts';
import { compilePcapFilter } from '../../src/wire/pcap_filter.ts';
import { FramePrinter, type PrintOptions } from '../../src/wire/print.ts';
import { lacks, titled } from './needs.ts';
import { vethPair } from './rig.ts';

const corpora = process.env.NETPOLL_CORPORA ?? '../shared/corpora';
const folder = (name: string) => join(corpora, name);
const noCaptures = lacks({ tools: ['tcpdump'], paths: [folder('netconsole/captures'), folder('bonding/over-bond')] });
const noCable = lacks({ root: true, tools: ['ip', 'tcpdump'] });

const EXPRESSIONS = [
  ...['ip', 'ip6', 'arp', 'udp', 'icmp', 'icmp6', 'not udp', 'udp or icmp6', 'vlan', 'multicast', 'ether broadcast'],
  ...['host 10.77.5.1', 'src host 10.77.5.1', 'src and dst host 10.77.5.1', 'net 10.77', 'dst net 10.0.0.0/8'],
  ...[
    'port 6666',
    'dst port 6666 or 6667',
    'portrange 6666-6667',
    'port (6666 or 7000)',
    'udp dst portrange 7000-7003',
  ],
  ...['ether src 52:54:00:77:b0:00', 'ether proto 0x8809', 'ip proto \\udp', 'ip6 multicast', 'net fe80::/10'],
  ...['less 60', 'len > 100 and len < 200', 'ip[8] < 64', 'udp[8:4] = 0x666c6f77', 'icmp[icmptype] = icmp-echo'],
  ...['icmp6[0] = 135', 'arp[6:2] = 1', '((ip[2:2] - ((ip[0]&0xf)<<2)) - 8) > 64', 'ip[2:2] / 2 > 40'],
  ...['src host 10.77.5.1 and udp or icmp', 'not (host 10.77.5.1 and port 6666)', 'udp[0:2] % 2 = 1'],
];

const SEND_THREE = `
  const socket = require('node:dgram').createSocket('udp4');
  let left = 3;
  for (let i = 0; i < 3; i++) socket.send('hello', 6666, process.argv[1], () => --left === 0 && socket.close());
`;

/** Option of tcpdump, ours, and how many of its lines differ at most (docs/tcpdump.md says which). */
const LOOKS: [string[], PrintOptions, number][] = [
  [[], {}, 0],
  [['-e'], { ethernet: true }, 0],
  [['-q'], { quiet: true }, 0],
  [['-v'], { verbose: 1 }, 1],
];

function captures(): string[] {
  const recorded = readdirSync(folder('netconsole/captures')).map((name) => `netconsole/captures/${name}/nc.pcap`);
  const bonds = ['802.3ad-layer2', 'balance-alb-layer2'].flatMap((mode) =>
    [0, 1].map((nic) => `bonding/over-bond/bond-k61/${mode}/nic${nic}.pcap`),
  );
  return [...recorded, ...bonds].map(folder).filter((path) => existsSync(path));
}

function* packets(path: string) {
  const reader = new CaptureReader();
  reader.push(readFileSync(path));
  for (let packet = reader.next(); packet !== null; packet = reader.next()) {
    yield { ...packet, view: new DataView(packet.bytes.buffer, packet.bytes.byteOffset, packet.bytes.byteLength) };
  }
}

function tcpdump(...args: string[]): string {
  return execFileSync('tcpdump', args, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8', maxBuffer: 1 << 28 });
}

describe.skipIf(noCaptures !== undefined)(titled('netpoll dump on recorded captures', noCaptures), () => {
  it.each(LOOKS)('prints the lines of tcpdump -n %j', (flags, options, allowed) => {
    let different = 0;
    for (const path of captures()) {
      const printer = new FramePrinter(options);
      const ours: string[] = [];
      for (const { view, start, length, wireLength } of packets(path)) {
        ours.push(...printer.print(view, start, length, wireLength).split('\n'));
      }
      const theirs = tcpdump('-tnr', path, ...flags).split('\n');
      theirs.pop();
      expect(ours.length).toBe(theirs.length);
      different += ours.filter((line, i) => line !== theirs[i]).length;
    }
    expect(different).toBeLessThanOrEqual(allowed);
  });

  it('takes as many frames as tcpdump for each expression', () => {
    const path = folder('bonding/over-bond/bond-k61/balance-alb-layer2/nic0.pcap');
    for (const expression of EXPRESSIONS) {
      const matches = compilePcapFilter(expression);
      let ours = 0;
      for (const { view, start, length, wireLength } of packets(path)) {
        if (matches(view, start, length, wireLength)) ours++;
      }
      expect(`${expression}: ${ours}`).toBe(
        `${expression}: ${Number(tcpdump('-nr', path, '--count', expression).split(' ')[0])}`,
      );
    }
  });
});

describe.skipIf(noCable !== undefined)(titled('netpoll dump on a cable', noCable), () => {
  it('writes what passes into a file that tcpdump reads, ends at Ctrl-C, and shows the same lines', async () => {
    const pair = await vethPair('dump');
    const scratch = mkdtempSync(join(tmpdir(), 'netpoll-dump-'));
    try {
      const file = join(scratch, 'out.pcap');
      const words = ['bin/netpoll.js', 'dump', pair.b.device, 'udp port 6666', '-w', file];
      const child = await pair.b.space.start([process.execPath, ...words], { NO_COLOR: '1' });
      await child.until('listening', () => child.stderr.toString().includes('listening'));
      await pair.a.space.run([process.execPath, '-e', SEND_THREE, pair.b.address]);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await child.stop('SIGINT')).toEqual({ code: 0, signal: null });
      const lines = tcpdump('-tnr', file).trimEnd().split('\n');
      expect(lines).toHaveLength(3);
      for (const line of lines) expect(line).toMatch(/^IP 10\.0\.0\.1\.\d+ > 10\.0\.0\.2\.6666: UDP, length 5$/);
      const ours = execFileSync(process.execPath, ['bin/netpoll.js', 'dump', '-r', file, '-t'], { encoding: 'utf8' });
      expect(ours.trimEnd().split('\n')).toEqual(lines);
    } finally {
      await pair.remove();
      rmSync(scratch, { recursive: true });
    }
  });
});
