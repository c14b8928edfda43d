import { describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { check, errnoName, systemError } from './errno.ts';
import { interfaceFacts } from './interface.ts';
import { libc, loadLibc } from './libc.ts';
import { pinned, writeWord } from './pinned.ts';

function refused(act: () => unknown): SetupError {
  try {
    act();
  } catch (error) {
    if (error instanceof SetupError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('libc', () => {
  it('says how to get koffi where it is absent, or too old to watch descriptors', () => {
    const absent = refused(() =>
      loadLibc(() => {
        throw new Error("Cannot find module 'koffi'\nRequire stack: ...");
      }),
    );
    expect(absent.code).toBe('ERR_NETPOLL_NO_KOFFI');
    expect(absent.message).toBe(
      "real ports need koffi, which does not load (Cannot find module 'koffi'): npm install koffi; " +
        'without it pcap:FILE works, and so do simulations (netpoll lab, netpoll dump sim:fleet)',
    );
    const old = refused(() => loadLibc(() => ({ version: '2.9.0' })));
    expect(old.code).toBe('ERR_NETPOLL_NO_KOFFI');
    expect(old.message).toContain('npm install koffi@');
  });

  it('reports a failed call by the name of its errno', () => {
    expect(libc().close(-1)).toBe(-1);
    const error = systemError('close', 'test');
    expect(error.code).toBe('ERR_NETPOLL_EBADF');
    expect(error.message).toBe('test: close() failed with EBADF');
    expect(errnoName(99999)).toBe('errno 99999');
    expect(check(3, 'x', 'y')).toBe(3);
  });

  it('writes addresses as the kernel reads them', () => {
    const memory = pinned(16);
    expect(memory.at % 16).toBe(0);
    writeWord(memory.view, 8, 0x7fff_1234_5678);
    expect(memory.bytes.readBigUInt64LE(8)).toBe(0x7fff_1234_5678n);
  });

  it('knows the loopback interface', () => {
    const facts = interfaceFacts('lo', () => []);
    expect(facts.index).toBe(1);
    expect(facts.ipv4).toBe('127.0.0.1');
    expect(facts.mac).toEqual(new Uint8Array(6));
    const none = refused(() => interfaceFacts('a-name-longer-than-15', () => ['lo', 'eth0']));
    expect(none.message).toContain('there are: lo, eth0');
  });
});
