import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { parseQemuSpec, printQemuSpec, qemuArguments, qemuCommandLine } from './qemu_spec.ts';

const parse = (rest: string) => parseQemuSpec(`qemu:${rest}`, rest);

describe('qemu: names', () => {
  it.each([
    ['/run/vm.sock', 'stream,id=net0,server=off,addr.type=unix,addr.path=/run/vm.sock', null],
    ['listen:./vm,1.sock', null, null],
    ['connect:/run/vm.sock,reconnect=0.5', 'stream,id=net0,server=on,addr.type=unix,addr.path=/run/vm.sock', null],
    ['@vm', 'stream,id=net0,server=off,addr.type=unix,addr.path=vm,addr.abstract=on', null],
    [
      '127.0.0.1:1234',
      'stream,id=net0,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=1234',
      'socket,id=net0,connect=127.0.0.1:1234',
    ],
    [
      '1234',
      'stream,id=net0,server=off,addr.type=inet,addr.host=127.0.0.1,addr.port=1234',
      'socket,id=net0,connect=127.0.0.1:1234',
    ],
    [
      'connect:[::1]:1234',
      'stream,id=net0,server=on,addr.type=inet,addr.host=::1,addr.port=1234',
      'socket,id=net0,listen=[::1]:1234',
    ],
    [
      'dgram:/run/a,/run/b',
      'dgram,id=net0,local.type=unix,local.path=/run/b,remote.type=unix,remote.path=/run/a',
      null,
    ],
    [
      'dgram:127.0.0.1:1,127.0.0.1:2',
      'dgram,id=net0,local.type=inet,local.host=127.0.0.1,local.port=2,remote.type=inet,remote.host=127.0.0.1,remote.port=1',
      'socket,id=net0,udp=127.0.0.1:1,localaddr=127.0.0.1:2',
    ],
  ])('%s gives the words that QEMU needs', (rest, words, older) => {
    if (words === null) {
      expect(() => parse(rest)).toThrow(SetupError);
      return;
    }
    const spec = parse(rest);
    expect(qemuArguments(spec)).toBe(`-netdev ${words}`);
    expect(qemuArguments(spec, true)).toBe(older === null ? null : `-netdev ${older}`);
    expect(qemuCommandLine(spec)).toContain('-device virtio-net-pci,netdev=net0');
    expect(parse(printQemuSpec(spec).slice('qemu:'.length))).toMatchObject({ ...spec, reconnectMs: 1000 });
  });

  it.each([
    ['vm.sock', /neither a path \(with a slash in it\) nor an address and a port/],
    ['10.0.0:12', /"10\.0\.0" is not an IP address/],
    ['127.0.0.1:0', /0 is not a port/],
    ['127.0.0.1:70000', /70000 is not a port/],
    ['@', /abstract socket has no name/],
    [`/${'x'.repeat(108)}`, /at most 107 bytes/],
    ['dgram:/run/a', /needs two addresses/],
    ['dgram:/run/a,127.0.0.1:5', /both addresses are paths/],
    ['dgram:/run/a,/run/a', /both addresses are the same/],
    ['dgram:@a,@b', /no abstract sockets for datagrams/],
    ['/run/a,/run/b', /a stream has one address/],
    ['/run/a,/run/b,/run/c', /one address, two for dgram/],
    ['/run/a,speed=3', /no option "speed"/],
    ['/run/a,reconnect=soon', /reconnect needs seconds/],
    ['connect:', /an address is missing/],
  ])('%s is refused with a reason and the forms', (rest, why) => {
    expect(() => parse(rest)).toThrow(why);
    expect(() => parse(rest)).toThrow('qemu:dgram:/run/our.sock,/run/vm.sock');
  });

  it('whatever is typed gives a spec or a SetupError', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'listenconnectdgram:/@[]1,=.-r'.split('')) }), (rest) => {
        try {
          expect(parse(printQemuSpec(parse(rest)).slice(5))).toMatchObject({ mode: parse(rest).mode });
        } catch (error) {
          expect(error).toBeInstanceOf(SetupError);
        }
      }),
    );
  });
});
