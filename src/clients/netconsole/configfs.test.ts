import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Errno } from '../../base/status.ts';
import { USERDATA_ITEMS_MAX } from './extradata.ts';
import { netconsoleRig } from './netconsole.fixture.ts';

describe('the tree of attributes', () => {
  it('shows targets, attributes, switches and keys', () => {
    const { configfs } = netconsoleRig('@/eth0,@10.0.0.2/').netconsole;
    expect([configfs.mkdir('t1'), configfs.mkdir('t1/userdata/k')]).toEqual([0, 0]);
    expect(configfs.list('')).toEqual(['cmdline0/', 't1/']);
    expect(configfs.list('t1')).toEqual([
      ...[
        'dev_name',
        'enabled',
        'extended',
        'local_ip',
        'local_mac',
        'local_port',
        'release',
        'remote_ip',
        'remote_mac',
      ],
      ...['remote_port', 'transmit_errors', 'userdata/'],
    ]);
    expect(configfs.list('t1/userdata')).toEqual([
      ...['cpu_nr_enabled', 'taskname_enabled', 'release_enabled', 'msgid_enabled', 'k/'],
    ]);
    expect(configfs.list('t1/userdata/k')).toEqual(['value']);
    expect(configfs.read('cmdline0/enabled')).toBe('1\n');
    expect(configfs.read('cmdline0/local_mac')).toBe('02:00:00:00:00:01\n');
    expect(configfs.read('t1/local_mac')).toBe('ff:ff:ff:ff:ff:ff\n');
  });

  it.each([
    ['mkdir', 't1', Errno.EEXIST],
    ['mkdir', 't1/more', Errno.EPERM],
    ['mkdir', 't1/userdata/k/more', Errno.EPERM],
    ['mkdir', 't1/enabled/more', Errno.ENOTDIR],
    ['mkdir', 't2/userdata', Errno.ENOENT],
    ['mkdir', 't1/userdata/k', Errno.EEXIST],
    ['mkdir', `t1/userdata/${'n'.repeat(54)}`, Errno.ENAMETOOLONG],
    ['mkdir', 'n'.repeat(256), Errno.ENAMETOOLONG],
    ['mkdir', '..', Errno.EINVAL],
    ['rmdir', 't2', Errno.ENOENT],
    ['rmdir', 't1', Errno.ENOTEMPTY],
    ['rmdir', 't1/userdata', Errno.EPERM],
    ['rmdir', '', Errno.EPERM],
    ['rmdir', 't1/enabled', Errno.ENOTDIR],
    ['rmdir', 't1/userdata/x', Errno.ENOENT],
    ['read', 't1', Errno.EISDIR],
    ['read', 't1/userdata', Errno.EISDIR],
    ['read', 't1/nothing', Errno.ENOENT],
    ['read', 't1/enabled/x', Errno.ENOTDIR],
    ['read', 't1/userdata/k/value/x', Errno.ENOTDIR],
    ['list', 't1/enabled', Errno.ENOTDIR],
    ['list', 't1/userdata/k/value', Errno.ENOTDIR],
    ['write', 't1', Errno.EISDIR],
    ['write', 't1/local_mac', Errno.EACCES],
    ['write', 't1/transmit_errors', Errno.EACCES],
    ['write', 't1/userdata/k', Errno.EISDIR],
    ['write', 't1/userdata/msgid_enabled', Errno.EINVAL],
    ['write', 'constructor', Errno.ENOENT],
    ['write', 't1/constructor', Errno.ENOENT],
  ] as const)('%s of %j is refused with the right errno', (operation, path, errno) => {
    const { configfs } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    configfs.mkdir('t1/userdata/k');
    const answer = operation === 'write' ? configfs.write(path, 'x') : configfs[operation](path);
    expect(answer).toBe(-errno);
  });

  it.each([
    ['local_port', '65536', Errno.ERANGE],
    ['local_port', '6665\n\n', Errno.EINVAL],
    ['dev_name', 'sixteencharacter', Errno.ENAMETOOLONG],
    ['remote_ip', '10.0.0.1/24', Errno.EINVAL],
    ['remote_mac', '02:00:00:00:00:0', Errno.EINVAL],
    ['extended', '', 0],
    ['enabled', 'maybe', Errno.EINVAL],
  ] as const)('%s takes no %j', (name, value, errno) => {
    const { configfs } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    const before = configfs.read(`t1/${name}`);
    expect(configfs.write(`t1/${name}`, value)).toBe(0 - errno);
    expect(configfs.read(`t1/${name}`)).toBe(before);
  });

  it.each(['1', 'y', 'Yes', 'on', 'ON', 't', 'true\n'])('a switch is turned on by %j', (value) => {
    const { configfs } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    expect([configfs.write('t1/extended', value), configfs.read('t1/extended')]).toEqual([value.length, '1\n']);
  });

  it('keeps one family for both addresses: the one written last', () => {
    const { configfs } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    configfs.write('t1/local_ip', '10.0.0.1');
    configfs.write('t1/remote_ip', 'fd00::2');
    expect([configfs.read('t1/local_ip'), configfs.read('t1/remote_ip')]).toEqual(['::\n', 'fd00::2\n']);
    configfs.write('t1/local_ip', '0.0.0.0');
    expect([configfs.read('t1/local_ip'), configfs.read('t1/remote_ip')]).toEqual(['0.0.0.0\n', '0.0.0.0\n']);
  });

  it('takes a boot target over once, and drops it for good', () => {
    const { netconsole, sent, machine, log } = netconsoleRig('@/eth0,@10.0.0.2/');
    const { configfs } = netconsole;
    expect([configfs.mkdir('cmdline0'), configfs.mkdir('cmdline0')]).toEqual([0, -Errno.EEXIST]);
    const from = machine.printk.nextSeq;
    expect([configfs.rmdir('cmdline0'), configfs.list('')]).toEqual([0, []]);
    const before = sent.length;
    machine.printk.info('after');
    expect([sent.length, log(from)]).toEqual([before, ['<6>printk: console [netcon0] disabled', '<6>after']]);
    expect(configfs.mkdir('cmdline0')).toBe(0);
    expect(configfs.read('cmdline0/enabled')).toBe('0\n');
  });

  it('holds 256 keys, and no more', () => {
    const { configfs } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    for (let i = 0; i < USERDATA_ITEMS_MAX; i++) {
      expect(configfs.mkdir(`t1/userdata/key${i}`)).toBe(0);
      expect(configfs.write(`t1/userdata/key${i}/value`, 'v'.repeat(199))).toBe(199);
    }
    expect(configfs.mkdir('t1/userdata/more')).toBe(-Errno.ENOSPC);
    expect(configfs.write('t1/userdata/key0/value', 'v'.repeat(200))).toBe(-Errno.EMSGSIZE);
    configfs.rmdir('t1/userdata/key7');
    expect(configfs.mkdir('t1/userdata/more')).toBe(0);
  });

  it('gives values back as they were written, less one newline, whatever their bytes', () => {
    const { configfs, targets } = netconsoleRig(null).netconsole;
    configfs.mkdir('t1');
    configfs.mkdir('t1/userdata/k');
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 199 }), (value) => {
        expect(configfs.write('t1/userdata/k/value', value)).toBe(value.length);
        const whole = value.at(-1) === 10 ? value.slice(0, -1) : value;
        expect(targets[0]!.extradata.items[0]!.value).toEqual(whole);
      }),
    );
  });

  it('never throws, whatever is asked of it', () => {
    const part = fc.constantFrom(
      '',
      '.',
      't1',
      't2',
      'cmdline0',
      'userdata',
      'enabled',
      'local_ip',
      'k',
      'value',
      '__proto__',
    );
    const path = fc.array(part, { maxLength: 5 }).map((parts) => parts.join('/'));
    const operation = fc.constantFrom('mkdir', 'rmdir', 'read', 'list', 'write');
    const value = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('1', '0', 'eth0', '10.0.0.1', 'fd00::1'));
    fc.assert(
      fc.property(fc.array(fc.tuple(operation, path, value), { maxLength: 30 }), (steps) => {
        const { netconsole, machine } = netconsoleRig('+@/eth0,@10.0.0.2/');
        for (const [each, where, what] of steps) {
          const { configfs } = netconsole;
          const answer = each === 'write' ? configfs.write(where, what) : configfs[each as 'read'](where);
          if (typeof answer === 'number' && each !== 'write') expect(answer).toBeLessThanOrEqual(0);
          machine.printk.info('meanwhile');
        }
        netconsole.close();
      }),
      { numRuns: 50 },
    );
  });
});
