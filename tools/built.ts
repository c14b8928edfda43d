// Before the system tests: dist/ must be what src/ says, for they start the command line program and its workers.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function setup(): void {
  const build = fileURLToPath(new URL('./build.mjs', import.meta.url));
  const { status } = spawnSync(process.execPath, [build, '--quiet'], { stdio: ['ignore', 'inherit', 'inherit'] });
  // tsc emits in spite of wrong types. `npm test` fails for them anyway; whoever works on one test goes on.
  if (status !== 0) console.error('the build had errors (above): the tests run on what came out of it');
}
