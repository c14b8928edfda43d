// `npm run check`: what is said about the code without running it. Two at a time; one line for each that is silent.
//
//   types      tsc over src, test, bench, tools
//   web types  tsc over web/, which has the DOM and JSX (when web/ has a tsconfig.json)
//   biome      lint and format
//   arrows     the law of arrows (.dependency-cruiser.cjs)
//   tidy       house rules (tools/tidy.mjs)

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const tsc = (project, memo) => [
  join(modules, 'typescript/bin/tsc'),
  ...['--noEmit', '-p', project, '--incremental', '--tsBuildInfoFile', `.cache/${memo}.tsbuildinfo`],
];

/** @type {[name: string, args: string[]][]} */
const checks = [
  ['types', tsc('tsconfig.json', 'check')],
  ['biome', [join(modules, '@biomejs/biome/bin/biome'), 'check', '.']],
  [
    'arrows',
    [join(modules, 'dependency-cruiser/bin/dependency-cruise.mjs'), '--config', '.dependency-cruiser.cjs', 'src'],
  ],
  ['tidy', [join(root, 'tools/tidy.mjs')]],
];
if (existsSync(join(root, 'web/tsconfig.json'))) checks.push(['web types', tsc('web/tsconfig.json', 'check-web')]);

/** @param {string[]} args @returns {Promise<{ ok: boolean, output: string }>} */
function run(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', (error) => (output += error.message));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

/** Takes the next check until there is none; two of these run. @param {string[]} failed */
async function work(failed) {
  for (let next = checks.shift(); next; next = checks.shift()) {
    const [name, args] = next;
    const started = performance.now();
    const { ok, output } = await run(args);
    if (!ok) failed.push(name);
    if (!ok && output.trim() !== '') console.log(output.trimEnd());
    console.log(`check: ${name} ${ok ? 'ok' : 'FAILED'} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  }
}

mkdirSync(join(root, '.cache'), { recursive: true });
const failed = [];
await Promise.all([work(failed), work(failed)]);
if (failed.length > 0) console.log(`check: failed: ${failed.join(', ')}; \`npm run fix\` formats`);
process.exitCode = failed.length === 0 ? 0 : 1;
