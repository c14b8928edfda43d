// `npm run bench` runs all questions; `npm run bench NAME...` some; `-- --json` prints one JSON array instead of a table.
//
// 1. tsc compiles bench/ and src/, tools/hoist.mjs puts the core into one scope, as for dist/: what is measured is what is published,
//    and with the options that bin/netpoll.js sets.
// 2. Each question runs in a process of its own, one after the other: no heap, code or collector is shared.
// 3. Every figure names its limit; a broken one ends the run with 1.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const emitted = join(root, '.cache/bench_modules');
const out = join(root, '.cache/bench');

const V8_OPTIONS = ['--max-inlined-bytecode-size-cumulative=4000'];

const [mode, ...rest] = process.argv.slice(2);
if (mode === '--child') await answer(rest[0] ?? '');
else runAll(process.argv.slice(2));

/** @param {string[]} args */
function runAll(args) {
  const asJson = args.includes('--json');
  const known = readdirSync(here)
    .filter(
      (name) => /^\w+\.ts$/.test(name) && /^export const question\b/m.test(readFileSync(join(here, name), 'utf8')),
    )
    .map((name) => name.replace(/\.ts$/, ''));
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) return fail(`no such question: ${unknown.join(', ')}; there are: ${known.join(', ')}`);
  if (!compile()) console.error('bench: tsc found errors (above); measuring what it emitted all the same');

  const answers = [];
  for (const name of wanted.length > 0 ? wanted : known) {
    const child = spawnSync(
      process.execPath,
      ['--expose-gc', ...V8_OPTIONS, fileURLToPath(import.meta.url), '--child', name],
      {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      },
    );
    const text = String(child.output?.[3] ?? '');
    if (child.status !== 0 || text === '') return fail(`bench: ${name} ended with ${child.status ?? child.signal}`);
    const answer = { name, ...JSON.parse(text) };
    answers.push(answer);
    if (!asJson) print(answer);
  }
  if (asJson) console.log(JSON.stringify(answers, null, 2));
  const broken = answers.flatMap(({ figures }) => figures).filter((figure) => figure.ok === false);
  if (broken.length > 0) fail(`bench: ${broken.length} of the limits broken`);
}

/** In the child: what the question prints goes to stderr, the figures to descriptor 3. @param {string} name */
async function answer(name) {
  console.log = console.error;
  /** @type {import('./harness.ts').Bench} */
  const bench = await import(pathToFileURL(join(out, 'bench', `${name}.js`)).href);
  const figures = await bench.run();
  writeFileSync(3, JSON.stringify({ question: bench.question, figures }));
  process.exit(0); // a descriptor that the question left open does not keep the next one waiting
}

/** @param {{ name: string, question: string, figures: import('./harness.ts').Figure[] }} answer */
function print({ name, question, figures }) {
  console.log(`\n${name}: ${question}`);
  for (const figure of figures) console.log(`  ${line(figure)}`);
}

/** @param {import('./harness.ts').Figure} figure */
function line(figure) {
  if (figure.kind === 'unanswered') return `${figure.what}: not measured: ${figure.reason}`;
  const { limit, ok } = figure;
  const bounds = [
    limit.atLeast !== undefined ? `at least ${limit.atLeast}` : '',
    limit.atMost !== undefined ? `at most ${limit.atMost}` : '',
  ].filter(Boolean);
  const verdict = bounds.length > 0 ? `; ${bounds.join(', ')}: ${ok ? 'kept' : 'BROKEN'}` : '';
  const range = `(${short(figure.min)} to ${short(figure.max)})`;
  if (figure.kind === 'bytes')
    return `${figure.what}: ${short(figure.bytes)} bytes a frame ${range}, ${figure.frames} frames a trial${verdict}`;
  const { a, b, unit } = figure;
  const sides = `${a.name} ${short(a.median)}, ${b.name} ${short(b.median)} ${unit}`;
  return `${figure.what}: ${a.name} / ${b.name} = ${short(figure.ratio)} ${range} in ${figure.rounds.length} rounds; ${sides}${verdict}`;
}

/** @param {number} value */
function short(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/** @returns {boolean} false where tsc found errors */
function compile() {
  if (!existsSync(emitted)) rmSync(join(root, '.cache/bench.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['-p', join(here, 'tsconfig.json'), '--outDir', emitted, '--pretty', 'false'];
  const { status } = spawnSync(process.execPath, [tsc, ...options], { stdio: ['ignore', 2, 2] });
  spawnSync(process.execPath, [join(root, 'tools/hoist.mjs'), emitted, out], { stdio: ['ignore', 2, 2] });
  return status === 0;
}

/** @param {string} why */
function fail(why) {
  console.error(why);
  process.exitCode = 1;
}
