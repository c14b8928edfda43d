import { it } from 'vitest';
import { runSeed } from './seeds.ts';
it('try', { timeout: 120000 }, () => {
  const t = performance.now();
  const kinds = new Map<string, number[]>();
  let frames = 0, panics = 0, events = 0;
  const N = Number(process.env.N ?? 500);
  for (let s = 1; s <= N; s++) {
    const v = runSeed(s);
    frames += v.frames; panics += v.panics; events += v.events;
    for (const w of v.wrong) { const k = w.slice(0, 900).replace(/\d+/g, '#'); kinds.set(k, [...(kinds.get(k) ?? []), s]); }
  }
  console.log(N, 'seeds', performance.now() - t, 'ms', frames, events, panics);
  for (const [k, v] of kinds) console.log(v.length, v.slice(0, 5).join(','), k);
});
