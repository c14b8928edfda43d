/**
 * The built page, from the package's own dist/web: read once at start, served from memory.
 *
 * Nothing outside that folder can be named: requests are looked up in the list of files that were there at start.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from '../base/status.ts';

export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** Names with a hash of the content never change: browsers may keep them. */
  readonly immutable: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.json': 'application/json',
  '.woff2': 'font/woff2',
};

/** Where the page lies: beside the compiled collector, or under the sources' root. */
function pageFolder(): string {
  const compiled = fileURLToPath(new URL('../web/', import.meta.url));
  const fromSource = fileURLToPath(new URL('../../dist/web/', import.meta.url));
  return existsSync(join(compiled, 'index.html')) ? compiled : fromSource;
}

/** All files of the page by path (`/`, `/assets/...`). Throws SetupError ERR_NETPOLL_PAGE_NOT_BUILT where there is no page. */
export function loadPage(folder = pageFolder()): ReadonlyMap<string, PageFile> {
  if (!existsSync(join(folder, 'index.html'))) {
    throw new SetupError(
      'ERR_NETPOLL_PAGE_NOT_BUILT',
      `the web page is not built: no index.html in ${folder}; run \`npm run build\``,
    );
  }
  const files = new Map<string, PageFile>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, full).split(sep).join('/')}`;
    const type = TYPES[extname(entry.name)];
    // Source maps and what else a build leaves are no part of the page.
    if (type === undefined) continue;
    files.set(path, { body: new Uint8Array(readFileSync(full)), type, immutable: path.startsWith('/assets/') });
  }
  files.set('/', files.get('/index.html')!);
  return files;
}
