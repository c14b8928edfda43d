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

  it('tells nobody of an open line until it is whole, and marks what could not be joined', () => {
    const { machine } = testMachine();
    const { printk } = machine;
    const seen: string[] = [];
    printk.registerConsole({
      name: 'test',
      write: (record) => seen.push(`${record.seq}${record.cont ? 'c' : '-'}${text(record)}`),
    });
    printk.printk(6, 'one', { open: true });
    expect([seen, printk.nextSeq]).toEqual([[], 1]);
    printk.cont(' two', { open: true });
    printk.cont(' three\n');
    expect(seen).toEqual(['0-one two three']);
    printk.printk(4, 'left open', { open: true, caller: 'T1' });
    printk.printk(3, 'somebody else');
    printk.cont(' too late', { caller: 'T1' });
    expect(seen.slice(1)).toEqual(['1-left open', '2-somebody else', '3c too late']);
    printk.printk(6, 'x'.repeat(1000), { open: true });
    printk.cont('y'.repeat(24));
    expect(seen.slice(4)).toEqual([`4-${'x'.repeat(1000)}`, `5c${'y'.repeat(24)}`]);
    printk.printk(6, 'mine', { open: true, caller: 'T1' });
    printk.cont('not mine', { caller: 'C0' });
    expect(seen.slice(6)).toEqual(['6-mine', '7cnot mine']);
  });

  it('writes down who printed: the CPU, and the task or the idle task of that CPU', () => {
    const { machine } = testMachine({ cpus: 2 });
    const { printk } = machine;
    printk.info('idle');
    const were = machine.enterCpu(machine.cpus[1]!);
    printk.info('idle there');
    machine.leaveCpu(were);
    printk.taskname = 'node';
    printk.info('task');
    printk.printk(6, 'another', { taskname: 'nginx' });
    const who = [0, 1, 2, 3].map((seq) => `${printk.record(seq)?.cpu} ${printk.record(seq)?.taskname}`);
    expect(who).toEqual(['0 swapper/0', '1 swapper/1', '0 node', '0 nginx']);
  });

  it('says that a console is enabled and disabled where that is wanted', () => {
    const { machine } = testMachine();
    const console = memory('netcon_ext');
    machine.printk.registerConsole(console, { announce: true });
    expect(machine.printk.isRegistered(console)).toBe(true);
    machine.printk.unregisterConsole(console);
    machine.printk.unregisterConsole(console);
    const lines = ['0:6:printk: console [netcon_ext0] enabled', '1:6:printk: console [netcon_ext0] disabled'];
    expect([console.lines, machine.printk.isRegistered(console), machine.printk.nextSeq]).toEqual([lines, false, 2]);
  });
});
