import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { printSoftirqShare, shareSoftirqs } from './softirq_share.ts';

describe('softirqs that share the processor', () => {
  let core: string;
  const now = () =>
    ['dev_weight', 'dev_weight_tx_bias', 'netdev_budget'].map((name) =>
      Number(readFileSync(join(core, name), 'latin1')),
    );
  const set = (...values: number[]) =>
    ['dev_weight', 'dev_weight_tx_bias', 'netdev_budget'].forEach((name, i) => {
      writeFileSync(join(core, name), `${values[i]}\n`);
    });
  beforeEach(() => {
    core = mkdtempSync(join(tmpdir(), 'softirq_share-'));
  });
  afterEach(() => rmSync(core, { recursive: true }));

  it('take a frame at a time, and send as many at once as before', async () => {
    set(64, 1, 300);
    const kept = shareSoftirqs(core);
    expect(now()).toEqual([1, 64, 1]);
    expect(printSoftirqShare(kept)).toBe(
      'softirqs share the processor: set net.core.dev_weight_tx_bias (was 1), net.core.dev_weight (was 64), ' +
        'net.core.netdev_budget (was 300) until this ends',
    );
    kept.close();
    await expect.poll(now, { timeout: 5000 }).toEqual([64, 1, 300]);
  });

  it('are left alone where they do already', () => {
    set(1, 64, 1);
    const kept = shareSoftirqs(core);
    expect(printSoftirqShare(kept)).toBe('softirqs share the processor: so they did');
    kept.close();
  });

  it('say where that cannot be had', () => {
    expect(printSoftirqShare(shareSoftirqs(join(core, 'none')))).toMatch(
      /^softirqs share the processor: cannot set .*netdev_budget to 1: there is no such file here \(another network namespace/,
    );
  });
});
