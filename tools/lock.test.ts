import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Locked {
  version?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8'));
const packages = Object.entries(lock.packages as Record<string, Locked>);

// npm install leaves out what the registry at hand does not have (another platform's binary), and npm ci then refuses
// the lock file, everywhere. Put back the missing entries by hand: version, cpu, os, "optional": true.
it('package-lock.json has every package that another one in it names, other platforms too', () => {
  const names = new Set(packages.map(([path]) => path.split('node_modules/').at(-1)));
  const missing = packages.flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !names.has(name))
      .map((name) => `${path}: ${name}`),
  );
  expect(missing).toEqual([]);
});

it('package.json pins each dependency to one version', () => {
  const { dependencies, devDependencies, optionalDependencies } = lock.packages[''];
  const wanted = { ...dependencies, ...devDependencies, ...optionalDependencies } as Record<string, string>;
  for (const [name, version] of Object.entries(wanted)) {
    expect(`${name} ${version}`).toMatch(/ \d+\.\d+\.\d+$/);
    expect(lock.packages[`node_modules/${name}`].version).toBe(version);
  }
});
