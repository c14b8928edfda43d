/**
 * Dynamic targets against a real kernel: the scenario of its recording, played on our tree of attributes.
 *
 *     result.log   SET path <value> rc=.. now=<..>   each write: our verdict, and what the attribute shows afterwards
 *                  <prio>[time] text                 the guest's log: what we print by ourselves must be the same lines
 *     pcap         every datagram, sent while all this went on
 *
 * The clock, the CPU and the task of each record are the recorded ones; everything else is ours.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { devChangeName } from '../../device/change.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { Printk } from '../../machine/printk.ts';
import { CONSOLE_LOG_MAX, MESSAGE_MAX, PRINTK_MESSAGE_MAX } from '../../wire/netconsole_emit.ts';
import { parseExtendedBody, parseExtendedHeader } from '../../wire/netconsole_parse.ts';
import { decodeText } from '../../wire/netconsole_text.ts';
import { createNetconsole, type Netconsole } from './netconsole.ts';
import {
  compareFrames,
  goldenDir,
  type Replay,
  readBytes,
  recordedFrames,
  recordsOfDmesg,
  replayMachine,
  type UdpFrame,
} from './replay.fixture.ts';
import { STATE_DISABLED } from './target.ts';

/** One write of the recording: path from the tree's root, value, and its outcome. */
interface Row {
  readonly path: string;
  readonly value: string;
  readonly ok: boolean;
  readonly now: string;
}

const MAC = '52:54:00:77:00:c9';

function resultLog(name: string): { rows: Row[]; dmesg: { prio: number; tsUs: number; text: Uint8Array }[] } {
  const bytes = readBytes(join(goldenDir, `${name}.result.log.gz`));
  const text = decodeText(bytes);
  const rows = [...text.matchAll(/^SET (.+?) <([^>]*)> rc=(\d+) err= now=<(.*)>$/gm)].map(
    ([, path, value, rc, now]) => ({
      path: /^t\d\//.test(path!) ? path! : `t1/userdata/${path}`,
      value: value!,
      ok: rc === '0',
      now: now!,
    }),
  );
  return { rows, dmesg: recordsOfDmesg(bytes) };
}

/** Where we show something else than 7.2 after a write, and why. */
const SHOWN_ELSE: Record<string, string> = {
  't1/userdata/a b/value':
    'the recording shell did not quote the blank when it read the value back; the datagrams have it',
};

/** Plays the rows of a recording, in order, as far as the script wants. */
function player(netconsole: Netconsole, rows: readonly Row[]) {
  const { configfs } = netconsole;
  let at = 0;
  const wrong: string[] = [];
  const play = ({ path, value, ok, now }: Row): void => {
    const folder = path.startsWith('t1/userdata/') && path.endsWith('/value') ? path.slice(0, -6) : path.slice(0, 2);
    if (typeof configfs.list(folder) === 'number') expect(configfs.mkdir(folder)).toBe(0);
    const verdict = configfs.write(path, value);
    const shown = configfs.read(path);
    const same = shown === `${now.slice(0, -1).replaceAll('|', '\n')}\n` || path in SHOWN_ELSE;
    if (verdict >= 0 !== ok || !same) wrong.push(`${path} <${value}>: ${verdict}, shows ${JSON.stringify(shown)}`);
  };
  return {
    wrong,
    left: () => rows.length - at,
    through(path: string, value: string): void {
      for (;;) {
        const row = rows[at++];
        if (row === undefined) throw new Error(`no row ${path} <${value}>`);
        play(row);
        if (row.path === path && row.value === value) return;
      }
    },
  };
}

/** CPU and task of each record, as the sysdata behind it tells. */
function contexts(frames: readonly UdpFrame[]): Map<number, { cpu: number; taskname: string }> {
  const found = new Map<number, { cpu: number; taskname: string }>();
  for (const { payload, port } of frames) {
    const header = port === 6667 ? parseExtendedHeader(payload) : null;
    const body = decodeText(payload);
    const cpu = /^ cpu=(\d+)$/m.exec(body)?.[1];
    if (header === null || cpu === undefined) continue;
    found.set(Number(header.seq), { cpu: Number(cpu), taskname: /^ taskname=(.*)$/m.exec(body)?.[1] ?? '' });
  }
  return found;
}

/** From here on the log has the recorded times and contexts, by sequence number. */
function recordedClock(replay: Replay, log: Printk, tsUs: (seq: number) => number, frames: readonly UdpFrame[]): void {
  const { machine } = replay;
  const known = contexts(frames);
  machine.executive.now = () => {
    const context = known.get(log.nextSeq);
    if (context !== undefined) {
      machine.cpu = machine.cpus[context.cpu]!;
      log.taskname = context.taskname;
    }
    return tsUs(log.nextSeq) * 1000;
  };
}

describe('targets made through configfs, as in a recording of 7.2', () => {
  const frames = recordedFrames('dyn-k72');
  const { rows, dmesg } = resultLog('dyn-k72');
  const first = 378;
  for (const text of ['dyn: t2 removed', 'sysrq: Power Off']) {
    const frame = frames.find((each) => each.port === 6667 && decodeText(each.payload).includes(text))!;
    const header = parseExtendedHeader(frame.payload)!;
    const { bodyStart, level, facility, usec } = header;
    expect(parseExtendedBody(frame.payload, bodyStart, frame.payload.length).text).toBe(text);
    dmesg.push({ prio: facility * 8 + level, tsUs: Number(usec), text: new TextEncoder().encode(text) });
  }
  const replay = replayMachine(MAC, ['10.77.0.201'], '7.2.13+deb14-amd64', 2);
  const { machine, net, world, dev } = replay;
  const { printk } = machine;
  while (printk.nextSeq < first) printk.info('before');
  recordedClock(replay, printk, (seq) => dmesg[seq - first]?.tsUs ?? 0, frames);
  printk.consoleLoglevel = 8;
  const messageMax = { extended: PRINTK_MESSAGE_MAX, basic: PRINTK_MESSAGE_MAX };
  const netconsole = createNetconsole(net, [], { messageMax });
  const { configfs } = netconsole;
  const script = player(netconsole, rows);

  /** The next record of the recording, which is not ours to print. */
  const say = (words: string): void => {
    const record = dmesg[printk.nextSeq - first]!;
    if (!decodeText(record.text).startsWith(words)) throw new Error(`${words}: ${decodeText(record.text)}`);
    printk.printk(record.prio & 7, record.text, { facility: record.prio >> 3 });
    world.runFor(1e6);
  };
  const key = (name: string, value: string): void => {
    expect(configfs.mkdir(`t1/userdata/${name}`)).toBe(0);
    expect(configfs.write(`t1/userdata/${name}/value`, value)).toBe(value.length);
  };
  const userdata = (name: string): string => `t1/userdata/${name}`;

  configfs.mkdir('t1');
  const defaults = configfs.list('t1') as string[];
  const shownByDefault = defaults
    .filter((name) => !name.endsWith('/'))
    .map((name) => `${name}=${configfs.read(`t1/${name}`)}`);
  script.through('t1/enabled', '1');
  script.through('t1/enabled', '1');
  say('dyn: extended without userdata');
  script.through(userdata('foo/value'), 'bar');
  say('dyn: one userdata');
  script.through(userdata('host/value'), 'web-17.example');
  say('dyn: two userdata');
  const tooLong = configfs.mkdir(
    userdata('averyveryverylonguserdatakeynamethatislongerthanthelimitoffiftyfourchars0123456789'),
  );
  script.through(userdata('foo/value'), 'multi\nline\nvalue');
  say('dyn: newline value');
  script.through(userdata('foo/value'), '');
  say('dyn: empty value');
  script.through(userdata('foo/value'), 'V'.repeat(199));
  say('dyn: 199');
  script.through(userdata('foo/value'), 'V'.repeat(201));
  say('dyn: after 201');
  for (let i = 0; i < 20; i++) {
    key(`key${i}`, String.fromCharCode(65 + i).repeat(150));
    say(`dyn: ${i} keys`);
  }
  say('dyn: short body many userdata');
  for (const length of [10, 100, 200, 500, 700, 900]) say(`dyn: body ${length} `);
  // The kernel's console thread was late: each of these went out when the next switch was on already.
  script.through(userdata('cpu_nr_enabled'), '1');
  say('dyn: body 960');
  script.through(userdata('taskname_enabled'), '1');
  say('dyn: sysdata cpu_nr_enabled');
  script.through(userdata('release_enabled'), '1');
  say('dyn: sysdata taskname_enabled');
  script.through(userdata('msgid_enabled'), '1');
  say('dyn: sysdata release_enabled');
  script.through(userdata('msgid_enabled'), '0');
  script.through(userdata('msgid_enabled'), '1');
  say('dyn: sysdata msgid_enabled');
  for (const item of [...netconsole.find('t1')!.extradata.items]) configfs.rmdir(userdata(item.key));
  say('dyn: sysdata only');
  for (const length of [100, 900, 970]) say(`dyn: sysdata body ${length} `);
  key('x', 'y');
  say('dyn: sysdata + x=y');
  say('dyn: from cpu 0');
  say('dyn: from cpu 1');
  script.through('t1/enabled', '0');
  say('dyn: while disabled (must not be seen)');
  script.through('t1/enabled', '1');
  say('dyn: with release');
  say('dyn: release frag');
  script.through('t2/enabled', '1');
  say('dyn: second target over ipv6 basic');
  script.through('t4/enabled', '1');
  script.through('t4/enabled', '1');
  say('dyn: link down next');
  devClose(dev);
  say('dyn: while down');
  devOpen(dev);
  world.runFor(1e6);
  say('dyn: after up');
  devClose(dev);
  devChangeName(dev, 'renamed0');
  devOpen(dev);
  world.runFor(1e6);
  const renamed = ['t1', 't2'].map((name) => `${configfs.read(`${name}/dev_name`)}${configfs.read(`${name}/enabled`)}`);
  say('dyn: after rename');
  const removed = configfs.rmdir('t2');
  say('dyn: t2 removed');
  // The machine was off before the thread of the basic console had its turn.
  for (const name of ['t3', 't4']) netconsole.find(name)!.state = STATE_DISABLED;
  say('sysrq: Power Off');

  it('every write has the verdict of the kernel, and the attribute shows what it showed there', () => {
    expect([script.wrong, script.left(), rows.length]).toEqual([[], 0, 137]);
    expect(tooLong).toBe(-36);
    expect(shownByDefault).toEqual(
      [
        ...['dev_name=eth0', 'enabled=0', 'extended=0', 'local_ip=0.0.0.0', 'local_mac=ff:ff:ff:ff:ff:ff'],
        ...['local_port=6665', 'release=0', 'remote_ip=0.0.0.0', 'remote_mac=ff:ff:ff:ff:ff:ff', 'remote_port=6666'],
        'transmit_errors=0',
      ].map((line) => `${line}\n`),
    );
  });

  it('the log has the same lines, ours among them', () => {
    const lines = dmesg.map((_, i) => {
      const record = printk.record(first + i)!;
      return `<${record.facility * 8 + record.level}>${decodeText(record.text)}`;
    });
    // Our cards sit on no bus whose name would stand in front.
    const theirs = dmesg.map(({ prio, text }) => `<${prio}>${decodeText(text).replace('virtio_net virtio0 ', '')}`);
    expect(lines).toEqual(theirs);
  });

  it('every datagram is the same: userdata, sysdata, release, fragments, four targets, IPv4 and IPv6', () => {
    for (const [port, count] of [
      [6667, 167],
      [6670, 25],
      [6666, 23],
    ] as const) {
      const result = compareFrames(replay.sent, frames, port);
      expect([port, result.differences, result.equal, result.of]).toEqual([port, [], count, count]);
    }
    expect(replay.sent.length).toBe(215);
  });

  it('a target keeps its device when that is renamed, and is gone when its folder is', () => {
    expect(renamed).toEqual(['renamed0\n1\n', 'renamed0\n1\n']);
    expect([removed, configfs.list('')]).toEqual([0, ['t1/', 't3/', 't4/']]);
  });
});

/** Where 6.1 judged otherwise than 7.2, whose rules ours are: the rows, and why. */
const JUDGED_ELSE_BY_61: readonly (readonly [RegExp, string])[] = [
  [
    /local_ip <10\.77\.0(\.256)?> taken/,
    'it took any text without a colon for an IPv4 address; we refuse what is none',
  ],
  [
    /_ip <10\.77\.0\.[12]\n?> refused/,
    'once the target was IPv6, it refused IPv4 for good; with us the last one counts',
  ],
  [/release <[^>]*> refused/, 'it had no such attribute'],
  [/extended <(true|y)> refused/, 'it understood figures only; we understand words, too'],
];

describe('targets made through configfs, as in a recording of 6.1', () => {
  const frames = recordedFrames('dyn-k61');
  const { rows, dmesg } = resultLog('dyn-k61');
  const extended = frames.filter(({ port }) => port === 6667).map(({ payload }) => parseExtendedHeader(payload)!);
  const started = dmesg.findIndex(({ tsUs }) => String(tsUs) === extended[0]!.usec);
  const first = Number(extended[0]!.seq) - started;
  for (const [text, tsUs] of [
    ['dyn: t2 removed', 15238179],
    ['sysrq: Power Off', 16306993],
  ] as const) {
    dmesg.push({ prio: text.startsWith('dyn') ? 14 : 6, tsUs, text: new TextEncoder().encode(text) });
  }
  // Its banner has other words, so its log is sent as it was recorded; ours is silent.
  const replay = replayMachine(MAC, ['10.77.0.201']);
  const { machine, net, world, dev } = replay;
  machine.printk.consoleLoglevel = 0;
  const netconsole = createNetconsole(net, [], { messageMax: { extended: MESSAGE_MAX, basic: CONSOLE_LOG_MAX } });
  const { configfs } = netconsole;
  const log = new Printk(machine);
  log.consoleLoglevel = 8;
  while (log.nextSeq < first) log.info('before');
  for (const console of netconsole.consoles) log.registerConsole(console);
  recordedClock(replay, log, (seq) => dmesg[seq - first]?.tsUs ?? 0, frames);

  const until = (words: string): void => {
    for (;;) {
      const record = dmesg[log.nextSeq - first]!;
      if (decodeText(record.text).startsWith(words)) return;
      log.printk(record.prio & 7, record.text, { facility: record.prio >> 3 });
      world.runFor(1e6);
    }
  };
  const write = (path: string, value: string): void => expect(configfs.write(path, value)).toBe(value.length);
  const make = (name: string, values: Record<string, string>): void => {
    expect(configfs.mkdir(name)).toBe(0);
    for (const [attribute, value] of Object.entries(values)) write(`${name}/${attribute}`, value);
  };

  const addresses = { local_ip: 'fd00:77::2', remote_ip: 'fd00:77::1', remote_mac: '52:54:00:00:00:77' };
  make('t1', { ...addresses, remote_port: '6667', extended: '1' });
  until('netconsole: target (t1)');
  write('t1/enabled', '1');
  until('dyn: while disabled');
  write('t1/enabled', '0');
  until('dyn: with release');
  write('t1/enabled', '1');
  until('dyn: second target');
  make('t2', { ...addresses, remote_port: '6670', enabled: '1' });
  until('netpoll: netconsole: local IP 10.77.0.201');
  until('netconsole: network logging started');
  // In 6.1 a target heard of its own start only from the next line on.
  log.printk(6, 'netconsole: network logging started');
  make('t3', { enabled: '1' });
  until('netconsole: target (t4)');
  make('t4', { enabled: '1' });
  until('dyn: while down');
  devClose(dev);
  until('dyn: after up');
  devOpen(dev);
  world.runFor(1e6);
  until('virtio_net');
  devClose(dev);
  until('dyn: after rename');
  devOpen(dev);
  world.runFor(1e6);
  until('dyn: t2 removed');
  configfs.rmdir('t2');
  until('sysrq');
  const last = dmesg.at(-1)!;
  log.printk(last.prio, last.text);
  world.runFor(1e6);

  it('every datagram is the same', () => {
    for (const [port, count] of [
      [6667, 45],
      [6670, 22],
      [6666, 22],
    ] as const) {
      const result = compareFrames(replay.sent, frames, port);
      expect([port, result.differences, result.equal, result.of]).toEqual([port, [], count, count]);
    }
  });

  it('every write has the verdict of the kernel, but for those which the table tells', () => {
    const fresh = createNetconsole(replayMachine(MAC, ['10.77.0.201', 'fd00:77::2']).net, []).configfs;
    const differing = rows.filter(({ path, value, ok }) => {
      if (typeof fresh.list(path.slice(0, 2)) === 'number') fresh.mkdir(path.slice(0, 2));
      return fresh.write(path, value) >= 0 !== ok;
    });
    const untold = differing
      .map(({ path, value, ok }) => `${path} <${value}> ${ok ? 'taken' : 'refused'}`)
      .filter((row) => !JUDGED_ELSE_BY_61.some(([pattern]) => pattern.test(row)));
    expect(untold).toEqual([]);
    expect([rows.length, differing.length]).toEqual([108, 18]);
  });
});
