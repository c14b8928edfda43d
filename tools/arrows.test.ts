import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 }); // a rule checker is started each time, on busy cores

const root = fileURLToPath(new URL('..', import.meta.url));
const config = join(root, '.dependency-cruiser.cjs');
const folders =
  'base wire skb machine device drivers napi netpoll stack inet stacked clients sim host process collector lab cli';
const planned = /^const planned = \[(.*)\]/m.exec(readFileSync(config, 'utf8'))?.[1] ?? '';
const present = folders.split(' ').filter((name) => !planned.includes(`'${name}'`));

interface Violation {
  from: string;
  to: string;
  rule: { name: string };
}

const trees: string[] = [];

/** A small checkout with the real rule file; every present folder has one file, `a.ts`, without imports. */
function plant(files: Record<string, string>, without = ''): string {
  const tree = mkdtempSync(join(tmpdir(), 'arrows-'));
  trees.push(tree);
  const all = Object.fromEntries(present.map((name) => [`src/${name}/a.ts`, 'export const a = 1;\n']));
  Object.assign(all, files);
  for (const [path, text] of Object.entries(all)) {
    if (without !== '' && path.startsWith(without)) continue;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  copyFileSync(config, join(tree, '.dependency-cruiser.cjs'));
  copyFileSync(join(root, 'package.json'), join(tree, 'package.json'));
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  return tree;
}

/** The json report always ends with 0; the one for people (`err`) ends with the number of violations. */
async function cruise(
  tree: string,
  report: 'json' | 'err' = 'json',
): Promise<{ code: number; violations: Violation[]; stderr: string }> {
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', report, 'src'];
  const found = await promisify(execFile)(process.execPath, args, { cwd: tree, maxBuffer: 1 << 24 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const violations = found.stdout.startsWith('{') ? JSON.parse(found.stdout).summary.violations : [];
  return { code: found.code, violations, stderr: found.stderr };
}

afterAll(() => {
  for (const tree of trees) rmSync(tree, { recursive: true, force: true });
});

const imports = (...targets: string[]) => targets.map((target) => `import '${target}';\n`).join('');

describe('wrong imports', () => {
  const cases: [what: string, rule: string, from: string, text: string][] = [
    ['an arrow to the right', 'arrow-wire', 'src/wire/right.ts', imports('../skb/a.ts')],
    [
      'an arrow to the right that is only a type',
      'arrow-skb',
      'src/skb/t.ts',
      "import type { a } from '../device/a.ts';",
    ],
    ['an arrow to the right taken at run time', 'arrow-base', 'src/base/d.ts', "await import('../cli/a.ts');"],
    ['a driver that imports napi', 'arrow-drivers', 'src/drivers/nic/n.ts', imports('../../napi/a.ts')],
    ['netpoll that imports the stack', 'arrow-netpoll', 'src/netpoll/s.ts', imports('../stack/a.ts')],
    ['the stack that imports netpoll', 'arrow-stack', 'src/stack/n.ts', imports('../netpoll/a.ts')],
    ['sim that sees its twin', 'arrow-sim', 'src/sim/h.ts', imports('../host/a.ts')],
    ['host that sees its twin', 'arrow-host', 'src/host/s.ts', imports('../sim/a.ts')],
    ['siblings at the far end', 'arrow-collector', 'src/collector/c.ts', imports('../cli/a.ts')],
    ['a node: module left of host', 'runs-anywhere', 'src/napi/fs.ts', imports('node:fs')],
    ['a bare name of a node module left of host', 'runs-anywhere', 'src/sim/fs.ts', imports('fs')],
    ['a package left of host', 'runs-anywhere', 'src/clients/hono.ts', imports('hono')],
    ['a circle', 'no-circle', 'src/base/x.ts', imports('./y.ts')],
    ['the import of a test', 'no-import-of-a-test', 'src/base/of_test.ts', imports('./a.test.ts')],
    ['the import of a fixture', 'no-import-of-a-test', 'src/base/of_fix.ts', imports('./a.fixture.ts')],
    ['a test that imports a test', 'no-test-imports-another', 'src/base/b.test.ts', imports('./a.test.ts')],
    ['src that imports test', 'src-stands-alone', 'src/cli/fixture.ts', imports('../../test/fixture.ts')],
    ['the front door used inside', 'nothing-imports-the-front-door', 'src/cli/i.ts', imports('../index.ts')],
    ['an import that leads nowhere', 'resolvable', 'src/cli/nowhere.ts', imports('./nowhere_at_all.ts')],
    ['a development package in src', 'runs-without-devDependencies', 'src/cli/dev.ts', imports('fast-check')],
  ];
  let found: Awaited<ReturnType<typeof cruise>>;

  beforeAll(async () => {
    const files = Object.fromEntries(cases.map(([, , from, text]) => [from, text]));
    found = await cruise(
      plant({
        ...files,
        'src/base/y.ts': imports('./x.ts'),
        'src/base/a.test.ts': 'export {};\n',
        'src/base/a.fixture.ts': 'export {};\n',
        'src/index.ts': 'export {};\n',
        'test/fixture.ts': 'export {};\n',
      }),
    );
  });

  it.each(cases)('%s fails by %s', (_what, rule, from) => {
    expect(found.violations.filter((v) => v.from === from).map((v) => v.rule.name)).toContain(rule);
  });

  it('fail the run', async () => {
    const { code } = await cruise(plant({ 'src/wire/right.ts': imports('../skb/a.ts') }), 'err');
    expect(code).not.toBe(0);
  });
});

describe('right imports', () => {
  it('pass: leftwards, beside, from the front door, and from a test to anywhere', async () => {
    const everything = imports(...present.map((name) => `./${name}/a.ts`));
    const { code, violations, stderr } = await cruise(
      plant({
        'src/index.ts': everything,
        'src/wire/udp.ts': imports('../base/a.ts', './a.ts'),
        'src/device/queue.ts': "import type { D } from './dev.ts';\nexport interface Q { d: D }\n",
        'src/device/dev.ts': "import type { Q } from './queue.ts';\nexport interface D { q: Q }\n",
        'src/clients/netconsole/n.ts': imports('../../netpoll/a.ts', '../../stack/a.ts', '../../napi/a.ts'),
        'src/host/packet.ts': imports('node:fs', '../drivers/nic/port.ts'),
        'src/drivers/nic/port.ts': imports('../../device/a.ts'),
        'src/collector/http.ts': imports('hono', 'node:http', '../host/a.ts', '../sim/a.ts'),
        'src/napi/a.test.ts': imports('node:fs', 'fast-check', 'vitest', '../sim/a.ts', './a.fixture.ts'),
        'src/napi/a.fixture.ts': imports('../sim/a.ts', '../../test/golden/a.ts'),
        'test/golden/a.ts': 'export {};\n',
      }),
    );
    expect(violations).toEqual([]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});

describe('the line and the tree', () => {
  it('fail on a folder that the line does not name', async () => {
    const { code, stderr } = await cruise(plant({ 'src/plumbing/a.ts': 'export {};\n' }));
    expect(code).not.toBe(0);
    expect(stderr).toContain('src/plumbing has no place');
  });

  it('fail on a name whose folder is gone', async () => {
    const { code, stderr } = await cruise(plant({}, 'src/wire/'));
    expect(code).not.toBe(0);
    expect(stderr).toContain('src/wire is gone');
  });

  it('fail on a planned name whose folder has come', async () => {
    const first = /'(\w+)'/.exec(planned)?.[1];
    if (first === undefined) return; // everything is built: nothing left to plan
    const { stderr } = await cruise(plant({ [`src/${first}/a.ts`]: 'export {};\n' }));
    expect(stderr).toContain(`src/${first} is there`);
  });
});
