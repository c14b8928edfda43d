import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const isRootOnDebian = process.getuid?.() === 0 && existsSync('/etc/debian_version');
let tree = '';

vi.setConfig({ testTimeout: 90_000 }); // compilers and test runners are started, on cores that others use too

/** A checkout of test files only: build and check are programs that do nothing, dpkg-query and apt-get write a log. */
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'test-'));
  for (const path of ['tools/test.mjs', 'tools/tally.ts', 'tools/built.ts', 'vitest.config.ts', 'package.json']) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    copyFileSync(join(root, path), join(tree, path));
  }
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  write('tools/build.mjs', '');
  write('tools/check.mjs', "console.log('checked');");
  program(
    'dpkg-query',
    '[ $# -lt 3 ] && exit 0; shift 3; for p in "$@"; do [ -e "$0.lacks-$p" ] || echo "$p installed"; done',
  );
  program('apt-get', 'echo "$*" >> "$0.log"');
  write('src/base/a.test.ts', tests("it('adds', () => {});"));
});

afterEach(() => rmSync(tree, { recursive: true, force: true }));

const tests = (body: string) => `import { describe, it } from 'vitest';\n${body}\n`;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

function program(name: string, body: string): void {
  write(`path/${name}`, `#!/bin/sh\n${body}\n`);
  spawnSync('chmod', ['+x', join(tree, 'path', name)]);
}

function npmTest(...args: string[]): { status: number | null; lines: string[] } {
  const env = { ...process.env, PATH: `${join(tree, 'path')}:${process.env.PATH}`, NETPOLL_TALLY: undefined };
  const done = spawnSync(process.execPath, ['tools/test.mjs', ...args], { cwd: tree, encoding: 'utf8', env });
  return { status: done.status, lines: done.stdout.trimEnd().split('\n') };
}

describe('npm test', () => {
  it('runs unit and system tests and ends with the count', () => {
    write('test/b.test.ts', tests("it('boots', () => {});"));
    const { status, lines } = npmTest();
    expect(lines).toContain('checked');
    expect(lines.at(-1)).toBe('2 passed, 0 failed, 0 skipped');
    expect(status).toBe(0);
  });

  it('counts failed tests, and files that do not load', () => {
    write('src/base/b.test.ts', tests("it('breaks', () => { throw new Error('broken'); });"));
    write('src/base/c.test.ts', "throw new Error('does not load');");
    const { status, lines } = npmTest();
    expect(lines.at(-1)).toBe('1 passed, 2 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('lists each skip with its reason; one that wants the corpora is no failure', () => {
    write('src/base/b.test.ts', tests("it('reads', (ctx) => ctx.skip('no corpora at ../shared/corpora'));"));
    const { status, lines } = npmTest();
    expect(lines).toContain('skipped: src/base/b.test.ts: reads: no corpora at ../shared/corpora');
    expect(lines.at(-1)).toBe('1 passed, 0 failed, 1 skipped');
    expect(status).toBe(0);
  });

  it.skipIf(!isRootOnDebian)('fails on any other skip, as root on Debian (skip: not root on Debian)', () => {
    write(
      'src/base/b.test.ts',
      tests("describe.skipIf(true)('tap (skip: no tun)', () => { it('sends', () => {}); });"),
    );
    const { status, lines } = npmTest();
    expect(lines).toContain('skipped: src/base/b.test.ts: tap (skip: no tun) > sends: no tun');
    expect(lines.at(-1)).toBe('1 passed, 0 failed, 1 skipped');
    expect(status).toBe(1);
  });

  it('fails where the check fails, though every test passes', () => {
    write('tools/check.mjs', 'process.exitCode = 1;');
    const { status, lines } = npmTest();
    expect(lines).toContain('test: the check failed');
    expect(lines.at(-1)).toBe('1 passed, 0 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('fails where the build fails, and still runs every test', () => {
    write('tools/build.mjs', 'process.exitCode = 1;');
    write('test/b.test.ts', tests("it('boots', () => {});"));
    const { status, lines } = npmTest();
    expect(lines).toContain('test: the build failed');
    expect(lines.at(-1)).toBe('2 passed, 0 failed, 0 skipped');
    expect(status).toBe(1);
  });

  it('--unit leaves the system tests out; a path runs that file alone and no check', () => {
    write('test/b.test.ts', tests("it('boots', () => {});"));
    write('src/base/c.test.ts', tests("it('x', () => {}); it('y', () => {});"));
    expect(npmTest('--unit').lines.at(-1)).toBe('3 passed, 0 failed, 0 skipped');
    const one = npmTest('src/base/c.test.ts');
    expect(one.lines.at(-1)).toBe('2 passed, 0 failed, 0 skipped');
    expect(one.lines).not.toContain('checked');
  });

  it.skipIf(!isRootOnDebian)('installs the packages that are missing, no others (skip: not root on Debian)', () => {
    write('path/dpkg-query.lacks-socat', '');
    write('path/dpkg-query.lacks-gdb', '');
    program('apt-get', 'echo "$*" >> "$0.log"; rm -f "$(dirname "$0")"/dpkg-query.lacks-*');
    expect(npmTest().status).toBe(0);
    const [update, install] = readFileSync(join(tree, 'path/apt-get.log'), 'utf8').trim().split('\n');
    expect(update).toMatch(/ update$/);
    expect(install).toMatch(/ install -y --no-install-recommends socat gdb$/);
  });
});
