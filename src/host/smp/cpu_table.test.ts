import { describe, expect, test } from 'vitest';
import { CpuState, CpuTable, counterAt } from './cpu_table.ts';

describe('the table of CPUs', () => {
  test('a CPU takes frames from the moment it is online to the moment it is not, and is another one each time', () => {
    const table = new CpuTable(3);
    table.setState(2, CpuState.BOOTING);
    expect([table.online(2), table.generation(2)]).toEqual([false, 1]);
    table.setState(2, CpuState.ONLINE);
    expect([table.online(2), table.onlineMask]).toEqual([true, 4]);
    table.setState(2, CpuState.DEAD);
    expect([table.online(2), table.state(2)]).toEqual([false, CpuState.DEAD]);
    table.setState(2, CpuState.BOOTING);
    expect(table.generation(2)).toBe(2);
  });

  test('of several who find a CPU asleep one wakes it', () => {
    const table = new CpuTable(2);
    expect(table.claimWake(1)).toBe(false);
    table.fallAsleep(1);
    expect([table.claimWake(1), table.claimWake(1)]).toEqual([true, false]);
  });

  test('a device has one number by its name, and what the first one found out is told to the others', () => {
    const table = new CpuTable(2);
    const other = new CpuTable(2, table.memory);
    expect(table.device('eth0', () => 77)).toEqual({ index: 0, kept: 77 });
    expect(other.device('eth1', (kept) => kept)).toEqual({ index: 1, kept: -1 });
    expect(other.device('eth0', (kept) => kept)).toEqual({ index: 0, kept: 77 });
  });

  test('a table of devices that is full says so', () => {
    const table = new CpuTable(1);
    for (let i = 0; i < 64; i++) expect(table.device(`eth${i}`, () => 0).index).toBe(i);
    expect(table.device('one too many', () => 0).index).toBe(-1);
  });

  test('counters of a CPU do not touch those of its neighbour', () => {
    const table = new CpuTable(3);
    table.counters(1).fill(9);
    expect(table.counter(0, 'unread')).toBe(0);
    expect(table.counter(2, 'handed_over')).toBe(0);
    expect(table.counters(1)[counterAt('unread')]).toBe(9);
    table.countPairDrop(0, 1);
    expect([table.pairDrops(0, 1), table.pairDrops(1, 0)]).toEqual([1, 0]);
  });
});
