import { describe, expect, it } from 'vitest';
import { SetupError } from '../base/status.ts';
import { type TestNet, testDevice, testNet } from '../device/device.fixture.ts';
import { allocEtherdev } from '../device/eth.ts';
import { IFF_UP, type NetDevice, netifCarrierOff, netifCarrierOn } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { registerNetdevice } from '../device/register.ts';
import { parseIp, printIp } from '../wire/address.ts';
import { Netpoll } from './netpoll.ts';
import { npinfoOf } from './npinfo.ts';
import { netpollParseOptions } from './options.ts';
import { netpollSendUdp } from './send.ts';
import { netpollCleanup, netpollSetup } from './setup.ts';

function rig(): TestNet & { lines: string[]; dev: NetDevice } {
  const made = testNet();
  const lines: string[] = [];
  made.machine.printk.registerConsole({
    name: 'log',
    write: (record) => lines.push(`<${record.level}>${new TextDecoder().decode(record.text)}`),
  });
  return { ...made, lines, dev: testDevice(made.net) };
}

function makeClient(text: string): Netpoll {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  return new Netpoll('netconsole', parsed.options);
}

describe('netpollSetup', () => {
  it('finds its device by name or by hardware address, and names it', () => {
    const { net, dev } = rig();
    for (const device of ['eth0', '02:00:00:00:00:01']) {
      const np = makeClient(`@10.0.0.1/${device},@10.0.0.2/`);
      expect([netpollSetup(net, np), np.dev, np.devName]).toEqual([0, dev, 'eth0']);
    }
    expect(npinfoOf(dev)!.refs).toBe(2);
  });

  it.each([
    [
      'a device that is not there',
      'eth9',
      -19,
      "eth9 doesn't exist, aborting",
      (_r: ReturnType<typeof rig>): void => {},
    ],
    [
      'a slave',
      'eth0',
      -16,
      'eth0 is a slave device, aborting',
      (r: ReturnType<typeof rig>): void => void (r.dev.master = r.dev),
    ],
    [
      'a device that does not allow it',
      'eth0',
      -524,
      "eth0 doesn't support polling, aborting",
      (r: ReturnType<typeof rig>): void => void (r.dev.netpollDisabled = true),
    ],
  ] as const)('refuses %s, with the kernel’s errno and words', (_name, device, errno, words, arrange) => {
    const made = rig();
    arrange(made);
    const np = makeClient(`@10.0.0.1/${device},@10.0.0.2/`);
    expect(netpollSetup(made.net, np)).toBe(errno);
    expect(made.lines.at(-1)).toBe(`<3>netpoll: netconsole: ${words}`);
    expect([np.dev, made.dev.npinfo]).toEqual([null, null]);
    expect(netpollSendUdp(np, new Uint8Array(1))).toBe(1);
  });

  it('takes the first address of the target’s family, link-local exactly if the target is', () => {
    const { net, dev, lines } = rig();
    for (const text of ['fe80::1', '10.0.0.7', '10.0.0.8', 'fd00::7']) dev.addresses.push(parseIp(text)!);
    for (const [target, local] of [
      ['10.0.0.2', '10.0.0.7'],
      ['fd00::2', 'fd00::7'],
      ['fe80::2', 'fe80::1'],
      ['ff02::1', 'fe80::1'],
      ['ff05::1', 'fd00::7'],
    ] as const) {
      const np = makeClient(`@/eth0,@${target}/`);
      expect(netpollSetup(net, np)).toBe(0);
      expect(printIp(np.localIp!)).toBe(local);
      expect(lines.at(-1)).toBe(`<6>netpoll: netconsole: local ${local.includes(':') ? 'IPv6' : 'IP'} ${local}`);
    }
  });

  it('refuses a device without an address of that family, and keeps the client’s address open', () => {
    const { net, lines } = rig();
    for (const [target, words] of [
      ['10.0.0.2', 'no IP address for eth0, aborting'],
      ['fd00::2', 'no IPv6 address for eth0, aborting'],
    ]) {
      const np = makeClient(`@/eth0,@${target}/`);
      expect([netpollSetup(net, np), np.localIp]).toEqual([-89, null]);
      expect(lines.at(-1)).toBe(`<3>netpoll: netconsole: ${words}`);
    }
  });

  it('brings a device up and waits for its carrier, at most as long as it may; going on without one is no error', () => {
    for (const carrierAfterNs of [2e9, 10e9]) {
      const { net, executive, lines } = rig();
      const dev = allocEtherdev(net, {
        name: 'slow0',
        ops: {
          open: (d) => {
            netifCarrierOff(d);
            return 0;
          },
          startXmit: () => 0,
          link: (d) => {
            if (executive.nowNs >= carrierAfterNs) netifCarrierOn(d);
            return true;
          },
        },
      });
      dev.devAddr.set([2, 0, 0, 0, 0, 9]);
      registerNetdevice(dev);
      expect(netpollSetup(net, makeClient('@10.0.0.1/slow0,@10.0.0.2/'))).toBe(0);
      expect(dev.flags & IFF_UP).not.toBe(0);
      expect(lines[0]).toBe('<6>netpoll: netconsole: device slow0 not up yet, forcing it');
      expect(lines.includes('<5>netpoll: netconsole: timeout waiting for carrier')).toBe(carrierAfterNs > 4e9);
      expect(executive.nowNs).toBe(Math.min(carrierAfterNs, 4e9));
    }
  });

  it('refuses a device that does not come up, which stays down', () => {
    const { net, lines } = rig();
    const dev = allocEtherdev(net, { name: 'dead0', ops: { open: () => -5, startXmit: () => 0 } });
    dev.devAddr.set([2, 0, 0, 0, 0, 9]);
    registerNetdevice(dev);
    expect(netpollSetup(net, makeClient('@10.0.0.1/dead0,@10.0.0.2/'))).toBe(-5);
    expect([lines.at(-1), dev.flags & IFF_UP]).toEqual(['<3>netpoll: netconsole: failed to open dead0', 0]);
  });

  it('refuses, with its reason, a device whose port does not open', () => {
    const { net, lines } = rig();
    const open = () => {
      throw new SetupError('ERR_NETPOLL_EPERM', 'the process lacks CAP_NET_RAW');
    };
    const dev = allocEtherdev(net, { name: 'dead0', ops: { open, startXmit: () => 0 } });
    dev.devAddr.set([2, 0, 0, 0, 0, 9]);
    registerNetdevice(dev);
    expect(netpollSetup(net, makeClient('@10.0.0.1/dead0,@10.0.0.2/'))).toBe(-5);
    expect(lines.slice(-2)).toEqual([
      '<3>netpoll: netconsole: the process lacks CAP_NET_RAW',
      '<3>netpoll: netconsole: failed to open dead0',
    ]);
    expect(dev.flags & IFF_UP).toBe(0);
  });

  it('tells a driver when the first client comes and the last one goes; a driver may refuse', () => {
    const calls: string[] = [];
    const { net } = testNet();
    const dev = testDevice(net, {
      netpollSetup: () => {
        calls.push('setup');
        return calls.length > 2 ? -95 : 0;
      },
      netpollCleanup: () => void calls.push('cleanup'),
    });
    const clients = [1, 2].map(() => makeClient('@10.0.0.1/eth0,@10.0.0.2/'));
    for (const np of clients) expect(netpollSetup(net, np)).toBe(0);
    for (const np of clients) netpollCleanup(np);
    expect(calls).toEqual(['setup', 'cleanup']);
    expect([netpollSetup(net, clients[0]!), clients[0]!.dev, dev.npinfo]).toEqual([-95, null, null]);
  });

  it('fills the reserve of 32 once, and keeps it', () => {
    const { net } = rig();
    for (let i = 0; i < 3; i++) netpollSetup(net, makeClient('@10.0.0.1/eth0,@10.0.0.2/'));
    expect([net.netpollReserve.length, net.machine.skbs.inUse]).toEqual([32, 32]);
  });
});

describe('netpollCleanup', () => {
  it('drops what waits with a reason, cancels the work, and may be called twice', () => {
    const { net, dev, machine } = rig();
    const np = makeClient('@10.0.0.1/eth0,@10.0.0.2/');
    netpollSetup(net, np);
    dev.txQueues[0]!.state = 1;
    netpollSendUdp(np, new Uint8Array(9));
    netpollCleanup(np);
    netpollCleanup(np);
    expect([machine.skbs.drops.get('QUEUE_PURGE'), machine.works.length, dev.npinfo]).toEqual([1, 0, null]);
    expect(devOpen(dev)).toBe(0);
    expect(netpollSendUdp(np, new Uint8Array(9))).toBe(1);
  });
});
