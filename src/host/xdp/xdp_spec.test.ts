import { describe, expect, it } from 'vitest';
import { parseXdpSpec } from './xdp_spec.ts';

const parse = (rest: string) => parseXdpSpec(`xdp:${rest}`, rest);

describe('the name of an xdp device', () => {
  it('is an interface, a queue, and whether it is driven by us', () => {
    expect(parse('eth0')).toEqual({ name: 'eth0', queue: undefined, options: {} });
    expect(parse('eth0/3')).toEqual({ name: 'eth0', queue: 3, options: {} });
    expect(parse('eth0/3,busy-poll=7').options).toEqual({ busyPoll: { usecs: 7, budget: 64 } });
    expect(parse('eth0,busy-poll').options.busyPoll?.usecs).toBe(50);
  });

  it.each(['eth0/x', '/1', 'eth0,poll', 'eth0,busy-poll=0', 'eth0,busy-poll=2000000', 'eth0,busy-poll=a', 'eth0,'])(
    'is not %s',
    (rest) => {
      expect(() => parse(rest)).toThrowError(/^device "xdp:.*; give xdp:IF\[\/QUEUE\]\[,busy-poll\[=USECS\]\]$/);
    },
  );
});
