// `npm run bench` asks all questions, `npm run bench NAME...` some; what follows `--` are options:
//
//   --json       one JSON array instead of a table
//   --out DIR    where NAME.json and NAME.svg of each answer go; .cache/bench_results if absent
//   --publish    writes docs/performance.md from the newest answers, and asks nothing that is not named
//   --list       the questions
//
// 1. tsc compiles bench/ and src/, tools/hoist.mjs puts the core into one scope, as for dist/: what is measured is what is published,
//    and with the options that bin/netpoll.js sets.
// 2. Each question runs in a process of its own, one after the other: no heap, code or collector is shared.
// 3. Every figure names its limit; a broken one ends the run with 1.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const emitted = join(root, '.cache/bench_modules');
const compiled = join(root, '.cache/bench');
const results = join(root, '.cache/bench_results');
const published = join(root, 'docs/performance');

const V8_OPTIONS = ['--max-inlined-bytecode-size-cumulative=4000'];

const [mode, ...rest] = process.argv.slice(2);
if (mode === '--child') await answer(rest[0] ?? '');
else await runAll(process.argv.slice(2));

/** @param {string[]} args */
async function runAll(args) {
  const given = options(args);
  if (given === null) return;
  const { json, publish, list, out, wanted } = given;
  const known = questions();
  if (list) return console.log(known.join('\n'));
  const unknown = wanted.filter((name) => !known.includes(name));
  if (unknown.length > 0) return fail(`no such question: ${unknown.join(', ')}; there are: ${known.join(', ')}`, 2);
  if (!compile()) console.error('bench: tsc found errors (above); measuring what it emitted all the same');

  const { aboutOf, loadAnswers, saveAnswer } = await compiledModule('answer');
  const { machine, measureLoad } = await compiledModule('machine');
  const { answerText } = await compiledModule('words');
  const asked = wanted.length > 0 ? wanted : publish ? [] : known;
  const answers = [];
  const silent = [];
  for (const name of asked) {
    const loadOf = measureLoad();
    const found = ask(name);
    if (typeof found === 'string') {
      silent.push(found);
      console.error(found);
      continue;
    }
    const about = aboutOf(readFileSync(join(here, `${name}.ts`), 'utf8'));
    const date = new Date().toISOString();
    const one = { name, about, date, machine: machine(root), load: loadOf(), ...found };
    answers.push(one);
    saveAnswer(out, one);
    if (!json) console.log(answerText(one));
  }
  if (json) console.log(JSON.stringify(answers, null, 2));
  if (publish) await publishAll(loadAnswers(out), saveAnswer, known);
  const broken = answers.flatMap(({ figures }) => figures).filter((figure) => figure.ok === false);
  if (broken.length > 0) fail(`bench: ${broken.length} of the limits broken`, 1);
  if (silent.length > 0) fail(`bench: ${silent.length} of the questions without an answer`, 1);
}

/** @param {string[]} args */
function options(args) {
  const given = { json: false, publish: false, list: false, out: results, wanted: /** @type {string[]} */ ([]) };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--json') given.json = true;
    else if (arg === '--publish') given.publish = true;
    else if (arg === '--list') given.list = true;
    else if (arg === '--out' && args[i + 1] !== undefined) given.out = args[++i] ?? '';
    else if (arg.startsWith('-')) {
      fail(`bench: ${arg}: there are --json, --out DIR, --publish, --list`, 2);
      return null;
    } else given.wanted.push(arg);
  }
  return given;
}

function questions() {
  return readdirSync(here)
    .filter(
      (name) => /^\w+\.ts$/.test(name) && /^export const question\b/m.test(readFileSync(join(here, name), 'utf8')),
    )
    .map((name) => name.replace(/\.ts$/, ''));
}

/** The question and its figures, or why there are none. @param {string} name */
function ask(name) {
  const child = spawnSync(
    process.execPath,
    ['--expose-gc', ...V8_OPTIONS, fileURLToPath(import.meta.url), '--child', name],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'inherit', 'inherit', 'pipe'], maxBuffer: 1 << 26 },
  );
  const text = String(child.output?.[3] ?? '');
  if (child.status !== 0 || text === '') return `bench: ${name} ended with ${child.status ?? child.signal}`;
  return /** @type {{ question: string, figures: import('./figures.ts').Figure[] }} */ (JSON.parse(text));
}

/** In the child: what the question prints goes to stderr, the figures to descriptor 3. @param {string} name */
async function answer(name) {
  console.log = console.error;
  /** @type {import('./figures.ts').Bench} */
  const bench = await import(pathToFileURL(join(compiled, 'bench', `${name}.js`)).href);
  const figures = await bench.run();
  writeFileSync(3, JSON.stringify({ question: bench.question, figures }));
  process.exit(0); // a descriptor that the question left open does not keep the next one waiting
}

/**
 * docs/performance.md and what it shows, anew; answers to questions that are no more are left out.
 *
 * @param {import('./report/answer.ts').Answer[]} answers
 * @param {typeof import('./report/answer.ts').saveAnswer} save
 * @param {string[]} known
 */
async function publishAll(answers, save, known) {
  const shown = answers.filter(({ name }) => known.includes(name));
  if (shown.length === 0) return fail('bench: no answers to publish: npm run bench', 2);
  const { aboutOf } = await compiledModule('answer');
  const { page } = await compiledModule('page');
  rmSync(published, { recursive: true, force: true });
  mkdirSync(published, { recursive: true });
  // The words are those of today's file.
  const today = shown.map((one) => ({ ...one, about: aboutOf(readFileSync(join(here, `${one.name}.ts`), 'utf8')) }));
  for (const one of today) save(published, one);
  writeFileSync(join(root, 'docs/performance.md'), page(today, 'performance'));
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  spawnSync(process.execPath, [biome, 'format', '--write', published], { cwd: root, stdio: 'ignore' });
  console.error(`bench: docs/performance.md shows ${today.length} questions`);
}

/** Of bench/report. @param {string} name */
function compiledModule(name) {
  return import(pathToFileURL(join(compiled, 'bench/report', `${name}.js`)).href);
}

/** @returns {boolean} false where tsc found errors */
function compile() {
  if (!existsSync(emitted)) rmSync(join(root, '.cache/bench.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const args = ['-p', join(here, 'tsconfig.json'), '--outDir', emitted, '--pretty', 'false'];
  const { status } = spawnSync(process.execPath, [tsc, ...args], { stdio: ['ignore', 2, 2] });
  spawnSync(process.execPath, [join(root, 'tools/hoist.mjs'), emitted, compiled], { stdio: ['ignore', 2, 2] });
  return status === 0;
}

/** @param {string} why @param {number} code */
function fail(why, code) {
  console.error(why);
  process.exitCode = code;
}
