import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeptSettings } from './kept_settings.ts';

describe('kept settings', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kept_settings-'));
    path = join(folder, 'budget');
    writeFileSync(path, '300\n');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const now = (): string => readFileSync(path, 'latin1').trim();
  const soon = (value: string) => expect.poll(now, { timeout: 5000 }).toBe(value);

  it('are changed at once, and put back when closed', async () => {
    const kept = new KeptSettings([{ path, value: '4' }]);
    expect(now()).toBe('4');
    expect(kept.before).toEqual([{ path, value: '300' }]);
    kept.close();
    await soon('300');
  });

  it.skipIf(process.getuid?.() !== 0)(
    '(skip: needs root) are put back in /proc/sys, too, whose files give a byte once',
    async () => {
      const sysctl = '/proc/sys/net/ipv4/icmp_msgs_burst';
      const before = readFileSync(sysctl, 'latin1').trim();
      const kept = new KeptSettings([{ path: sysctl, value: '4321' }]);
      expect(readFileSync(sysctl, 'latin1').trim()).toBe('4321');
      kept.close();
      await expect.poll(() => readFileSync(sysctl, 'latin1').trim(), { timeout: 5000 }).toBe(before);
    },
  );

  it('are left alone where they are what is wanted, or somebody has set them', () => {
    expect(new KeptSettings([{ path, value: '300' }]).before).toEqual([]);
    expect(new KeptSettings([{ path, value: '4' }], (value) => value === '0').before).toEqual([]);
    expect(now()).toBe('300');
  });

  it('that somebody else has changed meanwhile are his', async () => {
    const other = join(folder, 'weight');
    writeFileSync(other, '64\n');
    const kept = new KeptSettings([
      { path, value: '4' },
      { path: other, value: '1' },
    ]);
    writeFileSync(path, '17\n');
    kept.close();
    await expect.poll(() => readFileSync(other, 'latin1').trim(), { timeout: 5000 }).toBe('64');
    expect(now()).toBe('17');
  });

  it('that are not there are refused with a reason', () => {
    const { refused, before } = new KeptSettings([{ path: join(folder, 'none'), value: '1' }]);
    expect(before).toEqual([]);
    expect(refused[0]).toMatch(/^cannot set .*none to 1: there is no such file here/);
  });
});
