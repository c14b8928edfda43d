/**
 * The kernel's own netconsole self-tests (tools/testing/selftests/drivers/net/netcons_*), with our netconsole as the sender.
 *
 *     netpoll netconsole run --packet:v0--> veth --+--> socat, as the scripts have it
 *          ^ control socket                        +--> netpoll collect --listen packet:v0:6666
 *
 * Addresses, ports, messages, keys and values are the scripts'. What they write to configfs goes to our tree. Over_bonding and
 * netpoll_basic are in src/clients/netconsole/selftests.test.ts, on simulated machines.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlClient, connectControl } from '../../src/cli/netconsole_control.ts';
import type { Message } from '../../src/collector/index.ts';
import type { Child } from './child.ts';
import { lacks, titled } from './needs.ts';
import { scratch } from './peers.ts';
import { type VethPair, vethPair } from './rig.ts';
import { BASE_MESSAGE, fragmentsText, LONG_MESSAGES, LONG_VALUE } from './selftest_messages.ts';

const lacking = lacks({ root: true, tools: ['ip', 'sysctl', 'socat'] });
const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'netpoll.js');
const READY_MS = 20_000;
const ADDRESSES = { ipv4: ['192.0.2.1', '192.0.2.2'], ipv6: ['fc00::1', 'fc00::2'] } as const;
const PORT = '6666';

describe.skipIf(lacking !== undefined)(titled('the kernel’s netconsole self-tests, sent by ours', lacking), () => {
  const folder = scratch('selftests');
  let pair: VethPair;
  let instance: Child;
  let socat: Child;
  let collector: Child;
  let control: ControlClient;
  let count = 0;

  beforeAll(async () => {
    pair = await vethPair('selftests');
    for (const [end, n] of [
      [pair.a, 1],
      [pair.b, 2],
    ] as const) {
      await end.space.run(['sysctl', '-qw', `net.ipv6.conf.${end.device}.disable_ipv6=0`]);
      await end.space.ip('addr', 'add', `192.0.2.${n}/24`, 'dev', end.device);
      await end.space.ip('addr', 'add', `fc00::${n}/64`, 'dev', end.device, 'nodad');
    }
    socat = await pair.b.space.start(['socat', '-u', `UDP6-RECV:${PORT},ipv6only=0`, 'STDOUT']);
    await socat.says(/^/, READY_MS);
    collector = await pair.b.space.start([
      process.execPath,
      PROGRAM,
      'collect',
      '--listen',
      `packet:${pair.b.device}:${PORT}`,
      '--jsonl',
      '--no-http',
    ]);
    await collector.bindsPacket(1, READY_MS);
    const path = join(folder.path, 'control');
    instance = await pair.a.space.start([process.execPath, PROGRAM, 'netconsole', 'run', '--stay', '--control', path]);
    await instance.says(/control\s/, READY_MS);
    control = await connectControl(path);
  });
  afterAll(async () => {
    control?.close();
    await instance?.stop('SIGINT');
    await collector?.stop('SIGINT');
    await pair?.remove();
    folder.discard();
  });

  const set = async (path: string, value: string): Promise<void> => {
    const { answer, log } = await control.ask('write', path, value);
    if (answer !== value.length) throw new Error(`${path} <${value}>: ${JSON.stringify(answer)} ${log.join(' / ')}`);
  };
  /** create_dynamic_target */
  const makeTarget = async (ip: 'ipv4' | 'ipv6', extended: boolean): Promise<string> => {
    const name = `netcons_${String(process.pid).slice(-3)}${count++}`;
    expect((await control.ask('mkdir', name)).answer).toBe(0);
    await set(`${name}/remote_ip`, ADDRESSES[ip][1]);
    await set(`${name}/local_ip`, ADDRESSES[ip][0]);
    await set(`${name}/remote_mac`, pair.b.mac);
    await set(`${name}/dev_name`, pair.a.device);
    await set(`${name}/release`, '0');
    await set(`${name}/extended`, extended ? '1' : '0');
    await set(`${name}/enabled`, '1');
    return name;
  };
  const setUserdata = async (target: string, value = 'value'): Promise<void> => {
    await control.ask('mkdir', `${target}/userdata/key`);
    await set(`${target}/userdata/key/value`, value);
  };
  const removeTarget = async (target: string): Promise<void> => {
    await set(`${target}/enabled`, '0');
    await control.ask('rmdir', `${target}/userdata/key`);
    expect((await control.ask('rmdir', target)).answer).toBe(0);
  };
  /** What socat has got since, and the collector's messages since, once both have `words`. */
  const heard = async (
    words: string,
    act: () => Promise<unknown>,
    alsoWords = '',
  ): Promise<{ file: string; messages: Message[] }> => {
    const [from, lines] = [socat.stdout.length, collector.lines.length];
    await act();
    const file = (): string => socat.stdout.subarray(from).toString('latin1');
    const messages = (): Message[] => collector.lines.slice(lines).map((line) => JSON.parse(line) as Message);
    const arrived = (): boolean => [words, alsoWords].every((each) => fragmentsText(file()).includes(each));
    await socat.until(`"${words}" at socat`, arrived);
    await collector.until(`"${words}" at the collector`, () => messages().some(({ text }) => text.includes(words)));
    return { file: file(), messages: messages() };
  };
  const echo = (text: string) => (): Promise<unknown> => control.ask('kmsg', '', text);

  it.each([
    ['basic', 'ipv6'],
    ['basic', 'ipv4'],
    ['extended', 'ipv6'],
    ['extended', 'ipv4'],
  ] as const)('netcons_basic.sh: %s over %s', async (format, ip) => {
    const target = await makeTarget(ip, format === 'extended');
    if (format === 'extended') await setUserdata(target);
    const message = `${BASE_MESSAGE}: ${target}`;
    const { file, messages } = await heard(message, echo(message));
    expect(file).toContain(message);
    expect(file.includes('key=value')).toBe(format === 'extended');
    expect(messages.filter(({ text }) => text === message)).toMatchObject([
      { host: ADDRESSES[ip][0], format, dict: format === 'extended' ? { key: 'value' } : {} },
    ]);
    await removeTarget(target);
  });

  it.each(['ifname', 'mac'])('netcons_cmdline.sh: device bound by %s', async (bind) => {
    const device = bind === 'mac' ? pair.a.mac : pair.a.device;
    const param = `+1514@192.0.2.1/${device},${PORT}@192.0.2.2/${pair.b.mac}`;
    const path = join(folder.path, `cmdline-${bind}`);
    const other = await pair.a.space.start([
      process.execPath,
      PROGRAM,
      'netconsole',
      'run',
      param,
      '--stay',
      '--control',
      path,
    ]);
    await other.says(/target\s+cmdline0, enabled/, READY_MS);
    const client = await connectControl(path);
    const message = `${BASE_MESSAGE}: netcons_cmdline_${bind}`;
    const { file } = await heard(message, () => client.ask('kmsg', '', message));
    expect(file).toContain(message);
    expect((await client.ask('mkdir', 'cmdline0')).answer).toBe(0);
    expect((await client.ask('read', 'cmdline0/local_port')).answer).toBe('1514\n');
    client.close();
    expect(await other.stop('SIGINT')).toEqual({ code: 0, signal: null });
  });

  it('netcons_fragmented_msg.sh: with and without release', async () => {
    const target = await makeTarget('ipv4', true);
    await setUserdata(target, LONG_VALUE);
    for (const [release, message] of [
      ['1', LONG_MESSAGES[0]],
      ['0', LONG_MESSAGES[1]],
    ] as const) {
      await set(`${target}/enabled`, '0');
      await set(`${target}/release`, release);
      await set(`${target}/enabled`, '1');
      const { file, messages } = await heard(message, echo(message), LONG_VALUE);
      expect(file.match(/ncfrag=\d+\/\d+/g)!.length).toBeGreaterThanOrEqual(2);
      const whole = fragmentsText(file);
      expect([whole.includes(message), whole.includes(LONG_VALUE)]).toEqual([true, true]);
      expect(messages.filter(({ text }) => text === message)).toMatchObject([{ dict: { key: LONG_VALUE } }]);
      expect(messages.at(-1)!.release === null).toBe(release === '0');
    }
    await removeTarget(target);
  });

  it('netcons_sysdata.sh: everything on, with userdata too, everything off', async () => {
    const target = await makeTarget('ipv6', true);
    const names = ['cpu_nr', 'taskname', 'release', 'msgid'];
    const uname = (await pair.a.space.run(['uname', '-r'])).stdout.trim();
    for (const name of names) await set(`${target}/userdata/${name}_enabled`, '1');
    for (const round of [1, 2]) {
      if (round === 2) await setUserdata(target);
      const message = `${BASE_MESSAGE}: ${target} ${round}`;
      const { file, messages } = await heard(message, echo(message));
      expect(file).toMatch(/^ cpu=0$/m);
      expect(file).toMatch(/^ taskname=netpoll$/m);
      expect(file).toContain(` release=${uname}\n`);
      expect(file).toMatch(/msgid=\d+$/m);
      expect(file.includes('key=value')).toBe(round === 2);
      expect(messages.at(-1)!.dict).toMatchObject({ cpu: '0', taskname: 'netpoll', release: uname, msgid: `${round}` });
    }
    for (const name of names) await set(`${target}/userdata/${name}_enabled`, '0');
    const message = `${BASE_MESSAGE}: ${target} 3`;
    const { file } = await heard(message, echo(message));
    for (const field of ['cpu=', 'taskname=', 'release=', 'msgid=']) expect(file).not.toContain(field);
    await removeTarget(target);
  });

  it('netcons_overflow.sh: 256 keys, and not one more', async () => {
    const target = await makeTarget('ipv4', true);
    for (let n = 1; n <= 256; n++) {
      expect((await control.ask('mkdir', `${target}/userdata/key${n}`)).answer).toBe(0);
      await set(`${target}/userdata/key${n}/value`, `value${n}`);
    }
    expect((await control.ask('mkdir', `${target}/userdata/key257`)).answer).toBe(-28);
    const message = `${BASE_MESSAGE}: ${target}`;
    const { messages } = await heard(message, echo(message));
    expect(Object.keys(messages.at(-1)!.dict)).toHaveLength(256);
    for (let n = 1; n <= 256; n++) await control.ask('rmdir', `${target}/userdata/key${n}`);
    await removeTarget(target);
  });

  it('netcons_torture.sh: messages while targets come and go and the link goes down and up', async () => {
    const target = await makeTarget('ipv6', true);
    await setUserdata(target);
    const writes = async (): Promise<void> => {
      for (let i = 0; i < 150 * 10; i++) await control.ask('kmsg', '', `${BASE_MESSAGE}: ${target} ${i}`);
    };
    const toggles = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        await control.ask('write', `${target}/enabled`, '0');
        for (let again = 0; again < 5; again++) await control.ask('write', `${target}/enabled`, '1');
      }
    };
    const strangers = async (): Promise<void> => {
      for (let i = 0; i < 6; i++) {
        await control.ask('mkdir', `random${i}`);
        await set(`random${i}/dev_name`, pair.a.device);
        await set(`random${i}/remote_ip`, '192.0.2.2');
        await set(`random${i}/enabled`, '1');
        await control.ask('kmsg', '', `${BASE_MESSAGE}: random${i}`);
        await set(`random${i}/enabled`, '0');
        expect((await control.ask('rmdir', `random${i}`)).answer).toBe(0);
      }
    };
    const link = async (): Promise<void> => {
      for (const state of ['down', 'up', 'down', 'up']) await pair.a.space.ip('link', 'set', pair.a.device, state);
    };
    await Promise.all([writes(), toggles(), strangers(), link()]);
    // An address of IPv6 goes with the link; the target has it written down.
    const message = `${BASE_MESSAGE}: ${target} after`;
    expect((await heard(message, echo(message))).file).toContain(message);
    expect(instance.end).toBeUndefined();
    await removeTarget(target);
  });

  it.each(['ifname', 'mac'])('netcons_resume.sh: the interface goes and comes back, bound by %s', async (bind) => {
    const { space } = pair.a;
    const mac = '02:00:00:00:00:77';
    const create = async (name: string): Promise<void> => {
      await space.ip('link', 'add', name, 'address', mac, 'type', 'veth', 'peer', 'name', 'peer0');
      await space.ip('link', 'set', 'peer0', 'up');
      await space.ip('link', 'set', name, 'up');
    };
    await create('res0');
    const param = `+1514@192.0.2.1/${bind === 'mac' ? mac : 'res0'},${PORT}@192.0.2.2/${pair.b.mac}`;
    const path = join(folder.path, `resume-${bind}`);
    const argv = [process.execPath, PROGRAM, 'netconsole', 'run', param, '--stay', '--json', '--control', path];
    const other = await space.start(argv);
    await other.says(/target\s+cmdline0, enabled/, READY_MS);
    const client = await connectControl(path);
    // The script waits two seconds; a busy machine may take longer.
    const shows = async (attribute: string, value: string): Promise<void> => {
      const deadline = performance.now() + 10_000;
      for (;;) {
        const { answer } = await client.ask('read', `cmdline0/${attribute}`);
        if (answer === `${value}\n`) return;
        if (performance.now() > deadline) throw new Error(`${attribute} is ${String(answer)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const is = async (state: string): Promise<void> => await shows('enabled', state);
    await is('1');
    await space.ip('link', 'del', 'res0');
    await is('0');
    await create(bind === 'mac' ? 'other0' : 'res0');
    await is('1');
    const name = bind === 'mac' ? 'other0' : 'res0';
    expect((await client.ask('read', 'cmdline0/dev_name')).answer).toBe(`${name}\n`);
    // Down: left out. Up: sent. Renamed: followed.
    const sent = async (): Promise<number> => Number(await space.statistic('peer0', 'rx_packets'));
    await space.ip('link', 'set', name, 'down');
    const before = await sent();
    await client.ask('kmsg', '', 'while down');
    expect(await sent()).toBe(before);
    await space.ip('link', 'set', name, 'name', 'renamed0');
    await is('0');
    await space.ip('link', 'set', 'renamed0', 'up');
    await shows('dev_name', 'renamed0');
    await is('1');
    const quiet = await sent();
    await client.ask('kmsg', '', 'after the rename');
    expect(await sent()).toBe(quiet + 1);
    // Enslaved: stopped for good.
    await space.ip('link', 'add', 'br0', 'type', 'bridge');
    await space.ip('link', 'set', 'renamed0', 'master', 'br0');
    await is('0');
    client.close();
    await other.stop('SIGINT');
    await space.ip('link', 'del', 'br0');
    await space.ip('link', 'del', 'renamed0');
  });
});
