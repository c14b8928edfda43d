/**
 * The soak: floods over every port while interfaces go down, are unplugged, deleted and made anew, get other MTUs, queues fill and more
 * is offered than can be taken. Afterwards every frame must be accounted for.
 *
 *     NETPOLL_SOAK_SECONDS=600 NETPOLL_SOAK_SEED=7 npx vitest run test/netns/soak.test.ts       20 seconds and a seed of its own if absent
 *
 * NETPOLL_SOAK_LANES=smp,tap and NETPOLL_SOAK_FAULTS=deleted,down leave out the rest. The seed is printed. It gives the same faults in the same order; times are the machine's.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { lacks, titled } from './needs.ts';
import { addUp, type Balance, printBalance, type Scheme, UNCOUNTED } from './soak/balance.ts';
import { type Draw, Lane } from './soak/lane.ts';

const SECONDS = Number(process.env.NETPOLL_SOAK_SECONDS ?? 20);
const SEED = Number(process.env.NETPOLL_SOAK_SEED ?? process.pid);
const SCHEMES: readonly Scheme[] = (process.env.NETPOLL_SOAK_LANES?.split(',') as Scheme[] | undefined) ?? [
  'packet',
  'xdp',
  'tap',
  'udp',
  'smp',
];
const EPOCHS_MIN = 3;
const lacking = lacks({ root: true, tools: ['ip', 'sysctl'], paths: ['/dev/net/tun'] });

/** mulberry32 */
function drawer(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

describe.skipIf(lacking !== undefined)(titled('a soak with faults', lacking), () => {
  const lanes: Lane[] = [];
  afterAll(async () => {
    await Promise.all(lanes.map((lane) => lane.remove()));
  });

  it(`ends with every counter adding up: sent = received + each named drop (seed ${SEED}, ${SECONDS} s)`, {
    timeout: SECONDS * 1000 + 120_000,
  }, async () => {
    const startedMs = performance.now();
    const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
    const line = (text: string) => process.stdout.write(`${seconds()} ${text}\n`);
    line(`soak: seed ${SEED}, ${SECONDS} s`);
    const wrong: string[] = [];
    const sums = new Map<string, Balance[]>();
    await Promise.all(
      SCHEMES.map(async (scheme, i) => {
        const lane = await Lane.make(scheme, drawer(SEED + i * 7919), (text) => line(`  ${scheme} says: ${text}`));
        lanes.push(lane);
        // On a busy machine an epoch takes its time.
        while (performance.now() - startedMs < SECONDS * 1000 || (sums.get(scheme)?.length ?? 0) < EPOCHS_MIN) {
          const { fault, balance, late } = await lane.epoch();
          const [most = 0] = UNCOUNTED[scheme][fault] ?? [];
          const ok = balance.uncounted >= 0 && balance.uncounted <= most;
          const text = `${scheme} ${fault}: ${printBalance(balance)}${late > 0 ? `; ${late} late` : ''}`;
          line(`${ok ? '   ' : 'NOT'} ${text}`);
          if (!ok) wrong.push(text);
          sums.set(scheme, [...(sums.get(scheme) ?? []), balance]);
        }
      }),
    );
    for (const [scheme, all] of sums) line(`${scheme}, ${all.length} epochs: ${printBalance(addUp(all))}`);
    expect(wrong).toEqual([]);
  });
});
