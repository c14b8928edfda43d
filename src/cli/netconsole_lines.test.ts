import { describe, expect, it } from 'vitest';
import { testMachine } from '../machine/machine.fixture.ts';
import { decodeText, encodeText } from '../wire/netconsole_text.ts';
import { printLine } from './netconsole_lines.ts';

describe('a line as a record', () => {
  // As kernel 7.2 took them through /dev/kmsg: level, facility, text.
  it.each([
    ['no prefix line', 4, 1, 'no prefix line'],
    ['<6>pri 6', 6, 1, 'pri 6'],
    ['<0>pri 0', 0, 1, 'pri 0'],
    ['<30>pri 30', 6, 3, 'pri 30'],
    ['<2047>pri 2047', 7, 255, 'pri 2047'],
    ['<>empty pri', 4, 1, '<>empty pri'],
    ['<x>bad pri', 4, 1, '<x>bad pri'],
    ['<-1>neg', 4, 1, '<-1>neg'],
    ['<6>', 6, 1, ''],
    ['', 4, 1, ''],
    ['<6>12,345,678,-;looks like a header', 6, 1, '12,345,678,-;looks like a header'],
    ['caf\udce9', 4, 1, 'caf\udce9'],
  ])('%j has the priority of a user who writes it', (line, level, facility, text) => {
    const { machine, executive } = testMachine();
    executive.nowNs = 5_000_000;
    printLine(machine.printk, line);
    const record = machine.printk.record(0)!;
    expect([record.level, record.facility, record.tsUs, decodeText(record.text)]).toEqual([
      level,
      facility,
      5000,
      text,
    ]);
    expect(record.text).toEqual(encodeText(text));
  });

  it('of another log keeps its time, priority and caller', () => {
    const { machine } = testMachine();
    printLine(machine.printk, '<6>[   12.345678][   T42] eth0: link up');
    printLine(machine.printk, '[    0.000001] no priority');
    expect(machine.printk.record(0)).toMatchObject({ level: 6, facility: 0, tsUs: 12345678, caller: 'T42' });
    expect(machine.printk.record(1)).toMatchObject({ level: 4, facility: 0, tsUs: 1 });
    expect(decodeText(machine.printk.record(1)!.text)).toBe('no priority');
  });
});
