/** What a machine costs that has nothing to do, and what it does when it is polled instead of interrupted. */
import { createSocket } from 'node:dgram';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { BusyPoll } from './busy_poll.ts';
import { createHostMachine } from './host_machine.ts';
import { createVeth, noVeth, type Veth } from './veth.fixture.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.skipIf(noVeth !== null)(`an idle machine${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  beforeAll(() => {
    veth = createVeth();
  });
  afterAll(() => veth.remove());

  it('with packet, xdp, tap and udp devices open takes less than a hundredth of a processor, and no timer ticks', async () => {
    const host = createHostMachine();
    const name = `idle${process.pid % 100000}`;
    for (const spec of [
      `packet:${veth.a}`,
      `packet:${veth.a},wake=frame`,
      `xdp:${veth.b}`,
      `tap:${name}`,
      'udp:127.0.0.1:0',
    ]) {
      host.openDevice(spec, { name: 'idle%d' });
    }
    // Links settle, and the kernel has said what it says to new ones.
    await pause(1500);
    const turns = host.executive.onTurn;
    let ticks = 0;
    host.executive.onTurn = () => {
      ticks++;
      turns();
    };
    const before = process.cpuUsage();
    const began = performance.now();
    await pause(3000);
    const used = process.cpuUsage(before);
    const share = (used.user + used.system) / 1000 / (performance.now() - began);
    host.close();
    expect(share).toBeLessThan(0.01);
    expect(ticks).toBeLessThan(30);
  }, 20_000);
});

describe('busy polling', () => {
  it('receives without an interrupt, lets the application have its turns, and goes back to interrupts', async () => {
    const host = createHostMachine();
    const dev = host.openDevice('udp:127.0.0.1:0');
    const port = dev.addresses.length;
    expect(port).toBeGreaterThan(0);
    let heard = 0;
    udpBind(new Inet(host.stack), 0, () => {
      heard++;
    });
    const number = Number(host.net.devices.at(-1)!.ethtoolOps!.getDrvinfo!(dev).busInfo.split(':').at(-1));
    const peer = createSocket('udp4');
    const line = host.machine.irqLines.at(-1)!;
    const poll = new BusyPoll(host.net, 500);
    poll.add(dev);
    await pause(5);
    const polls = dev.napiList[0]!.polls;
    for (let i = 0; i < 20; i++) {
      peer.send('x', number, '127.0.0.1');
      await pause(1);
    }
    await pause(10);
    expect(heard).toBe(20);
    expect(dev.napiList[0]!.polls - polls).toBeGreaterThan(100);
    poll.stop();
    await pause(5);
    const [interrupts, idle] = [line.count, dev.napiList[0]!.polls];
    await pause(20);
    expect(dev.napiList[0]!.polls).toBe(idle);
    peer.send('x', number, '127.0.0.1');
    for (let i = 0; i < 200 && heard === 20; i++) await pause(2);
    expect([heard, line.count > interrupts]).toEqual([21, true]);
    peer.close();
    host.close();
  });
});
