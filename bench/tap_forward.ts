// What are super-frames worth to a forwarder in TypeScript? A TCP stream of iperf3 from one namespace to another through
// `netpoll forward` over two TAP devices: with offloads, so that a frame stands for up to 44 segments, against the same
// without, and against the kernel's own bridge between two veth pairs, which passes super-frames by reference.
//
//   a: iperf3 -c --TAP-- netpoll forward --TAP-- iperf3 -s :b
//
// Every part shares the machine's processors: what the forwarder takes, the ends do not have. Alternating, a second each.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { compare, type Figure } from './harness.ts';
import { bridgeCable, type Cable, forwardCable } from './tap_forward/cables.ts';

export const question =
  'TCP through netpoll forward over two TAP devices: super-frames against segments, and a kernel bridge';

const ROUNDS = 5;
const SECONDS = 1;
const PROGRAM = [process.execPath, 'bin/netpoll.js'];

export async function run(): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const cables: Cable[] = [];
  try {
    const whole = await forwardCable(PROGRAM, '');
    cables.push(whole);
    const cut = await forwardCable(PROGRAM, ',offload=off');
    cables.push(cut);
    const bridge = await bridgeCable();
    cables.push(bridge);
    const side = (name: string, cable: Cable) => ({ name, measure: () => cable.stream(SECONDS) });
    const ours = side('with offloads', whole);
    const rounds = { rounds: ROUNDS, warmUps: 1 };
    return [
      await compare('TCP stream', 'bit/s', ours, side('without', cut), { ...rounds, atLeast: 4 }),
      await compare('TCP stream', 'bit/s', ours, side('kernel bridge', bridge), rounds),
    ];
  } finally {
    for (const cable of cables) await cable.remove();
  }
}

function whyNot(): string | null {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root (network namespaces, TAP devices)';
  if (!existsSync('/dev/net/tun')) return 'needs /dev/net/tun';
  if (!existsSync('bin/netpoll.js')) return 'needs a build, in the folder of package.json (npm run build)';
  for (const [tool, from] of [
    ['ip', 'iproute2'],
    ['iperf3', 'iperf3'],
  ] as const) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error !== undefined)
      return `needs ${tool} (apt-get install ${from})`;
  }
  return null;
}
