import { describe, expect, it } from 'vitest';
import { testMachine } from './machine.fixture.ts';
import { type Console, LOG_LINE_MAX, type LogRecord } from './printk.ts';

const text = (record: LogRecord) => new TextDecoder().decode(record.text);

function memory(name = 'test'): Console & { lines: string[] } {
  const lines: string[] = [];
  return { name, lines, write: (record) => lines.push(`${record.seq}:${record.level}:${text(record)}`) };
}

describe('printk', () => {
  it('numbers every record, also those that no console shows', () => {
    const { machine, executive } = testMachine();
    const { printk } = machine;
    const console = memory();
    printk.registerConsole(console);
    executive.nowNs = 1_234_567;
    printk.printk(7, 'debug');
    printk.info('shown\n');
    expect(console.lines).toEqual(['1:6:shown']);
    expect(printk.nextSeq).toBe(2);
    expect(printk.record(0)).toMatchObject({ level: 7, facility: 0, tsUs: 1234, cont: false, dict: {} });
    expect(printk.record(2)).toBeUndefined();
    expect(printk.record(-1)).toBeUndefined();
  });

  it('shows what is below the console level, everything with ignoreLoglevel', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    const console = memory();
    printk.registerConsole(console);
    printk.consoleLoglevel = 4;
    printk.err('err');
    printk.warn('warn');
    printk.ignoreLoglevel = true;
    printk.printk(7, 'debug');
    expect(console.lines).toEqual(['0:3:err', '2:7:debug']);
  });

  it('replays what the ring holds to a console that asks for it, and only the new to others', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    for (let i = 0; i < 5000; i++) printk.info(`line ${i}`);
    const [all, fresh] = [memory(), memory()];
    printk.registerConsole(all, { replay: true });
    printk.registerConsole(fresh);
    printk.info('last');
    expect(all.lines).toHaveLength(4096 + 1);
    expect(all.lines[0]).toBe('904:6:line 904');
    expect(fresh.lines).toEqual(['5000:6:last']);
    expect(printk.record(903)).toBeUndefined();
    printk.unregisterConsole(all);
    printk.info('after');
    expect(all.lines).toHaveLength(4097);
  });

  it('keeps a record’s bytes apart from the caller’s, without the final newline, cut at the longest line', () => {
    const { machine } = testMachine();
    const bytes = new TextEncoder().encode('a\nb\n');
    machine.printk.printk(6, bytes, { facility: 1, caller: 'T1', cont: true, dict: { device: 'n1' } });
    bytes.fill(0);
    const record = machine.printk.record(0)!;
    expect(record).toMatchObject({ facility: 1, caller: 'T1', cont: true, dict: { device: 'n1' } });
    expect(text(record)).toBe('a\nb');
    machine.printk.info('x'.repeat(5000));
    expect(machine.printk.record(1)!.text).toHaveLength(LOG_LINE_MAX);
  });

  it('from inside a console is shown by the outer walk, in order, once', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    const witness = memory();
    let depth = 0;
    let deepest = 0;
    printk.registerConsole({
      name: 'talkative',
      write(record) {
        deepest = Math.max(deepest, ++depth);
        if (text(record) === 'first') printk.info('second');
        depth--;
      },
    });
    printk.registerConsole(witness);
    printk.info('first');
    expect(witness.lines).toEqual(['0:6:first', '1:6:second']);
    expect(deepest).toBe(1);
  });

  it('ends although a console prints for every record it is shown', () => {
    const { machine } = testMachine();
    let written = 0;
    machine.printk.registerConsole({
      name: 'endless',
      write() {
        written++;
        machine.printk.info('again');
      },
    });
    machine.printk.info('go');
    expect(written).toBeLessThanOrEqual(4 * 4096);
    expect(written).toBeGreaterThan(1);
  });

  it('goes on after a console that threw', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    const witness = memory();
    let angry = true;
    printk.registerConsole({
      name: 'broken',
      write() {
        if (angry) throw new Error('broken');
      },
    });
    printk.registerConsole(witness);
    expect(() => printk.info('one')).toThrow('broken');
    angry = false;
    printk.info('two');
    expect(witness.lines).toEqual(['0:6:one', '1:6:two']);
  });

  it('lets a console leave while it is written to', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    const once: Console = { name: 'once', write: () => printk.unregisterConsole(once) };
    const witness = memory();
    printk.registerConsole(once);
    printk.registerConsole(witness);
    printk.info('a');
    printk.info('b');
    expect(witness.lines).toEqual(['0:6:a', '1:6:b']);
  });
});
