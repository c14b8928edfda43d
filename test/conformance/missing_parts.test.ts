/**
 * What each scheme says where a part is missing, word for word; and that the scheme which it names instead works in that very place.
 *
 *     namespace a: netpoll collect --listen SCHEME, with less than it needs --- veth --- namespace b: a sender
 *
 * The places are real: another user, a user namespace, a mount namespace without /dev/net/tun, a seccomp filter for which
 * socket(AF_XDP) is what it is on a kernel without AF_XDP.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callingPeer } from '../../src/host/qemu/qemu_peer.fixture.ts';
import { udpFrame } from '../../src/sim/rig.fixture.ts';
import { pcapFile } from '../../src/wire/pcap_writer.ts';
import { lacks, titled } from '../netns/needs.ts';
import { type VethPair, vethPair } from '../netns/rig.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'setpriv', 'unshare', 'mount'] });
const ROOT = join(import.meta.dirname, '..', '..');
const COLLECT = [join(ROOT, 'bin/netpoll.js'), 'collect', '--jsonl', '--no-http', '--listen'];
const NODE = process.execPath;
const READY_MS = 30_000;
const USER = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--inh-caps=-all'];
const failing = (rules: string) => [NODE, join(import.meta.dirname, 'fixtures/without_syscall.mjs'), rules, NODE];

/** What comes in front of the program. */
const PLACES = {
  'without koffi': [NODE, '--require', join(ROOT, 'test/cli/fixtures/no_koffi.cjs')],
  'as an ordinary user': [...USER, NODE],
  'in a user namespace': ['unshare', '-U', NODE],
  'with CAP_NET_RAW alone': ['setpriv', '--inh-caps=-all', '--bounding-set=-all,+net_raw', NODE],
  'on a kernel without AF_XDP': failing('socket:44=97'),
  'on a kernel without AF_PACKET': failing('socket:17=97'),
  'on a kernel without bpf()': failing('bpf=38'),
  'in a container that forbids bpf()': failing('bpf=1'),
  'without /dev/net/tun': ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /dev/net && exec "$@"', 'sh', NODE],
} as const;
type Place = keyof typeof PLACES;

const INSTALL =
  "real ports need koffi, which does not load (Cannot find module 'koffi'): npm install koffi; " +
  'without it pcap:FILE works, and so do simulations (netpoll lab, netpoll dump sim:fleet)';
const setcap = (names: string) => `run it as root, or: setcap ${names}+ep ${NODE}`;
const XDP_CAPS = setcap('cap_net_raw,cap_bpf,cap_net_admin');
const NO_TAP = 'without it qemu:SOCKET joins a guest, and udp:ADDRESS:PORT takes datagrams';
const HAS_ALL = 'refused although the process has CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN';
const BY_WHOM = "(by a container's user namespace or seccomp filter); run it outside of the container";
const NOT_OURS = 'tap:h0, which was not made for this user (ip tuntap add dev NAME mode tap user USER)';

/** Place, scheme, what is said, and what works there. */
const ROWS: readonly (readonly [Place, string, string, 'udp' | 'packet' | 'qemu' | 'pcap'])[] = [
  ['without koffi', 'packet:v0', INSTALL, 'pcap'],
  ['without koffi', 'xdp:v0', INSTALL, 'pcap'],
  ['without koffi', 'udp:127.0.0.1:6666', INSTALL, 'pcap'],
  ['without koffi', 'tap:h0', INSTALL, 'pcap'],
  ['without koffi', 'qemu:/tmp/x.sock', INSTALL, 'pcap'],
  ...(['as an ordinary user', 'in a user namespace'] as const).flatMap((place) => [
    [
      place,
      'packet:v0',
      `packet:v0: the process lacks CAP_NET_RAW; ${setcap('cap_net_raw')}; udp:ADDRESS:PORT works without`,
      'udp',
    ] as const,
    [
      place,
      'xdp:v0',
      `xdp:v0: the process lacks CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN; ${XDP_CAPS}; udp:ADDRESS:PORT works without`,
      'udp',
    ] as const,
  ]),
  [
    'in a user namespace',
    'tap:h0',
    `${NOT_OURS}: the process lacks CAP_NET_ADMIN; ${setcap('cap_net_admin')}; ${NO_TAP}`,
    'qemu',
  ],
  [
    'with CAP_NET_RAW alone',
    'xdp:v0',
    `xdp on v0: the process lacks CAP_BPF and CAP_NET_ADMIN; ${XDP_CAPS}; packet:v0 works without`,
    'packet',
  ],
  [
    'on a kernel without AF_XDP',
    'xdp:v0',
    'xdp on v0, queue 0: this kernel has no AF_XDP (CONFIG_XDP_SOCKETS); packet:v0 works without',
    'packet',
  ],
  ['on a kernel without bpf()', 'xdp:v0', 'xdp on v0: this kernel has no bpf(); packet:v0 works without', 'packet'],
  [
    'in a container that forbids bpf()',
    'xdp:v0',
    `xdp on v0: ${HAS_ALL} ${BY_WHOM}; packet:v0 works without`,
    'packet',
  ],
  [
    'on a kernel without AF_PACKET',
    'packet:v0',
    'packet:v0: this kernel has no AF_PACKET (CONFIG_PACKET); udp:ADDRESS:PORT works without',
    'udp',
  ],
  [
    'without /dev/net/tun',
    'tap:h0',
    `tap:h0: this kernel, or this container, has no /dev/net/tun (ENOENT); modprobe tun, or pass it in; ${NO_TAP}`,
    'qemu',
  ],
  ['as an ordinary user', 'packet:nosuch0', 'there is no interface "nosuch0"; there are: lo, v0', 'udp'],
  [
    'as an ordinary user',
    'udp:10.0.0.1:80',
    'listen on UDP 10.0.0.1 port 80: bind() failed with EACCES; ports below 1024 need CAP_NET_BIND_SERVICE',
    'udp',
  ],
  [
    'as an ordinary user',
    'udp:192.0.2.1:6666',
    'listen on UDP 192.0.2.1 port 6666: bind() failed with EADDRNOTAVAIL; no interface has this address: ip address',
    'udp',
  ],
  [
    'as an ordinary user',
    'qemu:/root/vm.sock',
    'listen on /root/vm.sock: bind() failed with EACCES; you may not make files in /root: give a path of your own, ' +
      'as in $XDG_RUNTIME_DIR',
    'qemu',
  ],
];

describe.skipIf(lacking !== undefined)(titled('where a part is missing', lacking), () => {
  let pair: VethPair;
  let folder: string;
  const worked = new Map<string, Promise<void>>();

  beforeAll(async () => {
    pair = await vethPair('missing');
    // Ports below 1024 are everybody's in a namespace of one's own, unless told otherwise.
    await pair.a.space.run(['sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=1024']);
    folder = mkdtempSync(join(tmpdir(), 'netpoll-missing-'));
    chmodSync(folder, 0o777);
  });
  afterAll(async () => {
    await pair?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Collects one message by `scheme` in `place`. */
  async function works(place: Place, scheme: 'udp' | 'packet' | 'qemu' | 'pcap'): Promise<void> {
    const record = `6,1,1,-;it works ${place}\n`;
    const file = join(folder, `${worked.size}`);
    const specs = { udp: 'udp:0.0.0.0:6666', packet: 'packet:v0:6666', qemu: `qemu:${file}`, pcap: `pcap:${file}` };
    if (scheme === 'pcap') writeFileSync(file, pcapFile([{ tsUs: 1e15, bytes: udpFrame({ payload: record }) }]));
    const collector = await pair.a.space.start([...PLACES[place], ...COLLECT, specs[scheme]], { NO_COLOR: '1' });
    const heard = () => collector.lines.some((line) => line.includes(`it works ${place}`));
    const peer = scheme === 'qemu' ? callingPeer({ path: file }) : undefined;
    const text = JSON.stringify(record);
    const send = `const s = require('node:dgram').createSocket('udp4'); s.send(${text}, 6666, '10.0.0.1', () => s.close())`;
    try {
      if (scheme !== 'pcap') await collector.says(/listening/, READY_MS);
      for (let tries = 0; !heard() && tries < 20; tries++) {
        if (scheme === 'qemu') peer!.inject(udpFrame({ payload: record }));
        else if (scheme !== 'pcap') await pair.b.space.run([NODE, '-e', send]);
        await sleep(250);
      }
    } finally {
      peer?.close();
      await collector.stop();
    }
    expect({ place, scheme, heard: heard(), stderr: collector.stderr.toString() }).toMatchObject({ heard: true });
  }

  it.each(ROWS)(
    '%s, %s says what is missing, and what is named instead works',
    async (place, scheme, said, instead) => {
      const child = await pair.a.space.start([...PLACES[place], ...COLLECT, scheme], { NO_COLOR: '1' });
      await child.until('its end', () => child.end !== undefined, READY_MS).catch(() => child.stop());
      const lines = child.stderr.toString().split('\n');
      expect(lines.filter((line) => line.startsWith('netpoll: '))).toEqual([`netpoll: ${said}`]);
      expect(child.end).toEqual({ code: 1, signal: null });
      expect(child.lines).toEqual([]);
      const key = `${place} ${instead}`;
      if (!worked.has(key)) worked.set(key, works(place, instead));
      await worked.get(key);
    },
  );
});
