/**
 * The last words of some eighty dying kernels, sent again by our netconsole: every datagram the same, in both formats.
 *
 * A kernel that dies leaves records that only one of its consoles got out (one had 372 of them: its other console's thread never
 * ran); those are counted, not compared.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { corporaDir } from '../../../test/golden/netconsole/read_capture.ts';
import { Printk } from '../../machine/printk.ts';
import { printIpv4, printMac } from '../../wire/address.ts';
import { CONSOLE_LOG_MAX, MESSAGE_MAX, PRINTK_MESSAGE_MAX } from '../../wire/netconsole_emit.ts';
import { createNetconsole, parseNetconsoleParam } from './netconsole.ts';
import { compareFrames, framesOf, recordsOf, replayMachine, type UdpFrame } from './replay.fixture.ts';

const folder = join(corporaDir, 'crashes');
const KERNELS = {
  k61: { extended: MESSAGE_MAX, basic: CONSOLE_LOG_MAX },
  k72: { extended: PRINTK_MESSAGE_MAX, basic: PRINTK_MESSAGE_MAX },
};
const runs = !existsSync(folder)
  ? []
  : (['k61', 'k72'] as const).flatMap((kernel) =>
      readdirSync(join(folder, kernel), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => ({ kernel, name })),
    );

/** What our machine sends of the records that the extended target of `theirs` shows. */
function again(theirs: readonly UdpFrame[], kernel: keyof typeof KERNELS): readonly UdpFrame[] {
  const { bytes } = theirs[0]!;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [local, remote] = [printIpv4(view.getUint32(26)), printIpv4(view.getUint32(30))];
  const spec = (port: number): string => `@${local}/eth0,${port}@${remote}/${printMac(bytes, 0)}`;
  const parsed = parseNetconsoleParam(`${spec(6666)};+${spec(6667)};+r${spec(6668)}`);
  if (!parsed.ok) throw new Error(parsed.reason);
  const replay = replayMachine(printMac(bytes, 6), [local]);
  const { machine, net, world } = replay;
  machine.printk.consoleLoglevel = 0;
  const netconsole = createNetconsole(net, parsed.specs, { messageMax: KERNELS[kernel] });
  const log = new Printk(machine);
  for (const console of netconsole.consoles) log.registerConsole(console);
  for (const { level, text, seq, facility, cont, caller, dict, tsUs } of recordsOf(theirs, 6667)) {
    log.consoleLoglevel = 0;
    while (log.nextSeq < seq) log.info('not recorded');
    log.consoleLoglevel = 8;
    const more = caller === undefined ? {} : { caller };
    log.printk(level, Uint8Array.from([...text, 0x0a]), { facility, cont, dict, tsUs, ...more });
    world.runFor(1e6);
  }
  return replay.sent;
}

function idOf({ bytes }: UdpFrame): number {
  return (bytes[18]! << 8) | bytes[19]!;
}

describe.skipIf(runs.length === 0)('dying kernels (corpora; skipped where NETPOLL_CORPORA is absent)', () => {
  it('send the same datagrams as ours', () => {
    const total = { equal: 0, of: 0, onlyTheirs: 0, onlyOurs: 0 };
    const differences: string[] = [];
    for (const { kernel, name } of runs) {
      // In the order in which they were made: under load one may leave through the deferred queue, behind later ones.
      const theirs = framesOf(join(folder, kernel, name, 'nc.pcap.gz')).sort((a, b) => idOf(a) - idOf(b));
      const ours = again(theirs, kernel);
      for (const port of kernel === 'k72' ? [6666, 6667, 6668] : [6666, 6667]) {
        const [mine, real] = [ours, theirs].map((frames) => frames.filter((frame) => frame.port === port)) as [
          UdpFrame[],
          UdpFrame[],
        ];
        const common = Math.min(mine.length, real.length);
        const result = compareFrames(mine.slice(0, common), real.slice(0, common), port);
        total.equal += result.equal;
        total.of += result.of;
        total.onlyTheirs += real.length - common;
        total.onlyOurs += mine.length - common;
        differences.push(...result.differences.map((each) => `${kernel}/${name} ${port} ${each}`));
      }
    }
    expect([differences, total]).toEqual([[], { equal: 94_460, of: 94_460, onlyTheirs: 18, onlyOurs: 372 }]);
  }, 120_000);
});
