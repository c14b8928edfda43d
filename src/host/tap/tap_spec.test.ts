import { describe, expect, it } from 'vitest';
import { parseTapSpec } from './tap_spec.ts';

const parse = (rest: string) => parseTapSpec(`tap:${rest}`, rest);

describe('parseTapSpec', () => {
  it('reads a name and options', () => {
    expect(parse('vm0')).toEqual({ name: 'vm0', options: {} });
    expect(parse('vm0,queues=2,mtu=9000,persist,offload=off,io_uring=off,up=off')).toEqual({
      name: 'vm0',
      options: { queues: 2, mtu: 9000, persist: true, offload: false, ioUring: false, interfaceUp: false },
    });
    expect(parse('vm0,persist=off')).toEqual({ name: 'vm0', options: { persist: false } });
  });

  it.each([
    ['vm0,speed=10', 'there is no option "speed"'],
    ['vm0,queues', 'queues needs a number'],
    ['vm0,mtu=big', 'mtu needs a number'],
    ['vm0,persist=maybe', 'persist is on or off'],
  ])('refuses tap:%s: %s', (rest, why) => {
    expect(() => parse(rest)).toThrow(why);
  });
});
