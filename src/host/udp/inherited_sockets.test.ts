import { afterEach, describe, expect, it } from 'vitest';
import { libc } from '../sys/libc.ts';
import { inheritedSockets, listenFds } from './inherited_sockets.ts';
import { type BoundAddress, inheritedAddress, openUdpSocket } from './udp_socket.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

describe('listenFds', () => {
  const env = { LISTEN_PID: '77', LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b' };

  it('numbers descriptors from 3 and gives them their names', () => {
    expect(listenFds(env, 77)).toEqual([
      { fd: 3, name: 'a' },
      { fd: 4, name: 'b' },
      { fd: 5, name: '' },
    ]);
  });

  it('gives nothing to another process, and nothing for what makes no sense', () => {
    expect(listenFds(env, 78)).toEqual([]);
    expect(listenFds({}, 77)).toEqual([]);
    expect(listenFds({ ...env, LISTEN_FDS: '-1' }, 77)).toEqual([]);
    expect(listenFds({ ...env, LISTEN_FDS: 'x' }, 77)).toEqual([]);
    expect(listenFds({ ...env, LISTEN_FDS: '999999' }, 77).length).toBe(1024);
    expect(inheritedSockets()).toEqual([]);
  });
});

describe('inheritedAddress', () => {
  it('reads what a socket is bound to', () => {
    const address: BoundAddress = { ip: { family: 4, v4: 0x7f000001 }, port: 0, scope: 0 };
    const socket = openUdpSocket(address, {});
    closers.push(() => libc().close(socket.fd));
    expect(inheritedAddress(socket.fd)).toEqual({ ...address, port: socket.address.port });
  });

  it('refuses what is no UDP socket, and says what to write into the unit', () => {
    expect(() => inheritedAddress(0)).toThrow(/no UDP socket.*ListenDatagram=/);
    const stream = libc().socket(2, 1, 0);
    closers.push(() => libc().close(stream));
    expect(() => inheritedAddress(stream)).toThrow(/no UDP socket/);
  });
});
