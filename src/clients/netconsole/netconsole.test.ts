import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { netifDeviceDetach } from '../../device/net_device.ts';
import { panic } from '../../machine/panic.ts';
import { Loglevel } from '../../machine/printk.ts';
import { netconsoleRig } from './netconsole.fixture.ts';

const target = (port: number): string => `@10.0.0.1/eth0,${port}@10.0.0.2/02:00:00:00:00:02`;
const texts = (sent: readonly string[], port: number): string[] =>
  sent
    .filter((line) => line.startsWith(`eth0:${port} `))
    .map((line) =>
      line
        .slice(10)
        .replace(/^\[ .*?\] /, '')
        .trimEnd(),
    );

describe('netconsole', () => {
  it('shows the boot targets what the log holds, and a later one only what is new', () => {
    const { netconsole, machine, sent } = netconsoleRig(`${target(6666)};+r${target(6667)}`);
    expect(texts(sent, 6666)[0]).toBe('netconsole: netconsole: local port 6665');
    expect(texts(sent, 6667)[0]).toBe('6.1.0-test,6,0,0,-;netconsole: netconsole: local port 6665');
    expect(texts(sent, 6667).at(-1)).toMatch(/^6\.1\.0-test,6,\d+,0,-;netconsole: network logging started$/);
    const { configfs } = netconsole;
    configfs.mkdir('late');
    for (const [name, value] of [
      ['remote_ip', '10.0.0.2'],
      ['remote_port', '6668'],
      ['enabled', '1'],
    ]) {
      expect(configfs.write(`late/${name}`, value!)).toBe(value!.length);
    }
    machine.printk.info('hello');
    expect(texts(sent, 6668)).toEqual(['netconsole: network logging started', 'hello']);
  });

  it('serves the newest target first, all of a message before the next target', () => {
    const { machine, sent } = netconsoleRig(`+${target(6666)};+${target(6667)}`);
    sent.length = 0;
    machine.printk.info('\x01'.repeat(500));
    const ports = sent.map((line) => line.slice(5, 9));
    expect(ports).toEqual(['6667', '6667', '6667', '6666', '6666', '6666']);
  });

  it('shows each target the records below the console’s level, and numbers all of them', () => {
    const { machine, sent } = netconsoleRig(`+${target(6666)}`);
    sent.length = 0;
    const first = machine.printk.nextSeq;
    machine.printk.consoleLoglevel = 5;
    for (const level of [4, 5, 3, 7]) machine.printk.printk(level, `level ${level}`);
    expect(texts(sent, 6666)).toEqual([`4,${first},0,-;level 4`, `3,${first + 2},0,-;level 3`]);
    machine.printk.ignoreLoglevel = true;
    machine.printk.printk(Loglevel.DEBUG, 'all');
    expect(texts(sent, 6666).at(-1)).toBe(`7,${first + 4},0,-;all`);
  });

  it('with oops_only is silent until the machine is in trouble', () => {
    const { machine, sent, netconsole } = netconsoleRig(target(6666), { oopsOnly: true });
    machine.printk.info('all is well');
    expect(sent).toEqual([]);
    netconsole.oopsOnly = false;
    machine.printk.info('shown');
    netconsole.oopsOnly = true;
    machine.printk.info('not shown');
    panic(machine, 'out of coffee');
    const lines = texts(sent, 6666);
    expect(lines.slice(0, 2)).toEqual(['shown', 'Kernel panic - not syncing: out of coffee']);
    expect(lines.at(-1)).toBe('---[ end Kernel panic - not syncing: out of coffee ]---');
  });

  it('shows time, caller and priority as the system is set', () => {
    const { machine, sent } = netconsoleRig(target(6666));
    sent.length = 0;
    machine.printk.time = false;
    machine.printk.info('bare');
    machine.printk.syslogFormat = true;
    machine.printk.printk(3, 'with priority', { facility: 1 });
    machine.printk.time = true;
    machine.printk.printk(6, 'with all', { caller: 'T7' });
    expect(sent.map((line) => line.slice(10))).toEqual([
      'bare\n',
      '<11>with priority\n',
      '<6>[    0.000000][    T7] with all\n',
    ]);
  });

  it('counts what the device refuses, a datagram each', () => {
    const { machine, net, netconsole, sent } = netconsoleRig(`+${target(6666)}`);
    sent.length = 0;
    netifDeviceDetach(net.byName('eth0')!);
    machine.printk.info('lost');
    machine.printk.info('\x01'.repeat(500));
    expect([sent, netconsole.configfs.read('cmdline0/transmit_errors')]).toEqual([[], '4\n']);
  });

  it('does not enable a release without the extended format, and says why', () => {
    const { netconsole, log, machine } = netconsoleRig(null);
    const { configfs } = netconsole;
    configfs.mkdir('t');
    configfs.write('t/release', '1');
    const from = machine.printk.nextSeq;
    expect(configfs.write('t/enabled', '1')).toBe(-Errno.EINVAL);
    expect(log(from)).toEqual([
      '<3>netconsole: Not enabling netconsole. Release feature requires extended log message',
    ]);
    configfs.write('t/extended', '1');
    expect(configfs.write('t/enabled', '1')).toBe(1);
  });

  it('keeps a boot target whose device is not there, disabled, until it is enabled', () => {
    const rig = netconsoleRig('@10.0.0.1/eth1,@10.0.0.2/');
    expect(rig.log().slice(-4)).toEqual([
      "<3>netpoll: netconsole: eth1 doesn't exist, aborting",
      '<3>netconsole: Not enabling netconsole for cmdline0. Netpoll setup failed',
      '<6>printk: console [netcon0] enabled',
      '<6>netconsole: network logging started',
    ]);
    const { configfs } = rig.netconsole;
    expect(configfs.write('cmdline0/enabled', '1')).toBe(-Errno.ENODEV);
    rig.device('eth1', 2);
    expect([configfs.write('cmdline0/enabled', '1'), configfs.read('cmdline0/enabled')]).toEqual([1, '1\n']);
  });

  it('lets a world open the device; what that throws is a line of the log and an errno', () => {
    const opened: string[] = [];
    const rig = netconsoleRig(null, {
      openDevice: (np) => {
        opened.push(np.devName);
        if (np.devName === 'bad0') throw new Error('bad0: no such interface on this host');
        if (rig.net.byName(np.devName) === undefined) rig.device(np.devName, 5);
      },
    });
    const { configfs } = rig.netconsole;
    configfs.mkdir('t');
    configfs.write('t/dev_name', 'bad0');
    expect(configfs.write('t/enabled', '1')).toBe(-Errno.ENODEV);
    expect(rig.log().at(-1)).toBe('<3>netconsole: bad0: no such interface on this host');
    configfs.write('t/dev_name', 'good0');
    expect([configfs.write('t/enabled', '1'), opened]).toEqual([1, ['bad0', 'good0']]);
  });

  it('keeps the address that it took from the device as its own', () => {
    const { configfs } = netconsoleRig('@/eth0,@10.0.0.2/').netconsole;
    configfs.write('cmdline0/enabled', '0');
    expect(configfs.read('cmdline0/local_ip')).toBe('10.0.0.1\n');
  });

  it('tells who printed, what runs, and a number without gaps, behind extended messages only', () => {
    const { netconsole, machine, sent } = netconsoleRig(`+${target(6666)};${target(6667)}`);
    const { configfs } = netconsole;
    for (const name of ['cmdline0', 'cmdline1']) {
      for (const each of ['cpu_nr', 'taskname', 'release', 'msgid'])
        configfs.write(`${name}/userdata/${each}_enabled`, '1');
      configfs.mkdir(`${name}/userdata/cpu`);
      configfs.write(`${name}/userdata/cpu/value`, 'mine\n');
    }
    sent.length = 0;
    machine.printk.printk(6, 'one', { taskname: 'a name of more than 15 bytes' });
    machine.printk.printk(7, 'not shown');
    machine.printk.info('two');
    const behind = (taskname: string, n: number): string =>
      `\n cpu=mine\n cpu=0\n taskname=${taskname}\n release=6.1.0-test\n msgid=${n}`;
    expect(texts(sent, 6666).map((text) => text.replace(/^[^;]*;/, ''))).toEqual([
      `one${behind('a name of more ', 1)}`,
      `two${behind('swapper/0', 2)}`,
    ]);
    expect(texts(sent, 6667)).toEqual(['one', 'two']);
  });

  it('sends after it was closed nothing, and holds no device', () => {
    const { netconsole, machine, sent, net, log } = netconsoleRig(`+${target(6666)};${target(6667)}`);
    const before = sent.length;
    netconsole.close();
    machine.printk.info('after');
    expect([sent.length, net.byName('eth0')!.npinfo]).toEqual([before, null]);
    expect(log().slice(-3)).toEqual([
      '<6>printk: console [netcon_ext0] disabled',
      '<6>printk: console [netcon0] disabled',
      '<6>after',
    ]);
  });
});
