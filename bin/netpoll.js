#!/usr/bin/env node
// The command line program. In a checkout (src/ and tools/ are there) dist/ is brought up to date first, telling about
// it on stderr so that stdout stays clean for --jsonl; an installed package has only dist/ and starts at once.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';

// The way of a frame is many small functions: V8's bound for what it puts into one, 920 bytes of bytecode, cuts it into pieces.
setFlagsFromString('--max-inlined-bytecode-size-cumulative=4000');
// Eight seconds after the start V8 would give back what starting took, and stop for 10 ms and more to do so: a thousand frames and more.
setFlagsFromString('--no-memory-reducer');

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const main = at('../dist/cli/main.js');

if (existsSync(at('../tools/build.mjs')) && existsSync(at('../src'))) {
  const { build, lacking, stale, wrong } = await import('../tools/build.mjs');
  const log = (line) => process.stderr.write(`${line}\n`);
  if (stale().length > 0) {
    const missing = lacking();
    if (missing.length === 0) build({ log });
    else if (existsSync(main))
      log(`netpoll: dist/ is older than src/; to bring it up to date: npm ci (lacks ${missing})`);
  } else if (wrong().length > 0) {
    log(`netpoll: the last build of ${wrong()} had errors; to see them: node tools/build.mjs`);
  }
}

if (existsSync(main)) {
  await import('../dist/cli/main.js');
} else {
  process.stderr.write(
    'netpoll: there is no dist/cli/main.js and it could not be built; run: npm ci && npm run build\n',
  );
  process.exitCode = 1;
}
