// What `vitest run` runs: two projects over one tree.
//
//   unit    src, bench, tools: beside the file it tests; seconds; no network but its own loopback
//   system  test/: real kernels, namespaces, TAP, QEMU, Chromium; built first, one file at a time (two cores carry
//           one emulated machine and its peer, not two), after the units
//
// A skipped test gives its reason: `ctx.skip('no ../shared/corpora')`, or "(skip: reason)" in the title of a skipIf.
// tools/test.mjs counts them.

import { defineConfig } from 'vitest/config';
import { TallyReporter } from './tools/tally.ts';

const minute = 60_000;
const tally = process.env.NETPOLL_TALLY;

export default defineConfig({
  test: {
    pool: 'forks',
    reporters: tally === undefined ? ['default'] : ['default', new TallyReporter(tally)],
    teardownTimeout: minute,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'tools/**/*.test.ts', 'web/**/*.test.{ts,tsx}'],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          globalSetup: ['tools/built.ts'],
          testTimeout: 2 * minute,
          hookTimeout: 2 * minute,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
