/** Devices over real interfaces that are changed under them, by this kernel's own `ip`. */
import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { devSetMtu } from '../../device/change.ts';
import { devSetMacAddress } from '../../device/dev_addr.ts';
import { IFF_UP, NETREG_UNREGISTERED, type NetDevice, netifCarrierOk } from '../../device/net_device.ts';
import { unregisterNetdevice } from '../../device/register.ts';
import { nicPort } from '../../drivers/nic/nic.ts';
import { printIp, printMac } from '../../wire/address.ts';
import { createHostMachine, type HostMachine, type OpenDeviceOptions } from '../host_machine.ts';
import { ip, noVeth } from '../veth.fixture.ts';

let count = 0;
const undo: (() => void)[] = [];

afterEach(() => {
  for (const each of undo.splice(0).reverse()) each();
});

/** A pair of names, interfaces of which go at the end whoever has made them last. */
function names(): { a: string; b: string } {
  const stem = `nf${process.pid.toString(36)}${(count++).toString(36)}`;
  const found = { a: `${stem}a`, b: `${stem}b` };
  undo.push(() => {
    try {
      ip('link', 'del', found.a);
    } catch {
      // The test has deleted it.
    }
  });
  return found;
}

function makeVeth({ a, b }: { a: string; b: string }): void {
  ip('link', 'add', a, 'type', 'veth', 'peer', 'name', b);
  for (const end of [a, b]) ip('link', 'set', end, 'addrgenmode', 'none', 'arp', 'off', 'up');
}

function machine(): { host: HostMachine; said: string[]; open(spec: string, o?: OpenDeviceOptions): NetDevice } {
  const host = createHostMachine({ slots: 4096 });
  undo.push(() => host.close());
  const said: string[] = [];
  const write = (record: { text: Uint8Array; dict: { subsystem?: string } }): void => {
    if (record.dict.subsystem === 'net') said.push(new TextDecoder().decode(record.text));
  };
  host.machine.printk.registerConsole({ name: 'test', write });
  return { host, said, open: (spec, options) => host.openDevice(spec, options) };
}

async function until(test: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not in 5 s: ${test}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe.skipIf(noVeth !== null)(`devices over interfaces that change${noVeth ? ` (skip: ${noVeth})` : ''}`, () => {
  it.each(['packet', 'xdp'])(
    '%s: loses its carrier with the interface, with its peer, and has it back',
    async (scheme) => {
      const veth = names();
      makeVeth(veth);
      const { open, said } = machine();
      const dev = open(`${scheme}:${veth.a}`);
      expect(netifCarrierOk(dev)).toBe(true);
      ip('link', 'set', veth.b, 'down');
      await until(() => !netifCarrierOk(dev));
      ip('link', 'set', veth.b, 'up');
      await until(() => netifCarrierOk(dev));
      ip('link', 'set', veth.a, 'down');
      await until(() => !netifCarrierOk(dev));
      ip('link', 'set', veth.a, 'up');
      await until(() => netifCarrierOk(dev));
      const lines = said.map((line) => line.replace(`${scheme}:${veth.a}: ${veth.a} `, ''));
      expect(lines).toContain('lost its carrier: see the cable, or the other end');
      expect(lines).toContain(`was set down; nothing moves until: ip link set ${veth.a} up`);
      expect(lines).toContain('is up again');
    },
  );

  it('packet: has the interface’s MTU, unless a user has set a smaller one', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`packet:${veth.a}`);
    ip('link', 'set', veth.a, 'mtu', '9000');
    await until(() => dev.mtu === 9000);
    expect(nicPort(dev).caps.mtu).toBe(9000);
    expect(said.at(-1)).toBe(`packet:${veth.a}: ${veth.a} has an MTU of 9000 now (1500 before)`);
    devSetMtu(dev, 1400);
    ip('link', 'set', veth.a, 'mtu', '2000');
    await until(() => nicPort(dev).caps.mtu === 2000);
    expect(dev.mtu).toBe(1400);
    ip('link', 'set', veth.a, 'mtu', '1300');
    await until(() => dev.mtu === 1300);
  });

  it('packet: has the interface’s hardware address, name and IP addresses', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`packet:${veth.a}`);
    ip('link', 'set', veth.a, 'address', '02:00:00:00:77:01');
    await until(() => printMac(dev.devAddr) === '02:00:00:00:77:01');
    ip('addr', 'add', '10.211.3.1/32', 'dev', veth.a);
    ip('addr', 'add', '10.211.3.2/32', 'dev', veth.a);
    await until(() => dev.addresses.length === 2);
    expect(dev.addresses.map(printIp)).toEqual(['10.211.3.1', '10.211.3.2']);
    ip('addr', 'del', '10.211.3.1/32', 'dev', veth.a);
    await until(() => dev.addresses.length === 1);
    ip('link', 'set', veth.a, 'down');
    ip('link', 'set', veth.a, 'name', `${veth.a}x`);
    ip('link', 'set', `${veth.a}x`, 'up');
    await until(() => said.some((line) => line.endsWith('is up again')));
    expect(said).toContain(`packet:${veth.a}: ${veth.a} is called ${veth.a}x now; it goes on`);
    expect(netifCarrierOk(dev)).toBe(true);
    ip('link', 'set', veth.b, 'down');
    await until(() => !netifCarrierOk(dev));
    ip('link', 'del', `${veth.a}x`);
  });

  it('packet: keeps an address of its own', async () => {
    const veth = names();
    makeVeth(veth);
    const { open } = machine();
    const dev = open(`packet:${veth.a}`);
    expect(devSetMacAddress(dev, Uint8Array.of(2, 0, 0, 0, 0x78, 9))).toBe(0);
    ip('link', 'set', veth.a, 'address', '02:00:00:00:78:01');
    await until(() => printMac(nicPort(dev).caps.mac) === '02:00:00:00:78:01');
    expect(printMac(dev.devAddr)).toBe('02:00:00:00:78:09');
  });

  it('packet: says once each time that the interface is back and down, and has its addresses when it is up', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`packet:${veth.a}`);
    const down = () => said.filter((line) => line.includes('is back, and down: ip link set')).length;
    for (const times of [1, 2]) {
      ip('link', 'del', veth.a);
      await until(() => (dev.flags & IFF_UP) === 0);
      ip('link', 'add', veth.a, 'type', 'veth', 'peer', 'name', veth.b);
      ip('link', 'set', veth.a, 'addrgenmode', 'none');
      await until(() => down() === times);
      ip('addr', 'add', '10.213.5.1/32', 'dev', veth.a);
      for (const mtu of ['1400', '1300']) ip('link', 'set', veth.a, 'mtu', mtu);
      // One turn for what came while it is down, the next for its coming up.
      await new Promise((resolve) => setTimeout(resolve, 50));
      ip('link', 'set', veth.a, 'up');
      await until(() => (dev.flags & IFF_UP) !== 0);
      expect([down(), dev.addresses.map(printIp)]).toEqual([times, ['10.213.5.1']]);
    }
  });

  it.each(['packet', 'xdp'])('%s: goes down when the interface is deleted, and comes back with it', async (scheme) => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`${scheme}:${veth.a}`);
    ip('link', 'del', veth.a);
    await until(() => (dev.flags & IFF_UP) === 0);
    expect(said.at(-1)).toContain(`waiting for an interface ${veth.a}, which is taken as soon as it is up`);
    ip('link', 'add', veth.a, 'mtu', '1300', 'type', 'veth', 'peer', 'name', veth.b, 'mtu', '1300');
    ip('link', 'set', veth.b, 'up');
    await until(() => said.at(-1)!.includes('is back, and down: ip link set'));
    ip('link', 'set', veth.a, 'up');
    await until(() => (dev.flags & IFF_UP) !== 0);
    await until(() => netifCarrierOk(dev));
    expect(dev.mtu).toBe(1300);
    expect(said.some((line) => line.endsWith(`${veth.a} is back; ${dev.name} is up`))).toBe(true);
  });

  it('packet: is unregistered with its interface where that was asked for', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, host } = machine();
    const dev = open(`packet:${veth.a}`, { whenDeleted: 'unregister' });
    ip('link', 'del', veth.a);
    await until(() => dev.regState === NETREG_UNREGISTERED);
    expect(host.net.byName(veth.a)).toBeUndefined();
  });

  it('leaves a device down that its user has set down', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`packet:${veth.a}`, { up: false });
    ip('link', 'del', veth.a);
    await until(() => said.at(-1)?.endsWith('; it is down') === true);
    makeVeth(veth);
    ip('link', 'set', veth.a, 'mtu', '1200');
    await until(() => dev.mtu === 1200);
    expect(dev.flags & IFF_UP).toBe(0);
  });

  it('tap: follows carrier and MTU, and is unregistered when somebody deletes its interface', async () => {
    const { a } = names();
    const { open, said } = machine();
    const dev = open(`tap:${a}`);
    await until(() => netifCarrierOk(dev));
    ip('link', 'set', a, 'mtu', '1400');
    await until(() => dev.mtu === 1400);
    ip('link', 'set', a, 'down');
    await until(() => !netifCarrierOk(dev));
    ip('link', 'set', a, 'up');
    await until(() => netifCarrierOk(dev));
    ip('link', 'del', a);
    await until(() => dev.regState === NETREG_UNREGISTERED);
    expect(said.at(-1)).toContain(`${dev.name} is unregistered: open tap:${a} again`);
  });

  it('tap: goes on when its interface moves to another namespace', async () => {
    const { a } = names();
    const { open, said } = machine();
    const dev = open(`tap:${a}`);
    await until(() => netifCarrierOk(dev));
    ip('netns', 'add', a);
    undo.push(() => ip('netns', 'del', a));
    ip('link', 'set', a, 'netns', a);
    await until(() => said.some((line) => line.includes('moved to another network namespace; it goes on')));
    expect(dev.flags & IFF_UP).not.toBe(0);
  });

  it('tries again where the interface is back and cannot be opened yet', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`xdp:${veth.a}`);
    ip('link', 'del', veth.a);
    await until(() => (dev.flags & IFF_UP) === 0);
    ip('link', 'add', veth.a, 'mtu', '9000', 'type', 'veth', 'peer', 'name', veth.b, 'mtu', '9000');
    ip('link', 'set', veth.b, 'up');
    ip('link', 'set', veth.a, 'up');
    await until(() => said.at(-1)!.includes(`${veth.a} is back, and cannot be opened: ${veth.a} has an mtu of 9000`));
    ip('link', 'set', veth.a, 'mtu', '1500');
    await until(() => (dev.flags & IFF_UP) !== 0 && netifCarrierOk(dev));
    expect(dev.mtu).toBe(1500);
  });

  it('tries again by itself where what was in the way goes without a word', async () => {
    const veth = names();
    makeVeth(veth);
    const { open, said } = machine();
    const dev = open(`xdp:${veth.a}`);
    ip('link', 'del', veth.a);
    await until(() => (dev.flags & IFF_UP) === 0);
    makeVeth(veth);
    // Before the loop turns: the interface is somebody else's.
    const other = machine();
    other.open(`xdp:${veth.a}`, { udpPort: 7 });
    await until(() => said.at(-1)!.includes('is back, and cannot be opened: '));
    other.host.close();
    await until(() => (dev.flags & IFF_UP) !== 0);
  });

  it('udp: bound to any address has all of the host, as they come and go', async () => {
    const veth = names();
    makeVeth(veth);
    const { open } = machine();
    const dev = open('udp:0.0.0.0:0');
    ip('addr', 'add', '10.212.4.1/32', 'dev', veth.a);
    await until(() => dev.addresses.some((each) => printIp(each) === '10.212.4.1'));
    expect(dev.addresses.every(({ family }) => family === 4)).toBe(true);
    // Loopback's are the last that anybody would send from.
    expect(dev.addresses.map(printIp).at(-1)).toBe('127.0.0.1');
    ip('link', 'del', veth.a);
    await until(() => !dev.addresses.some((each) => printIp(each) === '10.212.4.1'));
  });

  it('udp: follows addresses no more once it is unregistered', async () => {
    const veth = names();
    makeVeth(veth);
    const { open } = machine();
    const [gone, stays] = [open('udp:0.0.0.0:0'), open('udp:0.0.0.0:0')];
    unregisterNetdevice(gone);
    const before = gone.addresses.map(printIp);
    ip('addr', 'add', '10.212.4.2/32', 'dev', veth.a);
    await until(() => stays.addresses.some((each) => printIp(each) === '10.212.4.2'));
    expect(gone.addresses.map(printIp)).toEqual(before);
  });

  it('has its addresses after a storm of which the kernel could not tell all', async () => {
    const veth = names();
    makeVeth(veth);
    const { open } = machine();
    const dev = open(`packet:${veth.a}`);
    // The loop does not turn: more messages than the socket has room for, and the address is told of last.
    const changes = Array.from({ length: 3000 }, (_, i) => `link set ${veth.a} mtu ${1400 + (i % 600)}`);
    const input = [...changes, `addr add 10.214.6.1/32 dev ${veth.a}`, ''].join('\n');
    execFileSync('ip', ['-batch', '-'], { input, stdio: ['pipe', 'ignore', 'pipe'] });
    await until(() => dev.mtu === 1999 && dev.addresses.length === 1);
    expect(dev.addresses.map(printIp)).toEqual(['10.214.6.1']);
  });

  it('is right after a storm of changes', async () => {
    const veth = names();
    makeVeth(veth);
    const { open } = machine();
    const dev = open(`packet:${veth.a}`);
    // No turn of the loop between: more messages than are read in one turn.
    for (let i = 0; i < 40; i++) ip('link', 'set', veth.a, 'mtu', String(1000 + i));
    ip('link', 'set', veth.b, 'down');
    await until(() => dev.mtu === 1039 && !netifCarrierOk(dev));
  });
});
