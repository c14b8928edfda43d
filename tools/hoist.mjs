// Puts the modules that handle frames into one scope, as the published package has them.
//
//   from/**.js (tsc's)  --rolldown-->  to/core.js           all of src/ that is left of host, and sim: no node:* in it
//                                      to/core_host.js      host
//                                      to/**.js             under their old names: those of the two re-export, others are copied
//
// Why: V8 reads an imported name from its module's cell at each use, asks whether it is there yet, and checks that a function is
// still the one it has compiled for; a name of the same module's scope is part of the code. A frame's way has 150 such reads.
// Without them the receive walk takes a sixth less time, and simulated machines a tenth (bench sim_rate).
//
// Nothing is shaken off: what a module does when it is loaded it still does, and what it exports it still exports.
// Command line: node tools/hoist.mjs FROM TO

import { cpSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** What goes where, by folder, as the law of arrows names them. Neither imports anything to its right. */
const CORE = /^(src\/)?(base|wire|skb|machine|device|drivers|napi|netpoll|stack|inet|stacked|clients|sim)\//;
const HOST = /^(src\/)?host\//;

/**
 * Writes the modules below `from` to `to`.
 *
 * @param {string} from absolute; holds tsc's output
 * @param {string} to absolute; files there are overwritten
 */
export async function hoist(from, to) {
  const inside = (id) => relative(from, id).replaceAll(sep, '/');
  const input = {};
  for (const path of scripts(from)) {
    const name = inside(path);
    if (CORE.test(name) || HOST.test(name)) input[name.replace(/\.js$/, '')] = path;
    else for (const file of [path, `${path}.map`]) cpSync(file, join(to, inside(file)));
  }
  // A program without a core (a test's) is a copy.
  if (Object.keys(input).length === 0) return;
  const bundle = await rolldown({
    input,
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !id.startsWith(from),
    optimization: { inlineConst: true },
    treeshake: false,
  });
  await bundle.write({
    dir: to,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: {
      groups: [
        { name: 'core', test: (id) => CORE.test(inside(id)) },
        { name: 'core_host', test: (id) => HOST.test(inside(id)) },
      ],
    },
  });
  await bundle.close();
}

/** @param {string} folder @returns {string[]} */
function scripts(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return scripts(path);
    return entry.name.endsWith('.js') ? [path] : [];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [from = '', to = ''] = process.argv.slice(2);
  await hoist(from, to);
}
