import { describe, expect, it } from 'vitest';
import { devChangeName } from '../../device/change.ts';
import { NetdevEvent } from '../../device/netdev_event.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { freeNetdev, unregisterNetdevice } from '../../device/register.ts';
import { type NetconsoleRig, netconsoleRig } from './netconsole.fixture.ts';

const BY_NAME = '@10.0.0.1/eth0,@10.0.0.2/';
const BY_MAC = '@10.0.0.1/02:00:00:00:00:01,@10.0.0.2/';

/** The lines that come out, and those of the log, while `act` runs and one more line is printed. */
function during(rig: NetconsoleRig, act: () => void): { sent: string[]; log: string[] } {
  const [sentBefore, from] = [rig.sent.length, rig.machine.printk.nextSeq];
  act();
  rig.machine.turn();
  rig.machine.printk.info('and then');
  const strip = (line: string): string => line.replace(/\[ .*?\] /, '').trimEnd();
  return { sent: rig.sent.slice(sentBefore).map(strip), log: rig.log(from).slice(0, -1) };
}

describe('when its interface', () => {
  it('goes down, a target leaves messages out, uncounted as errors, and goes on when it is up again', () => {
    const rig = netconsoleRig(BY_NAME);
    const dev = rig.net.byName('eth0')!;
    expect(during(rig, () => devClose(dev)).sent).toEqual([]);
    const target = rig.netconsole.targets[0]!;
    expect([target.enabled, target.transmitErrors, target.skippedDown]).toEqual([true, 0, 1]);
    expect(during(rig, () => void devOpen(dev)).sent).toEqual(['eth0:6666 and then']);
  });

  it('is renamed, a target follows', () => {
    const rig = netconsoleRig(BY_NAME);
    const { sent, log } = during(rig, () => void devChangeName(rig.net.byName('eth0')!, 'lan0'));
    expect(sent).toEqual(['lan0:6666 lan0: renamed from eth0', 'lan0:6666 and then']);
    expect(log).toEqual(['<6>lan0: renamed from eth0']);
    expect(rig.netconsole.configfs.read('cmdline0/dev_name')).toBe('lan0\n');
  });

  it.each([
    [NetdevEvent.JOIN, 'is joining a master device'],
    [NetdevEvent.RELEASE, 'released slaves'],
  ] as const)('has event %i, its targets stop for good, and others do not', (event, words) => {
    const rig = netconsoleRig(`${BY_NAME};@10.0.0.1/eth0,6667@10.0.0.2/`);
    const dev = rig.net.byName('eth0')!;
    rig.device('eth1', 2);
    const { configfs } = rig.netconsole;
    configfs.mkdir('t');
    configfs.write('t/dev_name', 'eth1');
    configfs.write('t/remote_ip', '10.0.0.2');
    configfs.write('t/remote_port', '6668');
    configfs.write('t/enabled', '1');
    const line = `network logging stopped on interface eth0 as it ${words}`;
    const { sent, log } = during(rig, () => void rig.net.notify(event, dev));
    expect(log).toEqual([`<6>netconsole: ${line}`]);
    expect(sent).toEqual([`eth1:6668 netconsole: ${line}`, 'eth1:6668 and then']);
    expect(['cmdline0', 'cmdline1', 't'].map((name) => configfs.read(`${name}/enabled`))).toEqual([
      '0\n',
      '0\n',
      '1\n',
    ]);
    // A name that appears does not bring it back.
    expect(during(rig, () => void devChangeName(dev, 'slave0')).log).toEqual(['<6>slave0: renamed from eth0']);
    expect(dev.npinfo).toBe(null);
  });

  it.each([
    ['by name', BY_NAME],
    ['by address', BY_MAC],
  ])('is unregistered, a target bound %s stops, and resumes when it is there again', (_how, param) => {
    const rig = netconsoleRig(param);
    const dev = rig.net.byName('eth0')!;
    const gone = during(rig, () => unregisterNetdevice(dev));
    expect(gone).toEqual({
      sent: [],
      log: ['<6>netconsole: network logging stopped on interface eth0 as it unregistered'],
    });
    freeNetdev(dev);
    const { configfs } = rig.netconsole;
    expect([configfs.read('cmdline0/enabled'), configfs.read('cmdline0/dev_name')]).toEqual([
      '0\n',
      param === BY_MAC ? '\n' : 'eth0\n',
    ]);
    // Another device is none of its business.
    expect(during(rig, () => void rig.device('eth7', 7)).log).toEqual([]);
    const back = during(rig, () => void rig.device(param === BY_MAC ? 'eth3' : 'eth0', param === BY_MAC ? 1 : 9));
    const name = param === BY_MAC ? 'eth3' : 'eth0';
    expect(back.log).toEqual([`<6>netconsole: network logging resumed on interface ${name}`]);
    expect(back.sent).toEqual([
      `${name}:6666 netconsole: network logging resumed on interface ${name}`,
      `${name}:6666 and then`,
    ]);
    expect(configfs.read('cmdline0/enabled')).toBe('1\n');
  });

  it('comes back under another name and gets its own later, a target resumes then', () => {
    const rig = netconsoleRig(BY_NAME);
    unregisterNetdevice(rig.net.byName('eth0')!);
    const dev = rig.device('temp0');
    expect(during(rig, () => {}).sent).toEqual([]);
    const { log } = during(rig, () => void devChangeName(dev, 'eth0'));
    expect(log.at(-1)).toBe('<6>netconsole: network logging resumed on interface eth0');
  });

  it('comes back and refuses netpoll, a target is disabled after one attempt', () => {
    const rig = netconsoleRig('@/eth0,@10.0.0.2/');
    unregisterNetdevice(rig.net.byName('eth0')!);
    const { log } = during(rig, () => {
      rig.device('eth0').netpollDisabled = true;
    });
    expect(log.at(-1)).toBe("<3>netpoll: netconsole: eth0 doesn't support polling, aborting");
    const again = during(rig, () => {
      unregisterNetdevice(rig.net.byName('eth0')!);
      rig.device('eth0');
    });
    expect([again.log, rig.netconsole.configfs.read('cmdline0/enabled')]).toEqual([[], '0\n']);
  });

  it.each(['0', '1'])('is gone, writing %s to enabled ends the waiting', (value) => {
    const rig = netconsoleRig(BY_NAME);
    unregisterNetdevice(rig.net.byName('eth0')!);
    expect(rig.netconsole.configfs.write('cmdline0/enabled', value)).toBe(value === '0' ? -22 : -19);
    expect(during(rig, () => void rig.device('eth0')).log).toEqual([]);
  });

  it('is gone, and the target is taken away or netconsole closed, nothing resumes', () => {
    for (const end of ['rmdir', 'close'] as const) {
      const rig = netconsoleRig(BY_NAME);
      unregisterNetdevice(rig.net.byName('eth0')!);
      rig.device('eth0');
      if (end === 'rmdir') rig.netconsole.configfs.rmdir('cmdline0');
      else rig.netconsole.close();
      expect(during(rig, () => {}).sent).toEqual([]);
      expect(rig.net.byName('eth0')!.npinfo).toBe(null);
    }
  });
});
