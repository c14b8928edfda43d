import { describe, expect, it } from 'vitest';
import { assert, Bug } from './assert.ts';
import {
  devXmitComplete,
  Errno,
  NET_XMIT_DROP,
  NET_XMIT_SUCCESS,
  NETDEV_TX_BUSY,
  NETDEV_TX_OK,
  SetupError,
} from './status.ts';

describe('status codes', () => {
  it('tell a consumed frame from one that is still the caller’s', () => {
    const consumed = [NETDEV_TX_OK, NET_XMIT_SUCCESS, NET_XMIT_DROP, 2, -Errno.ENOMEM];
    expect(consumed.map(devXmitComplete)).toEqual(consumed.map(() => true));
    expect(devXmitComplete(NETDEV_TX_BUSY)).toBe(false);
    expect(devXmitComplete(0x0f)).toBe(false);
  });
});

describe('errors', () => {
  it('of set-up carry a code, a message and a cause', () => {
    const cause = new Error('EPERM');
    const error = new SetupError('ERR_NETPOLL_X', 'do that', { cause });
    expect(error).toMatchObject({ name: 'SetupError', code: 'ERR_NETPOLL_X', message: 'do that', cause });
  });

  it('of a broken contract name the rule', () => {
    expect(() => assert(false, 'a rule holds')).toThrow(new Bug('a rule holds'));
    expect(() => assert(1, 'a rule holds')).not.toThrow();
  });
});
