// The law of arrows. Imports point left; the line below is the whole law, and the rules are made from it.
//
//   a < b        b may import a and everything left of a
//   { x | y }    siblings: x and y never import each other; what stands right of the brace may import both
//   x < y        inside a brace, one sibling made of several folders
//
// A folder of src/ that is not in the line fails, and so does a name in the line without a folder, unless it is planned.

const fs = require('node:fs');
const path = require('node:path');

const law =
  'base < wire < skb < machine < device < drivers < napi < { netpoll | stack < inet } < stacked < clients ' +
  '< { sim | host } < { process | collector | lab } < cli';

/** In the law, not yet in the tree. A name leaves this list with its folder's first file. */
const planned = ['process'];

/** May touch the operating system; every other folder runs in a browser, and twice alike with the same seed. */
const onNode = ['host', 'process', 'collector', 'cli'];

/** Tests, and what only tests import, lie beside the code and may look everywhere. */
const tests = '[.](test|fixture)[.]ts$';
const lefts = leftsOf(law);
checkAgainst(path.join(__dirname, 'src'), Object.keys(lefts));

module.exports = {
  forbidden: [
    ...Object.entries(lefts).map(([folder, left]) => ({
      name: `arrow-${folder}`,
      comment: `src/${folder} may import ${left.length > 0 ? left.join(', ') : 'no other folder'}. The law: ${law}`,
      severity: 'error',
      from: { path: `^src/${folder}/`, pathNot: tests },
      to: { path: '^src/', pathNot: `^src/(${[folder, ...left].join('|')})/` },
    })),
    {
      name: 'runs-anywhere',
      comment: `Only ${onNode.join(', ')} may import node:* or a package: time, randomness and descriptors are arguments here.`,
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: [`^src/(${onNode.join('|')})/`, tests] },
      to: { dependencyTypesNot: ['local', 'localmodule', 'type-only'], pathNot: '^src/' },
    },
    {
      name: 'no-circle',
      // Inside a folder two structures may point at each other (a device has queues, a queue its device): `import type`.
      comment: 'Two modules that need each other are one module, or want a third one left of both.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-import-of-a-test',
      comment: 'A test is a leaf. What two tests share is a file of its own: x.fixture.ts, which only tests import.',
      severity: 'error',
      from: { pathNot: tests },
      to: { path: tests },
    },
    {
      name: 'no-test-imports-another',
      comment: 'A test is a leaf. What two tests share is a file of its own: x.fixture.ts.',
      severity: 'error',
      from: {},
      to: { path: '[.]test[.]ts$' },
    },
    {
      name: 'src-stands-alone',
      comment: 'src/ is what is published: it imports nothing from test, bench, tools, web, bin or dist.',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { path: '^(test|bench|tools|web|bin|dist)/' },
    },
    {
      name: 'nothing-imports-the-front-door',
      comment: 'src/*.ts is for users of the package; inside, import the file that defines the name.',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { path: '^src/[^/]+[.]ts$' },
    },
    {
      name: 'resolvable',
      comment: 'The import leads nowhere: misspelt, or a package that package.json does not have.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'runs-without-devDependencies',
      comment: 'An installed netpoll has only dependencies and optionalDependencies.',
      severity: 'error',
      from: { path: '^src/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|[.]cache)/' },
    tsPreCompilationDeps: true,
    // package.json as it is on disk, with its exports; .ts specifiers are resolved as written.
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};

/**
 * Reads the law.
 * @param {string} line
 * @returns {Record<string, string[]>} folder -> the folders left of it
 */
function leftsOf(line) {
  const steps = line.split(/<(?![^{]*})/).map((step) => step.replace(/[{}]/g, '').split('|'));
  const result = {};
  const left = [];
  for (const siblings of steps) {
    const here = siblings.map((sibling) => sibling.split('<').map((name) => name.trim()));
    for (const chain of here) {
      chain.forEach((folder, i) => {
        result[folder] = [...left, ...chain.slice(0, i)];
      });
    }
    left.push(...here.flat());
  }
  return result;
}

/** @param {string} src @param {string[]} known @throws where the line and the tree differ */
function checkAgainst(src, known) {
  const real = fs
    .readdirSync(src, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && holdsFiles(path.join(src, entry.name)))
    .map((entry) => entry.name);
  const wrong = [
    ...real.filter((name) => !known.includes(name)).map((name) => `src/${name} has no place in the law of arrows`),
    ...known.filter((name) => !real.includes(name) && !planned.includes(name)).map((name) => `src/${name} is gone`),
    ...planned.filter((name) => !known.includes(name)).map((name) => `${name} is planned, yet not in the law`),
    ...planned.filter((name) => real.includes(name)).map((name) => `src/${name} is there: no longer planned`),
  ];
  if (wrong.length > 0) throw new Error(`.dependency-cruiser.cjs: ${wrong.join('; ')}`);
}

/** git knows no empty folders, so an empty one is not there. @param {string} folder @returns {boolean} */
function holdsFiles(folder) {
  return fs.readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile());
}
