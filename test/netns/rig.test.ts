/** The rig itself, proved with plain programs at both ends before anything of ours rides on it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { netcatReceiver, record, scratch, socatReceiver, tcpdumpVerdict, tsharkVerdict } from './peers.ts';
import { Namespace, type VethPair, vethPair } from './rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat', 'nc.openbsd', 'tcpdump', 'tshark'] });

describe.skipIf(lacking !== undefined)(titled('the namespace rig', lacking), () => {
  const folder = scratch('rig');
  let pair: VethPair;

  beforeAll(async () => {
    pair = await vethPair('rig');
  });
  afterAll(async () => {
    await pair?.remove();
    folder.discard();
  });

  it('gives each end an address, a hardware address, and a fixed neighbour', async () => {
    const neighbours = await pair.a.space.ip('neigh');
    expect(pair.a.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    expect(neighbours).toContain(`10.0.0.2 dev v0 lladdr ${pair.b.mac} PERMANENT`);
  });

  it.each([
    ['socat', socatReceiver],
    ['nc', netcatReceiver],
  ] as const)(
    '%s hears the first datagram that is sent after it is ready, with good sums on the wire',
    async (name, receiver) => {
      const heard = await receiver(pair.b.space, 6666);
      const wire = await record(pair.b.space, 'v0', join(folder.path, `${name}.pcap`), 'udp', 'in');
      const text = `hello from ${name}\n`;
      await pair.a.space.run(['sh', '-c', `printf '${text}' | socat -u STDIN UDP4-SENDTO:10.0.0.2:6666`]);
      await heard.says(/hello/);
      await wire.finish(1);
      await heard.stop();
      expect(heard.stdout.toString()).toBe(text);
      // veth hands the sum over unfinished (checksum offload), so only the count of frames is judged here.
      expect((await tcpdumpVerdict(pair.a.space, wire.file)).frames).toBe(1);
      expect((await tsharkVerdict(pair.a.space, wire.file)).frames).toBe(1);
    },
  );

  it('shows a bad UDP checksum for what it is', async () => {
    const wire = await record(pair.b.space, 'v0', join(folder.path, 'bad.pcap'), 'udp', 'in');
    // Transmit checksum offload leaves a partial sum in the frame: wrong on the wire as far as a judge can see.
    await pair.a.space.run(['sh', '-c', 'echo bad | socat -u STDIN UDP4-SENDTO:10.0.0.2:7777']);
    await wire.finish(1);
    expect((await tcpdumpVerdict(pair.a.space, wire.file)).complaints).toHaveLength(1);
    expect((await tsharkVerdict(pair.a.space, wire.file)).sumsGood).toBe(0);
  });

  it('removes the namespace, and stops what ran in it', async () => {
    const space = await Namespace.make('gone');
    const child = await space.start(['sleep', '60']);
    await space.remove();
    expect(child.end?.signal).toBe('SIGTERM');
    expect(existsSync(`/run/netns/${space.name}`)).toBe(false);
  });
});
