import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('./tidy.mjs', import.meta.url));
const trees: string[] = [];

/** Runs the tidy test over a temporary tree and gives its lines. */
function tidy(files: Record<string, string>): { status: number | null; lines: string[] } {
  const tree = mkdtempSync(join(tmpdir(), 'tidy-'));
  trees.push(tree);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const { status, stdout } = spawnSync(process.execPath, [program, tree], { encoding: 'utf8' });
  return { status, lines: stdout.trim().split('\n') };
}

afterAll(() => {
  for (const tree of trees) rmSync(tree, { recursive: true, force: true });
});

// Spelt in pieces: this file keeps the rules that it breaks.
const opening = '// A file.\n';
const unfinished = 'TO' + 'DO';
const itSkip = 'it.' + 'skip';

const pure = (code: string) => `${opening}export function f(a: unknown) {\n  ${code}\n}\n`;
const hot = (code: string) =>
  `// hot\n// A file.\nexport function f(a: number[], b: Uint8Array, c: DataView) {\n  ${code}\n}\n`;

const breaches: [rule: string, path: string, text: string, line: string][] = [
  ['a long file', 'bench/long.ts', '// x\n'.repeat(401), '401 lines'],
  ['a vague file name', 'src/wire/frame_util.ts', opening, '"frame_util.ts" names no thing'],
  ['a vague folder', 'web/common/a.tsx', opening, '"common" names no thing'],
  ['Date left of host', 'src/base/date.ts', pure('return new Date();'), 'Date left of host; instead: take the time'],
  ['performance', 'src/wire/p.ts', pure('return performance.now();'), 'performance left of host'],
  ['Math.random', 'src/sim/r.ts', pure('return Math.random();'), 'Math.random left of host; instead: the seeded'],
  ['setTimeout', 'src/napi/t.ts', pure('setTimeout(f, 1);'), 'setTimeout left of host; instead: a machine timer'],
  ['setInterval', 'src/napi/i.ts', pure('setInterval(f, 1);'), 'setInterval left of host'],
  ['setImmediate', 'src/napi/s.ts', pure('setImmediate(f);'), 'setImmediate left of host'],
  ['queueMicrotask', 'src/napi/q.ts', pure('queueMicrotask(f);'), 'queueMicrotask left of host'],
  ['process', 'src/stack/p.ts', pure('return process.pid;'), 'process left of host'],
  ['crypto', 'src/netpoll/c.ts', pure('return crypto.randomUUID();'), 'crypto left of host'],
  ['async', 'src/lab/a.ts', `${opening}export async function f() {}\n`, 'async left of host'],
  ['await', 'src/lab/w.ts', `${opening}await f();\n`, 'await left of host'],
  ['Promise', 'src/lab/p.ts', `${opening}export type P = Promise<void>;\n`, 'Promise left of host'],
  ['subarray in a hot file', 'src/host/sub.ts', hot('b.subarray(1);'), 'subarray in a hot file; instead: offset'],
  ['spread in an array', 'src/host/sa.ts', hot('return [...a];'), 'spread in a hot file'],
  ['spread in a call', 'src/host/sc.ts', hot('Math.max(...a);'), 'spread in a hot file'],
  ['spread in an object', 'src/host/so.ts', hot('return { ...a };'), 'spread in a hot file'],
  [
    'rest parameters',
    'src/host/rest.ts',
    '// hot\n// A file.\nexport function f(...a: number[]) {}\n',
    'rest parameter',
  ],
  ['a BigInt literal', 'src/host/bl.ts', hot('return 123n;'), 'BigInt in a hot file'],
  ['BigInt()', 'src/host/bc.ts', hot('return BigInt(a.length);'), 'BigInt in a hot file'],
  ['a BigInt read', 'src/host/br.ts', hot('return c.getBigUint64(0);'), 'getBigUint64 in a hot file'],
  ['a template string', 'src/host/ts.ts', hot('return `${a}`;'), 'template string in a hot file'],
  ['a closure', 'src/host/cl.ts', hot('return a.map((x) => x + b.length);'), 'closure in a hot file'],
  [
    'a closure in what set-up binds',
    'src/host/cs.ts',
    '// hot\n// A file.\nexport function createF(a: number[]) {\n  return () => a.map((x) => x);\n}\n',
    'cs.ts:4: closure in a hot file',
  ],
  ['a default export', 'src/host/de.ts', `${opening}export default 1;\n`, 'default export; instead: a named export'],
  ['a default function', 'tools/df.ts', 'export default function f() {}\n', 'default export'],
  ['unfinished work', 'test/u.ts', `// ${unfinished}: later\n`, `${unfinished} left in the code`],
  [
    'a test switched off',
    'src/host/o.test.ts',
    `${itSkip}('x', () => {});\n`,
    `${itSkip}; instead: skipIf or ctx.skip`,
  ],
  ['no opening comment', 'src/host/no.ts', 'export const a = 1;\n', 'no opening comment'],
  ['no opening comment under // hot', 'src/host/nh.ts', '// hot\nexport const a = 1;\n', 'no opening comment'],
  ['a private path', 'docs/p.md', `See \`/${'work'}/x\`.\n`, 'exists on one machine only'],
  ['two titles', 'docs/t.md', '# One\n\n# Two\n', 'a second title'],
];

describe('each rule', () => {
  let found: ReturnType<typeof tidy>;
  beforeAll(() => {
    found = tidy(Object.fromEntries(breaches.map(([, path, text]) => [path, text])));
  });

  it.each(breaches)('%s fails', (_rule, path, _text, line) => {
    const own = found.lines.filter((text) => text.startsWith(`${path}:`));
    expect(own).toHaveLength(1);
    expect(own[0]).toContain(line);
    expect(own[0]).toContain('; instead: ');
  });

  it('makes the run fail', () => expect(found.status).toBe(1));
});

describe('what is allowed', () => {
  it('passes: words in comments and strings, members of the same name, the clock on the host, one title', () => {
    const { status, lines } = tidy({
      'src/base/words.ts': pure("// Date, process.exit, async\n  return 'new Date() await Promise';"),
      'src/machine/member.ts': `${opening}export interface T {\n  Date: number;\n  process(a: number): void;\n}\n`,
      'src/machine/call.ts': pure('(a as T).process(1);\n  return (a as T).Date;'),
      'src/host/clock.ts': pure('return `${Date.now()} ${process.pid}`;'),
      'src/napi/a.test.ts': 'await setTimeout(() => Math.random(), 1);\n',
      'src/napi/hot.ts': hot("if (a.length > 1) throw new Error(`too long ${a.length}`);\n  return 'x'.length;"),
      'src/skb/setup.ts':
        '// hot\n// A file.\nexport class A {\n  a: unknown;\n  constructor(b: bigint[]) {\n    this.a = b.map((x) => x).concat(BigInt(0));\n  }\n}\n',
      'src/skb/once.ts':
        '// hot\n// A file.\nexport function createA(b: number[]) {\n  b.map((x) => x);\n}\n\n/** Set-up: binds. */\nexport function f(b: { a?: unknown }) {\n  return () => b;\n}\n',
      'src/skb/lazy.ts': '// hot\n// A file.\nexport function f(b: { a?: unknown }) {\n  b.a ??= () => b;\n}\n',
      'src/napi/hot_top.ts': '// hot\n// A file.\nexport const f = (a: number) => a + 1;\n',
      'docs/titles.md': '# One\n\n```sh\n# a comment\n```\n\n## Two\n',
      'docs/path.md': 'see src/work/x and https://example.org/work/x\n',
      'vitest.config.ts': 'export default {};\n',
    });
    expect(lines).toEqual(['tidy: every file keeps the house rules']);
    expect(status).toBe(0);
  });
});
