import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { aboutOf } from './report/answer.ts';

const here = dirname(fileURLToPath(import.meta.url));
const run = (...args: string[]) => spawnSync(process.execPath, [join(here, 'run.mjs'), ...args], { encoding: 'utf8' });
const known = run('--list').stdout.trim().split('\n');

describe('npm run bench', () => {
  it('knows every question, and each says in its file what is asked', () => {
    expect(known).toContain('packet_rx');
    expect(known).not.toContain('harness');
    for (const name of known) {
      const about = aboutOf(readFileSync(join(here, `${name}.ts`), 'utf8'));
      expect(about.length, `${name}.ts opens with line comments`).toBeGreaterThan(100);
    }
  });

  it('says what there is where it is asked for something else, and ends with 2', () => {
    const wrong = run('how_fast');
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining(`there are: ${known[0]}, `)]);
    const option = run('--fast');
    expect([option.status, option.stderr]).toEqual([2, expect.stringContaining('--publish')]);
  });
});

const published = join(here, '../docs/performance.md');
it.skipIf(!existsSync(published))('docs/performance.md shows nothing that is not there (skip: not published)', () => {
  const text = readFileSync(published, 'utf8');
  for (const [, file] of text.matchAll(/\]\((performance\/[^)]+)\)/g)) {
    expect(existsSync(join(here, '../docs', file!)), file).toBe(true);
  }
  for (const [, anchor] of text.matchAll(/\]\(#([^)]+)\)/g)) expect(text).toContain(`\n### ${anchor}\n`);
});
