// `npm test`: everything, from a fresh clone to one line of figures.
//
//   npm test                 1. Debian packages of the real peers  2. build  3. check  4. all tests  5. the count
//   npm test -- --unit       2 to 5 with the unit project only: no package is installed, no kernel booted
//   npm test -- PATH ...     1, 2, 4, 5 for these files (any argument of vitest may follow)
//
// A machine that is not Debian, or a user who is not root, gets a list of what is missing and the rest of the tests.
// Root on Debian has everything, so there a skipped test is a failed run; but for those that want the corpora, which
// are not part of the repository.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const peers = [
  ...['iproute2', 'socat', 'tcpdump', 'tshark', 'qemu-system-x86', 'busybox-static', 'cpio', 'gdb', 'ethtool'],
  ...['chromium', 'netcat-openbsd'],
];
const aptTries = 3;
const wants = /corpora/i;

const args = process.argv.slice(2).filter((arg) => arg !== '--unit');
const unitOnly = process.argv.includes('--unit');
const isRoot = process.getuid?.() === 0;
const isDebian = existsSync('/etc/debian_version') && runs('dpkg-query', ['--version']);
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` };

process.chdir(root);
const wrong = [];

if (!existsSync('node_modules/vitest')) {
  console.log('test: the devDependencies are not installed; run: npm ci');
  process.exit(1);
}
providePeers();
if (!step('build', ['tools/build.mjs'])) wrong.push('the build failed');
if (args.length === 0 && !step('check', ['tools/check.mjs'])) wrong.push('the check failed');
const tally = runTests(unitOnly ? ['--project', 'unit'] : []);
conclude(tally);

/** Installs the missing Debian packages, or says which they are. */
function providePeers() {
  const missing = isDebian ? missingPackages() : peers;
  if (missing.length === 0) return;
  if (!isDebian) console.log(`test: not Debian: cannot tell whether these are installed: ${missing.join(' ')}`);
  else if (!isRoot) console.log(`test: not root; to run every test: sudo apt-get install ${missing.join(' ')}`);
  else if (unitOnly) console.log(`test: only needed by the tests left out with --unit: ${missing.join(' ')}`);
  else install(missing);
}

/** @param {string[]} missing */
function install(missing) {
  console.log(`test: installing ${missing.join(' ')}`);
  const quiet = ['-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300', '-qq'];
  for (let attempt = 1; attempt <= aptTries; attempt++) {
    if (apt([...quiet, 'update']) && apt([...quiet, 'install', '-y', '--no-install-recommends', ...missing])) break;
    console.log(`test: apt-get failed (${attempt} of ${aptTries})`);
    if (attempt < aptTries) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, attempt * 5_000);
  }
  const still = missingPackages();
  if (still.length > 0) wrong.push(`could not install ${still.join(' ')}`);
}

/** @param {string[]} args */
function apt(args) {
  const quietly = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status } = spawnSync('apt-get', args, { env: quietly, stdio: ['ignore', 'ignore', 'inherit'] });
  return status === 0;
}

/** @returns {string[]} */
function missingPackages() {
  const format = '${Package} ${db:Status-Status}\\n';
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', format, ...peers], { encoding: 'utf8' });
  const installed = new Set(stdout.split('\n').filter((line) => line.endsWith(' installed')));
  return peers.filter((name) => !installed.has(`${name} installed`));
}

/** @param {string} name @param {string[]} command */
function step(name, command) {
  const started = performance.now();
  const { status } = spawnSync(process.execPath, command, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  console.log(
    `test: ${name} ${status === 0 ? 'ok' : 'FAILED'} (${((performance.now() - started) / 1000).toFixed(1)} s)`,
  );
  return status === 0;
}

/** @param {string[]} projects @returns {import('./tally.ts').Tally} */
function runTests(projects) {
  const path = join(root, `.cache/tally.${process.pid}.json`);
  mkdirSync(dirname(path), { recursive: true });
  const command = ['node_modules/vitest/vitest.mjs', 'run', ...projects, ...args];
  const withTally = { ...env, NETPOLL_TALLY: path };
  const { status } = spawnSync(process.execPath, command, { env: withTally, stdio: ['ignore', 'inherit', 'inherit'] });
  if (!existsSync(path)) {
    wrong.push(`vitest ended with ${status} before it counted anything`);
    return { passed: 0, failed: 0, skipped: [] };
  }
  const tally = JSON.parse(readFileSync(path, 'utf8'));
  rmSync(path);
  if (status !== 0 && tally.failed === 0) wrong.push(`vitest ended with ${status}`);
  return tally;
}

/** @param {import('./tally.ts').Tally} tally */
function conclude({ passed, failed, skipped }) {
  for (const { file, name, reason } of skipped) console.log(`skipped: ${file}: ${name}: ${reason}`);
  // A name pattern (-t) skips all others; that is what it is for.
  const chosen = args.some((arg) => arg === '-t' || arg.startsWith('--testNamePattern'));
  const unexplained = skipped.filter(({ reason }) => !wants.test(reason));
  if (isRoot && isDebian && !unitOnly && !chosen && unexplained.length > 0)
    wrong.push(`${unexplained.length} skipped, though root on Debian has all that they need`);
  for (const line of wrong) console.log(`test: ${line}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
  process.exitCode = failed === 0 && wrong.length === 0 && passed > 0 ? 0 : 1;
}

/** @param {string} program @param {string[]} args */
function runs(program, args) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}
