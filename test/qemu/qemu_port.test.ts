/**
 * Debian kernels whose NIC ends in a qemu: port of ours: no TAP device and no privileges on the way.
 *
 *     guest's netconsole -- -netdev stream, calls -------> netpoll collect --listen qemu:SOCKET      two lives, one collector
 *     guest's ping ------- -netdev socket, listens <------ inet_host.mjs qemu:connect:IP:PORT        our host answers, and pings
 *     guest's TCP -------- -netdev dgram ----------------- netpoll forward qemu:dgram:... tap:q0 --- the kernel of this machine
 *                                                          netpoll dump tap:... sees the same as tcpdump would
 */
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { scratch } from '../netns/peers.ts';
import { Namespace } from '../netns/rig.ts';
import { type Collected, extendedOf } from './collected.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest, WIRE } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';
import { lastWords } from './oracle.ts';
import { ALL_WRITTEN, FAREWELL, lastWordsSteps, NETWORK_UP } from './scenario.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'nc'], paths: GUEST_PATHS });
const HERE = dirname(fileURLToPath(import.meta.url));
const NETPOLL = [process.execPath, join(HERE, '..', '..', 'bin', 'netpoll.js')];
const HOST = [process.execPath, join(HERE, '..', 'netns', 'fixtures', 'inet_host.mjs')];
const READY_MS = 20_000;

/** A guest at 10.0.0.2 that does what it is told, a line of shell at a time. */
function obedient(kernel: GuestKernel): string[] {
  return [
    ...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole').map((name) => loadModule(kernel, name)),
    'while ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done',
    'ip addr add 10.0.0.2/24 dev eth0',
    'ip link set eth0 up',
    say('up'),
    `while true; do ${awaitHost()}; eval "$HOST_SAID" || true; done`,
  ];
}

describe.skipIf(lacking !== undefined)(titled("a guest's NIC without privileges", lacking), () => {
  const folder = scratch('qemu-port');
  let kernel: GuestKernel;
  let space: Namespace;
  let guest: Guest | undefined;
  let asked = 0;

  async function inGuest(command: string): Promise<string> {
    const mark = `end-of-${++asked}`;
    const from = guest!.control.length;
    guest!.tell(`${command}; say ${mark}`);
    await guest!.hears(mark);
    return guest!.control.text.slice(from).split(mark)[0]!;
  }

  beforeAll(async () => {
    kernel = await fetchKernel();
    space = await Namespace.make('qemu-port');
  });
  afterEach(async () => {
    await guest?.remove();
    guest = undefined;
  });
  afterAll(async () => {
    await space?.remove();
    folder.discard();
  });

  it('its last words reach the collector over a stream, and so do those of its next life', async () => {
    const socket = join(folder.path, 'vm.sock');
    const collector = await space.start([...NETPOLL, 'collect', '--listen', `qemu:${socket}`, '--jsonl', '--no-http']);
    await collector.says(
      /-netdev stream,id=net0,server=off,addr\.type=unix,addr\.path=\S+ -device virtio-net-pci/,
      READY_MS,
    );
    const netdev = `stream,id=net0,server=off,addr.type=unix,addr.path=${socket}`;
    const expected: Collected[] = [];
    for (let life = 1; life <= 2; life++) {
      const netdevs = [{ netdev, guestMac: WIRE.guestMac }];
      guest = await bootGuest({ kernel, space, netdevs, steps: lastWordsSteps(kernel) });
      await guest.hears(NETWORK_UP);
      guest.tell('go');
      await guest.hears(ALL_WRITTEN);
      await guest.recorded(FAREWELL);
      const farewells = () => collector.lines.filter((line) => line.includes(FAREWELL)).length;
      await collector.until(`farewell ${life}`, () => farewells() === life, READY_MS);
      guest.tell('go');
      await guest.ended();
      const { all } = lastWords(guest.console, guest.kmsg);
      const enough = expected.length + all.length;
      await collector.until(`${enough} records`, () => extended(collector).length >= enough, READY_MS);
      expected.push(...extendedOf(all, extended(collector).slice(expected.length)));
      await guest.remove();
      guest = undefined;
    }
    expect(extended(collector)).toEqual(expected);
    expect((await collector.stop('SIGINT')).code).toBe(0);
  });

  it('our host calls QEMU, answers its guest’s pings and pings it', async () => {
    const number = 21_000 + (process.pid % 10_000);
    const host = await space.start([
      ...HOST,
      `qemu:connect:127.0.0.1:${number},reconnect=0.2`,
      '10.0.0.1/24',
      'fd00::1/64',
    ]);
    const netdevs = [{ netdev: `socket,id=net0,listen=127.0.0.1:${number}`, guestMac: WIRE.guestMac }];
    guest = await bootGuest({ kernel, space, netdevs, steps: obedient(kernel) });
    await guest.hears('up');
    await inGuest('ping -c 1 -W 5 10.0.0.1 > /dev/null || true');
    const small = await inGuest('ping -c 20 -i 0.05 -W 2 -q 10.0.0.1');
    expect(small).toContain('20 packets transmitted, 20 packets received');
    expect(await inGuest('ping -c 10 -i 0.1 -s 9000 -W 2 -q 10.0.0.1')).toContain('10 packets received');
    await host.stop();
    const end = JSON.parse(host.lines.at(-1)!) as {
      replies: number;
      inUse: number;
      port: Record<string, number>;
    };
    expect(end.replies).toBeGreaterThan(5);
    // What left within the last millisecond may wait to be reaped.
    expect(end.inUse).toBeLessThan(8);
    expect(end.port).toMatchObject({ peers: 1, peers_lost: 0, rx_bad_lengths: 0, rx_length_errors: 0, tx_errors: 0 });
  });

  it('a forward joins it to a TAP device; TCP floods both ways unharmed, and dump shows it', async () => {
    const [ours, theirs] = [join(folder.path, 'our.sock'), join(folder.path, 'vm.dgram')];
    const forward = await space.start([...NETPOLL, 'forward', `qemu:dgram:${ours},${theirs}`, 'tap:q0', '--json']);
    await forward.says(/-netdev dgram,id=net0,local\.type=unix/, READY_MS);
    await space.ip('addr', 'add', '10.0.0.1/24', 'dev', 'q0');
    const netdevs = [
      {
        netdev: `dgram,id=net0,local.type=unix,local.path=${theirs},remote.type=unix,remote.path=${ours}`,
        guestMac: WIRE.guestMac,
      },
    ];
    guest = await bootGuest({ kernel, space, netdevs, steps: obedient(kernel) });
    await guest.hears('up');
    const dump = await space.start([...NETPOLL, 'dump', 'packet:q0', '-c', '4', 'icmp']);
    await dump.bindsPacket(1, READY_MS);
    expect(await inGuest('ping -c 5 -i 0.1 -W 5 -q 10.0.0.1')).toContain('5 packets received');
    await dump.ended;
    expect(dump.lines.length).toBe(4);
    expect(dump.lines[0]).toMatch(/IP 10\.0\.0\.2 > 10\.0\.0\.1: ICMP echo request/);

    const data = Buffer.alloc(4 << 20);
    for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2654435761) >>> 0, i);
    const sum = createHash('md5').update(data).digest('hex');
    mkdirSync(folder.path, { recursive: true });
    const file = join(folder.path, 'data');
    writeFileSync(file, data);
    await inGuest('nc -l -p 7000 > /tmp/got & RECEIVER=$!; sleep 1');
    await space.run(['sh', '-c', `nc -q 1 10.0.0.2 7000 < ${file} || nc -N 10.0.0.2 7000 < ${file}`], true);
    expect(await inGuest('wait $RECEIVER; md5sum < /tmp/got')).toContain(sum);
    const back = await space.start(['sh', '-c', 'nc -l -p 7001 | md5sum']);
    await inGuest('sleep 1; nc 10.0.0.1 7001 < /tmp/got');
    await back.ended;
    expect(back.lines[0]).toContain(sum);
    rmSync(file);

    await forward.stop('SIGINT');
    const { ways } = JSON.parse(forward.lines.at(-1)!) as { ways: Record<string, number>[] };
    for (const way of ways) {
      expect(way.bytes).toBeGreaterThan(data.length);
      expect(way).toMatchObject({ tx_errors: 0 });
    }
  });
});

/** What it has printed of the extended target, without the time of arrival. */
function extended(collector: Child): Collected[] {
  return collector.lines
    .map((line) => JSON.parse(line) as Collected & { received?: string })
    .filter((each) => each.format === 'extended')
    .map(({ received: _, ...rest }) => rest);
}
