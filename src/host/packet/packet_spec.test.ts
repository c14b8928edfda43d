import { describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { parsePacketSpec } from './packet_spec.ts';

const parse = (rest: string) => parsePacketSpec(`packet:${rest}`, rest);
const why = (rest: string) => {
  try {
    parse(rest);
  } catch (error) {
    if (error instanceof SetupError) return `${error.code} ${error.message}`;
  }
  throw new Error(`"${rest}" was not refused`);
};

describe('packet spec', () => {
  it('is an interface, and what its queues share', () => {
    expect(parse('eth0')).toEqual({ name: 'eth0', options: {} });
    expect(parse('eth0.100,queues=4')).toEqual({ name: 'eth0.100', options: { packetQueues: 4 } });
    expect(parse('eth0,queues=2,fanout=lb')).toEqual({
      name: 'eth0',
      options: { packetQueues: 2, fanout: { mode: 'lb' } },
    });
    expect(parse('eth0,wake=frame').options).toEqual({ wakePerFrame: true });
    expect(parse('eth0,fanout=hash/17').options.fanout).toEqual({ mode: 'hash', group: 17 });
  });

  it('names the options that there are where one is wrong', () => {
    expect(why('eth0,ring=4')).toMatch(/^ERR_NETPOLL_SPEC .*no option "ring".*packet:IF\[,queues=N\]/);
    expect(why('eth0,queues=many')).toContain('queues needs a number');
    expect(why('eth0,queues')).toContain('queues needs a number');
    expect(why('eth0,fanout=fair')).toContain('hash, lb, cpu, rollover, rnd, qm');
    expect(why('eth0,wake=always')).toContain('wake is frame or block');
    expect(why('eth0,fanout=hash/')).toContain('number of a group');
  });
});
