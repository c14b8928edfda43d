/** Reads the compressed recordings beside this file. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

/** The text of `name`, a gzip file under test/golden/. */
export function goldenText(name: string): string {
  return gunzipSync(readFileSync(new URL(name, import.meta.url))).toString('utf8');
}

export function goldenJson<T>(name: string): T {
  return JSON.parse(goldenText(name)) as T;
}

/** One JSON value a line. */
export function goldenLines<T>(name: string): T[] {
  return goldenText(name)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
