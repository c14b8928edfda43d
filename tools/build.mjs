// Builds what is stale, and nothing else.
//
//   src/**  --tsc-->   .cache/modules/  --hoist.mjs-->  dist/     (declarations and source maps beside; tsc is incremental)
//   web/**  --vite-->  dist/web/    (when web/ has a vite config)
//
// 1. Each half has a list of inputs. Its print (path, size, mtime of each) is compared with the one in
//    .cache/build.json: equal means fresh, and costs a few milliseconds. If only times moved, a hash of the contents
//    decides (a branch switched back and forth builds nothing).
// 2. One builder at a time: the directory .cache/build.lock, which holds the builder's pid; who waits looks again, and
//    usually finds all fresh. The lock of a dead builder is taken over.
// 3. tsc emits even where types are wrong. That counts as failed here (exit 1), is remembered, and bin/netpoll.js
//    says so and runs what was emitted.
//
// Command line: node tools/build.mjs [--quiet] [--force]. Also imported by bin/netpoll.js.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, '.cache');
const memo = join(cache, 'build.json');
const lock = join(cache, 'build.lock');
const buildInfo = join(cache, 'build.tsbuildinfo');
/** What tsc emits, a file a module. */
const emitted = join(cache, 'modules');
const hoistTool = fileURLToPath(new URL('./hoist.mjs', import.meta.url));
const lockWaitMs = 180_000;
const shared = ['package-lock.json', 'tsconfig.json'];

/**
 * @typedef {object} Half
 * @property {'src' | 'web'} name
 * @property {() => string[]} inputs absolute paths
 * @property {string} product a file that must exist after a build
 * @property {(log: (line: string) => void) => boolean} build true where nothing was wrong
 */

/** @type {Half[]} */
const halves = [
  {
    name: 'src',
    inputs: () => [...shared, 'tsconfig.build.json'].map(inRoot).concat(sources(inRoot('src'))),
    product: inRoot('dist/cli/main.js'),
    build: buildSrc,
  },
  {
    name: 'web',
    inputs: webInputs,
    product: inRoot('dist/web/index.html'),
    build: buildWeb,
  },
];

/**
 * What must be built again. An empty list: dist/ is what the sources say.
 * @param {{ wrongToo?: boolean }} [options] wrongToo: count a half whose last build had errors, though nothing changed
 * @returns {Half[]}
 */
export function stale({ wrongToo = false } = {}) {
  const before = readMemo();
  return halves.filter((half) => {
    if (half.name === 'web' && !hasWeb()) return false;
    const last = before[half.name];
    if (last === undefined || !existsSync(half.product)) return true;
    if (wrongToo && !last.ok) return true;
    const inputs = half.inputs();
    if (last.print === printOf(inputs)) return false;
    if (last.hash !== hashOf(inputs)) return true;
    remember(half.name, { ...last, print: printOf(inputs) });
    return false;
  });
}

/** @returns {string[]} the halves whose last build had errors */
export function wrong() {
  return Object.entries(readMemo())
    .filter(([, last]) => !last.ok)
    .map(([name]) => name);
}

/** @returns {string[]} what a build needs and the checkout lacks; empty when it can build */
export function lacking() {
  const need = ['typescript', 'rolldown', ...(hasWeb() ? ['vite'] : [])];
  return need.filter((name) => !existsSync(inRoot(`node_modules/${name}/package.json`)));
}

/**
 * Builds the stale halves under the lock.
 * @param {{ log?: (line: string) => void, force?: boolean, wrongToo?: boolean }} [options]
 * @returns {boolean} true where every half is built without an error
 */
export function build({ log = () => {}, force = false, wrongToo = false } = {}) {
  const missing = lacking();
  if (missing.length > 0) {
    log(`cannot build: ${missing.join(', ')} not installed; run: npm ci`);
    return false;
  }
  takeLock(log);
  try {
    const due = force ? halves.filter((half) => half.name !== 'web' || hasWeb()) : stale({ wrongToo });
    for (const half of due) {
      const started = performance.now();
      log(`build: ${half.name} ...`);
      const inputs = half.inputs();
      const stamp = { print: printOf(inputs), hash: hashOf(inputs) };
      const ok = half.build(log);
      if (existsSync(half.product)) remember(half.name, { ...stamp, ok });
      log(`build: ${half.name} ${ok ? 'done' : 'FAILED'} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    }
    return wrong().length === 0 && stale().length === 0;
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** @param {(line: string) => void} log */
function buildSrc(log) {
  // tsc believes its build info and emits nothing into an emptied folder.
  if (!existsSync(join(emitted, 'cli/main.js'))) rmSync(buildInfo, { force: true });
  const tsc = [
    'node_modules/typescript/bin/tsc',
    '-p',
    'tsconfig.build.json',
    '--outDir',
    emitted,
    '--pretty',
    'false',
  ];
  const right = run(log, tsc);
  removeOrphans(emitted);
  const ok = run(log, [hoistTool, emitted, inRoot('dist')]) && right;
  for (const path of walk(emitted)) {
    if (path.endsWith('.d.ts')) cpSync(path, join(inRoot('dist'), relative(emitted, path)));
  }
  removeOrphans(inRoot('dist'));
  if (!existsSync(inRoot('dist/cli/main.js'))) log('build: src: no dist/cli/main.js came out of it');
  return ok;
}

/** @param {(line: string) => void} log */
function buildWeb(log) {
  const out = inRoot('dist/web');
  return run(log, [
    'node_modules/vite/bin/vite.js',
    'build',
    'web',
    '--outDir',
    out,
    '--emptyOutDir',
    '--logLevel=warn',
  ]);
}

/** Files in dist/ that no source stands for any more: a renamed module must not stay importable. @param {string} dist */
function removeOrphans(dist) {
  if (!existsSync(dist)) return;
  const stems = new Set(sources(inRoot('src')).map((path) => relative(inRoot('src'), path).replace(/\.ts$/, '')));
  for (const path of walk(dist)) {
    const inside = relative(dist, path);
    if (inside.startsWith(`web${sep}`) || HOISTED.test(inside)) continue;
    if (!stems.has(inside.replace(/(\.d\.ts|\.js)(\.map)?$/, ''))) rmSync(path, { force: true });
  }
}

/**
 * Runs a tool with this node; its output goes line by line to `log`.
 * @param {(line: string) => void} log
 * @param {string[]} args
 */
function run(log, args) {
  const env = { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '0' };
  const done = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const line of `${done.stdout}${done.stderr}`.split('\n')) if (line.trim() !== '') log(`  ${line}`);
  if (done.error) log(`  ${done.error.message}`);
  return done.status === 0;
}

function hasWeb() {
  return ['ts', 'mts', 'js', 'mjs'].some((ext) => existsSync(inRoot(`web/vite.config.${ext}`)));
}

/** The page's own files; where it imports values from src/, those of src/ too. */
function webInputs() {
  const own = sources(inRoot('web'));
  const usesSrc = own.some((path) => /^import (?!type)[^;]*from '(\.\.\/)+src\//m.test(readFileSync(path, 'utf8')));
  return shared.map(inRoot).concat(own, usesSrc ? sources(inRoot('src')) : []);
}

/** @param {string} folder */
function sources(folder) {
  return existsSync(folder) ? walk(folder).filter((path) => !/\.(test|fixture)\.tsx?$/.test(path)) : [];
}

/** @param {string} folder @returns {string[]} all files below, sorted */
function walk(folder) {
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...walk(path));
    else if (entry.isFile()) found.push(path);
  }
  return found.sort();
}

/** @param {string[]} paths */
function printOf(paths) {
  const hash = createHash('sha1');
  for (const path of paths) {
    const stat = statSync(path, { throwIfNoEntry: false });
    hash.update(`${relative(root, path)} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/** @param {string[]} paths */
function hashOf(paths) {
  const hash = createHash('sha1');
  for (const path of paths) hash.update(`${relative(root, path)}\n`).update(existsSync(path) ? readFileSync(path) : '');
  return hash.digest('hex');
}

/** @returns {Record<string, { print: string, hash: string, ok: boolean }>} */
function readMemo() {
  try {
    return JSON.parse(readFileSync(memo, 'utf8'));
  } catch {
    return {}; // none yet, or cut short by a crash: everything is stale
  }
}

/** @param {string} name @param {{ print: string, hash: string, ok: boolean }} entry */
function remember(name, entry) {
  mkdirSync(cache, { recursive: true });
  const own = `${memo}.${process.pid}`;
  writeFileSync(own, JSON.stringify({ ...readMemo(), [name]: entry }));
  renameSync(own, memo);
}

/** Waits, without an event loop, until this process holds the lock. @param {(line: string) => void} log */
function takeLock(log) {
  mkdirSync(cache, { recursive: true });
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  const until = Date.now() + lockWaitMs;
  let told = false;
  for (;;) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, 'pid'), `${process.pid}`);
      return;
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    }
    if (holderIsDead()) buryHolder();
    if (Date.now() > until) throw new Error(`another build holds ${relative(root, lock)}; if none runs: rm -r ${lock}`);
    if (!told) log('build: waiting for another build in this checkout');
    told = true;
    Atomics.wait(sleeper, 0, 0, 50);
  }
}

/** Only under a second lock: else a slow waiter could take away the lock that a quick one has just made anew. */
function buryHolder() {
  const burial = `${lock}.burial`;
  try {
    mkdirSync(burial);
  } catch {
    const stat = statSync(burial, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > 5_000) rmSync(burial, { recursive: true, force: true });
    return;
  }
  if (holderIsDead()) rmSync(lock, { recursive: true, force: true });
  rmSync(burial, { recursive: true, force: true });
}

function holderIsDead() {
  let pid = Number.NaN;
  try {
    pid = Number.parseInt(readFileSync(join(lock, 'pid'), 'utf8'), 10);
  } catch {} // just made, or just removed
  if (Number.isNaN(pid)) {
    const stat = statSync(lock, { throwIfNoEntry: false });
    return stat !== undefined && Date.now() - stat.mtimeMs > 5_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'ESRCH';
  }
}

/** What hoist.mjs writes besides the modules. */
const HOISTED = /^(core|core_host|rolldown-runtime)\.js(\.map)?$/;

/** @param {string} path */
function inRoot(path) {
  return join(root, path);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const quiet = process.argv.includes('--quiet');
  const kept = [];
  const log = (line) => (quiet ? kept.push(line) : console.log(line));
  const ok = build({ log, force: process.argv.includes('--force'), wrongToo: true });
  if (!ok && quiet) console.error(kept.join('\n'));
  if (ok && !quiet && wrong().length === 0) console.log('build: dist/ is up to date');
  process.exitCode = ok ? 0 : 1;
}
