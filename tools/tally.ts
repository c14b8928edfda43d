// A vitest reporter that writes down how many tests passed and failed, and each skip with its reason, as JSON.
//
// vitest's own json report leaves out the note of `ctx.skip(note)`, and the note is the point here.
// A reason is that note, else what the title says in brackets: `describe.skipIf(!root)('veth (skip: not root)', ...)`.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export interface Tally {
  passed: number;
  /** Tests, and files or hooks that broke outside of any test. */
  failed: number;
  skipped: { file: string; name: string; reason: string }[];
}

export class TallyReporter implements Reporter {
  readonly #path: string;

  /** @param path the JSON file to write at the end of the run */
  constructor(path: string) {
    this.#path = path;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tally: Tally = { passed: 0, failed: errors.length, skipped: [] };
    for (const module of modules) {
      let broken = module.state() === 'failed';
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') tally.passed++;
        if (state === 'failed') tally.failed++;
        if (state === 'failed') broken = false; // its own failure is what broke the file
        if (state === 'skipped') tally.skipped.push(skipOf(module, test));
      }
      if (broken) tally.failed++;
    }
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(this.#path, JSON.stringify(tally));
  }
}

function skipOf(module: TestModule, test: TestCase): Tally['skipped'][number] {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  const inBrackets = [...test.fullName.matchAll(/\(([^()]*\bskip[^()]*)\)/g)].at(-1)?.[1];
  const inTitle = inBrackets?.replace(/^skip(ped)?: /, '');
  return { file: module.relativeModuleId, name: test.fullName, reason: note ?? inTitle ?? 'no reason given' };
}
