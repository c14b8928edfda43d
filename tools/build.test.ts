import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const main =
  "// The program.\nimport { word } from './word.ts';\nconsole.log(word, process.argv.slice(2).join(' '));\n";
let tree = '';

vi.setConfig({ testTimeout: 90_000 }); // compilers and test runners are started, on cores that others use too

/** A checkout of one small program, with the real tools and the installed compiler. */
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'build-'));
  for (const path of [
    'tools/build.mjs',
    'tools/hoist.mjs',
    'bin/netpoll.js',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
  ]) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    copyFileSync(join(root, path), join(tree, path));
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  write('src/cli/main.ts', main);
  write('src/cli/word.ts', "// A word.\nexport const word: string = 'one';\n");
});

afterEach(() => rmSync(tree, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

function node(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, args, { cwd: tree, encoding: 'utf8' });
}

function start(...args: string[]): SpawnSyncReturns<string> {
  return node('bin/netpoll.js', ...args);
}

/** Starts without waiting; settles with what it printed. */
function startBeside(arg: string): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['bin/netpoll.js', arg], { cwd: tree });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    child.on('close', () => resolve({ stdout, stderr }));
  });
}

const building = 'build: src ...';

describe('bin/netpoll.js in a checkout', () => {
  it('builds at the first start, telling on stderr only, and not at the second', () => {
    const first = start('a');
    expect(first.stdout).toBe('one a\n');
    expect(first.stderr).toContain(building);
    const second = start('b', '--c');
    expect([second.stdout, second.stderr]).toEqual(['one b --c\n', '']);
  });

  it('builds again after a change, a removal and an emptied dist, but not for a new time alone', () => {
    start();
    write('src/cli/word.ts', "// A word.\nexport const word: string = 'two';\n");
    expect(start().stdout).toBe('two \n');
    utimesSync(join(tree, 'src/cli/word.ts'), new Date(), new Date());
    expect(start().stderr).toBe('');
    write('src/cli/main.ts', "// The program.\nconsole.log('alone');\n");
    rmSync(join(tree, 'src/cli/word.ts'));
    expect(start().stdout).toBe('alone\n');
    expect(existsSync(join(tree, 'dist/cli/word.js'))).toBe(false);
    rmSync(join(tree, 'dist'), { recursive: true });
    expect(start().stdout).toBe('alone\n');
  });

  it('builds once when several start at the same time', async () => {
    const all = await Promise.all(['1', '2', '3', '4'].map(startBeside));
    expect(all.map(({ stdout }) => stdout).sort()).toEqual(['one 1\n', 'one 2\n', 'one 3\n', 'one 4\n']);
    expect(all.filter(({ stderr }) => stderr.includes(building))).toHaveLength(1);
    expect(readdirSync(join(tree, '.cache')).sort()).toEqual(['build.json', 'build.tsbuildinfo', 'modules']);
  });

  it('takes the lock of a builder that was killed', () => {
    const { pid } = node('-e', '');
    write('.cache/build.lock/pid', `${pid}`);
    expect(start('a').stdout).toBe('one a\n');
  });

  it('with wrong types: runs what tsc emitted, and says so each time', () => {
    write('src/cli/word.ts', "// A word.\nexport const word: number = 'one';\n");
    const first = start();
    expect(first.stdout).toBe('one \n');
    expect(first.stderr).toContain('src/cli/word.ts(2,14): error TS2322');
    const second = start();
    expect(second.stdout).toBe('one \n');
    expect(second.stderr).toBe('netpoll: the last build of src had errors; to see them: node tools/build.mjs\n');
  });

  it('without devDependencies: says what to run', () => {
    rmSync(join(tree, 'node_modules'));
    const { status, stderr } = start();
    expect(status).toBe(1);
    expect(stderr).toContain('npm ci && npm run build');
  });
});

describe('node tools/build.mjs', () => {
  it('fails on wrong types every time, also where nothing changed since', () => {
    write('src/cli/word.ts', "// A word.\nexport const word: number = 'one';\n");
    for (let i = 0; i < 2; i++) {
      const { status, stdout, stderr } = node('tools/build.mjs', '--quiet');
      expect(status).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toContain('error TS2322');
    }
  });

  it('builds the page too, and again only when the page changed', () => {
    write('web/vite.config.mjs', 'export default {};\n');
    write('web/index.html', '<!doctype html><title>page</title><script type="module" src="./page.ts"></script>\n');
    write('web/page.ts', "document.title = 'other';\n");
    expect(node('tools/build.mjs').stdout).toContain('build: web done');
    expect(existsSync(join(tree, 'dist/web/index.html'))).toBe(true);
    expect(node('tools/build.mjs').stdout).toBe('build: dist/ is up to date\n');
    write('src/cli/word.ts', "// A word.\nexport const word: string = 'two';\n");
    const afterSrc = node('tools/build.mjs').stdout;
    expect(afterSrc).toContain('build: src done');
    expect(afterSrc).not.toContain('build: web');
    write('web/page.ts', "document.title = 'third';\n");
    expect(node('tools/build.mjs', '--quiet').stdout).toBe('');
    expect(existsSync(join(tree, 'dist/cli/main.js'))).toBe(true);
  });
});
