import { describe, expect, it } from 'vitest';
import { createSimMachine } from '../sim/sim_machine.ts';
import { World } from '../sim/world.ts';
import { type XmitFlusher, xmitFlush, xmitFlushLater, xmitMayWait } from './xmit_flush.ts';

function rig() {
  const { net, machine } = createSimMachine(new World({ seed: 1 }), { hostname: 'me' });
  const softnet = net.softnet[0]!;
  const flushed: string[] = [];
  const queue = (name: string, also: () => void = () => {}): XmitFlusher => ({
    nextFlush: null,
    flushing: false,
    flush: () => {
      flushed.push(name);
      also();
    },
  });
  return { softnet, machine, flushed, queue };
}

describe('doorbells at the end of a poll', () => {
  it('wait within a poll of this CPU, and not with interrupts off', () => {
    const { softnet, machine } = rig();
    expect(xmitMayWait(softnet)).toBe(false);
    softnet.polling = true;
    expect(xmitMayWait(softnet)).toBe(true);
    const flags = machine.cpu.localIrqSave();
    expect(xmitMayWait(softnet)).toBe(false);
    machine.cpu.localIrqRestore(flags);
  });

  it('are rung once for each queue, however often it was kept, and never again', () => {
    const { softnet, flushed, queue } = rig();
    const [a, b, c] = [queue('a'), queue('b'), queue('c')];
    for (const each of [a, b, a, c, b, c, a]) xmitFlushLater(softnet, each);
    xmitFlush(softnet);
    expect(flushed.sort()).toEqual(['a', 'b', 'c']);
    xmitFlush(softnet);
    expect(flushed.length).toBe(3);
    expect([a, b, c].map(({ flushing, nextFlush }) => [flushing, nextFlush])).toEqual(Array(3).fill([false, null]));
  });

  it('can be wanted again by a queue that is being flushed: at the end of the next poll', () => {
    const { softnet, flushed, queue } = rig();
    let again = true;
    const a = queue('a', () => {
      if (again) xmitFlushLater(softnet, a);
      again = false;
    });
    xmitFlushLater(softnet, a);
    xmitFlush(softnet);
    expect(flushed).toEqual(['a']);
    xmitFlush(softnet);
    expect(flushed).toEqual(['a', 'a']);
    xmitFlush(softnet);
    expect(flushed.length).toBe(2);
  });
});
