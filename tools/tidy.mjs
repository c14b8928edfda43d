// House rules as a test: node tools/tidy.mjs [folder]. Prints one line a breach, with what to write instead.
//
// 1. Walk the tree (what git ignores is left out), read each text file once.
// 2. Rules of text look at lines: paths of one person's machine, unfinished work, length, titles.
// 3. Rules of code look at the syntax tree of the TypeScript compiler, so that words in comments and strings are free.
//
// A rule is a line in a table: what is meant, and what takes its place. tools/tidy.test.ts breaks each one once.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const lineMax = 400;
const textMax = 2_000_000;
const skipped = ['node_modules', 'dist', '.git', '.cache', 'coverage'];
const houses = ['src', 'web', 'test', 'bench', 'tools', 'bin'];

/** Folders of src/ that may use the operating system and its clock (the same four as in .dependency-cruiser.cjs). */
const onNode = ['host', 'process', 'collector', 'cli'];

const vagueNames = ['util', 'utils', 'common', 'helper', 'helpers', 'core', 'manager', 'misc'];

// Names that mean the machine under us, where the code must run under a virtual clock, in a browser, and twice alike.
const worldly = {
  Date: 'take the time as an argument, or executive.wallUs()',
  performance: 'take the time as an argument, or executive.now()',
  setTimeout: 'a machine timer, or executive.requestTurnAt(atNs)',
  setInterval: 'a machine timer that arms itself again',
  setImmediate: 'executive.requestTurn()',
  queueMicrotask: 'executive.requestTurn()',
  process: 'a parameter that host or cli fills in',
  Promise: 'a callback or a status code; promises belong to host and cli',
  crypto: 'the seeded generator (base/prng)',
};

// Calls that allocate on V8, where a frame passes.
const bigints = 'two 32-bit halves, or a double up to 2^53';
const costlyMethods = {
  subarray: 'offset and length over the one arena view',
  getBigUint64: bigints,
  getBigInt64: bigints,
  setBigUint64: bigints,
  setBigInt64: bigints,
};

// Spelt in pieces, so that this file keeps its own rules.
const unfinished = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`);
const privatePaths = new RegExp(`(^|[^\\w.*/])/(${['work', 'farm[\\w-]*', 'tmp/bash_' + 'jobs'].join('|')})(/|\\b)`);

/**
 * @typedef {object} Page one text file
 * @property {string} path from the root, with slashes
 * @property {string} text
 * @property {string[]} lines
 * @property {boolean} code TypeScript or JavaScript
 * @property {boolean} test a test, or a fixture of tests
 * @property {(line: number, wrong: string, instead: string) => void} tell
 */

/**
 * @param {string} root
 * @returns {string[]} the breaches, sorted by file
 */
export function tidy(root) {
  const breaches = [];
  for (const path of walk(root)) {
    const text = readFileSync(join(root, path), 'utf8');
    if (text.length > textMax || text.includes('\0')) continue;
    const lines = text.split('\n');
    const tell = (line, wrong, instead) => breaches.push(`${path}:${line}: ${wrong}; instead: ${instead}`);
    const code = /\.(ts|tsx|mts|cts|js|mjs|cjs)$/.test(path);
    const page = { path, text, lines, code, test: /\.(test|fixture)\.tsx?$/.test(path), tell };
    checkText(page);
    if (houses.includes(path.split('/')[0] ?? '')) checkHouse(page);
    if (code) checkCode(page);
    if (path.endsWith('.md')) checkTitles(page);
  }
  return breaches;
}

/** @param {Page} page */
function checkText({ path, lines, tell }) {
  if (basename(path) === 'package-lock.json') return;
  lines.forEach((line, i) => {
    const found = privatePaths.exec(line);
    if (found)
      tell(i + 1, `the path /${found[2]} exists on one machine only`, 'a path from the repository, or a variable');
  });
}

/** @param {Page} page */
function checkHouse({ path, text, lines, code, test, tell }) {
  if (/\.(ts|tsx|mts|js|mjs|cjs|css|html|sh)$/.test(path)) {
    const count = lines.at(-1) === '' ? lines.length - 1 : lines.length;
    if (count > lineMax) tell(count, `${count} lines, more than ${lineMax}`, 'two files with one idea each');
  }
  for (const part of path.split('/')) {
    const vague = part.split(/[._-]/).find((word) => vagueNames.includes(word.toLowerCase()));
    if (vague)
      tell(1, `"${part}" names no thing (${vague})`, 'the name of what it holds, or move each part to its user');
  }
  if (!code) return;
  lines.forEach((line, i) => {
    const found = unfinished.exec(line);
    if (found) tell(i + 1, `${found[1]} left in the code`, 'do it, or write an issue');
  });
  if (path.startsWith('src/') && path.endsWith('.ts') && !test) {
    const body = text.replace(/^\/\/ hot[^\n]*\n/, '').trimStart();
    if (!/^\/[/*]/.test(body)) tell(1, 'no opening comment', 'what the file is, its picture or steps, who owns what');
  }
}

/** @param {Page} page */
function checkTitles({ lines, tell }) {
  let fenced = false;
  let titles = 0;
  lines.forEach((line, i) => {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    if (fenced || !line.startsWith('# ')) return;
    titles++;
    if (titles === 2) tell(i + 1, 'a second title (# )', '## for sections; one document, one title');
  });
}

/** @param {Page} page */
function checkCode({ path, text, test, tell }) {
  const kind = path.endsWith('x') ? ts.ScriptKind.TSX : ts.ScriptKind.TS;
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, kind);
  const folder = path.startsWith('src/') && path.split('/').length > 2 ? path.split('/')[1] : undefined;
  const rules = [];
  if (folder !== undefined && !onNode.includes(folder) && !test) rules.push(worldless);
  if (text.startsWith('// hot')) rules.push(hot);
  if (test) rules.push(everyTestRuns);
  if (houses.includes(path.split('/')[0] ?? '') && !/\.config\.\w+$|\.d\.\w+$/.test(path)) rules.push(namedExports);
  if (rules.length === 0) return;

  const at = (node) => file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
  const visit = (node) => {
    for (const rule of rules) rule(node, (wrong, instead) => tell(at(node), wrong, instead));
    ts.forEachChild(node, visit);
  };
  visit(file);
}

/** @typedef {(wrong: string, instead: string) => void} Tell */

/** Left of host: no clock, no chance, no process, nothing that is continued later. @param {ts.Node} node @param {Tell} tell */
function worldless(node, tell) {
  if (ts.isIdentifier(node) && Object.hasOwn(worldly, node.text) && standsForItself(node)) {
    if (node.text !== 'process' || (ts.isPropertyAccessExpression(node.parent) && node.parent.expression === node))
      tell(`${node.text} left of host`, worldly[node.text]);
  }
  if (isProperty(node, 'Math', 'random')) tell('Math.random left of host', 'the seeded generator (base/prng)');
  if (node.kind === ts.SyntaxKind.AsyncKeyword) tell('async left of host', worldly.Promise);
  if (ts.isAwaitExpression(node)) tell('await left of host', worldly.Promise);
}

/** In a `// hot` file: nothing that allocates, but at set-up and on the way to a throw. @param {ts.Node} node @param {Tell} tell */
function hot(node, tell) {
  if (happensOnce(node)) return;
  if (ts.isPropertyAccessExpression(node) && Object.hasOwn(costlyMethods, node.name.text))
    tell(`${node.name.text} in a hot file`, costlyMethods[node.name.text]);
  if (ts.isSpreadElement(node) || ts.isSpreadAssignment(node)) tell('spread in a hot file', 'assign by index or field');
  if (ts.isParameter(node) && node.dotDotDotToken && !ts.isTypeNode(node.parent))
    tell('rest parameter in a hot file', 'a fixed list of parameters');
  if (ts.isBigIntLiteral(node)) tell('BigInt in a hot file', bigints);
  if (ts.isIdentifier(node) && node.text === 'BigInt' && standsForItself(node)) tell('BigInt in a hot file', bigints);
  if (ts.isTemplateExpression(node) || ts.isNoSubstitutionTemplateLiteral(node))
    tell('template string in a hot file', 'a counter, or a code that the reader turns into words');
  if (isClosure(node))
    tell('closure in a hot file', 'a function of the module, or "Set-up" in the comment of what runs once');
}

/** @param {ts.Node} node @param {Tell} tell */
function everyTestRuns(node, tell) {
  for (const name of ['it', 'test', 'describe'])
    for (const mode of ['only', 'skip', 'to' + 'do'])
      if (isProperty(node, name, mode)) tell(`${name}.${mode}`, 'skipIf or ctx.skip(reason), so that it is counted');
}

/** @param {ts.Node} node @param {Tell} tell */
function namedExports(node, tell) {
  const marked =
    ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((m) => m.kind === ts.SyntaxKind.DefaultKeyword);
  const renamed = ts.isExportSpecifier(node) && node.name.text === 'default';
  if (marked || renamed || (ts.isExportAssignment(node) && !node.isExportEquals))
    tell('default export', 'a named export, so that every importer says the same word');
}

/** A name used as a variable or type, not as the name of a member. @param {ts.Identifier} node */
function standsForItself(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isQualifiedName(parent)) return parent.left === node;
  const member = ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent);
  return !(member && parent.name === node);
}

/** @param {ts.Node} node @param {string} object @param {string} member */
function isProperty(node, object, member) {
  if (!ts.isPropertyAccessExpression(node) || node.name.text !== member) return false;
  return ts.isIdentifier(node.expression) && node.expression.text === object;
}

/**
 * On the way to a throw, bound by `??=`, or in a function that runs at set-up: by its kind, its name, or because its
 * comment says "Set-up". Only the nearest function counts: a closure bound at set-up may run for each frame.
 * @param {ts.Node} node
 */
function happensOnce(node) {
  for (let up = node.parent; up; up = up.parent) {
    if (ts.isThrowStatement(up) || ts.isConstructorDeclaration(up)) return true;
    if (ts.isBinaryExpression(up) && up.operatorToken.kind === ts.SyntaxKind.QuestionQuestionEqualsToken) return true;
    if (!ts.isFunctionLike(up)) continue;
    if (!ts.isFunctionDeclaration(up) && !ts.isMethodDeclaration(up)) return false;
    const above = up.getFullText().slice(0, up.getLeadingTriviaWidth());
    return /^(create|alloc|register|open)|Init$/.test(up.name?.getText() ?? '') || /\bset-up\b/i.test(above);
  }
  return false;
}

/** A function made anew each time the function around it runs. @param {ts.Node} node */
function isClosure(node) {
  if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node) && !ts.isFunctionDeclaration(node)) return false;
  return inside(node, ts.isFunctionLike);
}

/** @param {ts.Node} node @param {(node: ts.Node) => boolean} test */
function inside(node, test) {
  for (let up = node.parent; up; up = up.parent) if (test(up)) return true;
  return false;
}

/** @param {string} root @returns {string[]} */
function walk(root) {
  const found = [];
  const look = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !skipped.includes(entry.name)) look(path);
      else if (entry.isFile() && statSync(path).size <= textMax) found.push(relative(root, path).split(sep).join('/'));
    }
  };
  look(root);
  return found.sort();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const breaches = tidy(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
  for (const line of breaches) console.log(line);
  console.log(breaches.length === 0 ? 'tidy: every file keeps the house rules' : `tidy: ${breaches.length} breaches`);
  process.exitCode = breaches.length === 0 ? 0 : 1;
}
