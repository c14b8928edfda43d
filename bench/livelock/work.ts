/**
 * What an application does with a datagram, as so many microseconds of a processor that nobody interrupts: rounds of xorshift, as many as
 * took that long when it started. Whoever is interrupted meanwhile does the same work, later. livelock/receive.c does the same.
 */
export function workOf(us: number): (seed: number) => number {
  const rounds = (n: number, seed: number): number => {
    let x = seed | 1;
    for (let i = 0; i < n; i++) {
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
    }
    return x;
  };
  const trial = 20_000;
  let bestUs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    rounds(trial, i);
    bestUs = Math.min(bestUs, (performance.now() - began) * 1000);
  }
  const n = Math.round((trial / bestUs) * us);
  return (seed) => rounds(n, seed);
}
