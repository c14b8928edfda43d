import { describe, expect, it } from 'vitest';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { createDemoFleet, NETCONSOLE_PORT, PANIC_AT_NS } from './demo_fleet.ts';

function run(seed: number, untilNs: number): { lines: string[]; drops: number } {
  const fleet = createDemoFleet({ seed, epochUs: 0 });
  const lines: string[] = [];
  udpBind(new Inet(fleet.collector.stack), NETCONSOLE_PORT, (skb) => {
    const { view, bytes } = skb.arena;
    const text = new TextDecoder().decode(bytes.slice(skb.data, skb.data + skb.len));
    lines.push(`${view.getUint8(skb.networkHeader + 15)} ${text}`);
  });
  fleet.world.runUntil(untilNs);
  const drops = Object.entries(fleet.collector.machine.skbs.drops.toJSON()).reduce((sum, [, n]) => sum + n, 0);
  return { lines, drops };
}

describe('the demo fleet', () => {
  it('logs from three machines, and nothing is lost on the way', () => {
    const { lines, drops } = run(1, 5e9);
    expect(new Set(lines.map((line) => line.split(' ')[0]))).toEqual(new Set(['11', '12', '13']));
    expect(drops).toBe(0);
    for (const host of ['11', '12', '13']) {
      const seqs = lines
        .filter((line) => line.startsWith(`${host} `))
        .map((line) => Number(/^\d+ [^,]+,\d+,(\d+)/.exec(line)![1]));
      expect(seqs).toEqual(seqs.map((_, i) => i));
    }
  });

  it('has one machine die within ten seconds, its last line being the end of its panic', () => {
    const { lines } = run(2, PANIC_AT_NS + 3e9);
    const web = lines.filter((line) => line.startsWith('11 '));
    expect(web.at(-1)).toContain('---[ end Kernel panic - not syncing: Fatal exception in interrupt ]---');
    expect(web.some((line) => line.includes('BUG: kernel NULL pointer dereference'))).toBe(true);
    expect(lines.at(-1)).not.toMatch(/^11 /);
  });

  it('has one history for one seed', () => {
    expect(run(7, 4e9)).toEqual(run(7, 4e9));
    expect(run(7, 4e9).lines).not.toEqual(run(8, 4e9).lines);
  });
});
