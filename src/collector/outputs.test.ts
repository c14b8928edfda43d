import { describe, expect, it } from 'vitest';
import { jsonLine } from './output_jsonl.ts';
import { bootTime, textOutput } from './output_text.ts';
import type { Block } from './panic.ts';
import { feedArrivals } from './streams.fixture.ts';

const { messages } = feedArrivals([
  [0, '3,1,6771386,-;ansi \\x1b[31mred\\x07 \\xff\\x0asecond\n k=v\n'],
  [1, '0,2,6786370,-;Kernel panic - not syncing: Fatal exception\n'],
]);
const block: Block = { id: 1, host: '', kind: 'panic', title: messages[1]!.text, received: '', lines: 1, open: true };

describe('--jsonl', () => {
  it('is one line of ASCII-safe JSON that keeps lost bytes', () => {
    const line = jsonLine({ ...messages[0]!, id: 9, block: 4 } as never);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    expect(JSON.parse(line)).toEqual(messages[0]);
    expect(line).toContain('\\udcff');
    expect(Object.keys(JSON.parse(line))).toEqual([
      'host',
      'received',
      'seq',
      'level',
      'facility',
      'usec',
      'cont',
      'release',
      'text',
      'dict',
      'format',
    ]);
  });
});

describe('the terminal view', () => {
  it('lets no control character through', () => {
    const text = textOutput(false)(messages[0]!, null);
    expect(text).toBe(
      '00:00:00.000   10.0.0.1        err    [    6.771386] ansi \\x1b[31mred\\x07 \\xff\n               second\n',
    );
  });

  it('marks a panic, with and without colours', () => {
    expect(textOutput(false)(messages[1]!, block)).toContain('┃ 10.0.0.1        emerg  [    6.786370]  Kernel panic');
    expect(textOutput(true)(messages[1]!, block)).toContain('\x1b[7m');
    expect(textOutput(false)(messages[1]!, block)).not.toContain('\x1b');
  });

  it('shows any 64-bit time', () => {
    expect(bootTime('18446744073709551615')).toBe('[18446744073709.551615]');
    expect(bootTime('7')).toBe('[    0.000007]');
  });
});
