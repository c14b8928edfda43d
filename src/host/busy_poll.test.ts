// Busy polling from Node's event loop. The machine is a simulated one, so that what a turn takes is exact; its cards' interrupts are stuck,
// so that nothing comes but by polling.
import { afterEach, describe, expect, it } from 'vitest';
import { devClose, devOpen } from '../device/open.ts';
import { unregisterNetdevice } from '../device/register.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { macOf } from '../sim/rig.fixture.ts';
import { createSimMachine } from '../sim/sim_machine.ts';
import { SimPort } from '../sim/sim_port.ts';
import { Wire } from '../sim/wire.ts';
import { World } from '../sim/world.ts';
import { BUSY_POLL_USECS, BusyPoll } from './busy_poll.ts';

const running: BusyPoll[] = [];
afterEach(() => {
  for (const each of running.splice(0)) each.stop();
});

/** A turn of Node's loop is over, and what it was to do in its check phase. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

function rig(usecs?: number) {
  const world = new World({ seed: 1 });
  const { net, machine, stack } = createSimMachine(world, { hostname: 'me' });
  const heard: string[] = [];
  stack.types.add(0x88b5, (skb) => {
    heard.push(skb.dev!.name);
    skb.pool.consume(skb);
    return 0;
  });
  const card = (name: string) => {
    const port = new SimPort(world, { name: `sim:${name}`, mac: macOf(2), wire: new Wire(world) });
    port.irqStuck = true;
    const dev = createNic(net, port, name);
    devOpen(dev);
    const bytes = new Uint8Array(60);
    bytes.set([...macOf(2), 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    return { dev, come: () => port.receive(bytes, 60) };
  };
  const poll = usecs === undefined ? new BusyPoll(net) : new BusyPoll(net, usecs);
  running.push(poll);
  return { card, poll, heard, now: () => machine.executive.now() };
}

describe('busy polling', () => {
  it('takes frames of all devices without an interrupt, turn after turn', async () => {
    const { card, poll, heard } = rig();
    const [a, b] = [card('eth0'), card('eth1')];
    poll.add(a.dev);
    poll.add(b.dev);
    for (let i = 0; i < 3; i++) {
      a.come();
      b.come();
      await turn();
      await turn();
    }
    expect(heard).toEqual(['eth0', 'eth1', 'eth0', 'eth1', 'eth0', 'eth1']);
  });

  it('takes so long in a turn, all queues together, and lets the loop go on', async () => {
    const { card, poll, now } = rig(500);
    for (const name of ['eth0', 'eth1', 'eth2', 'eth3']) poll.add(card(name).dev);
    await turn();
    const before = now();
    await turn();
    const tookNs = now() - before;
    expect(tookNs).toBeGreaterThanOrEqual(500e3);
    // Each queue's last pause may end after its time.
    expect(tookNs).toBeLessThan(510e3);
  });

  it('takes 200 us if nobody says how long', async () => {
    const { card, poll, now } = rig();
    poll.add(card('eth0').dev);
    await turn();
    const before = now();
    await turn();
    expect(Math.round((now() - before) / 1e4) * 10).toBe(BUSY_POLL_USECS);
    expect(BUSY_POLL_USECS).toBe(200);
  });

  it('has each device once a turn, however many were added in one', async () => {
    const { card, poll, now } = rig(100);
    poll.add(card('eth0').dev);
    poll.add(card('eth1').dev);
    poll.add(card('eth2').dev);
    await turn();
    expect(now()).toBeLessThan(110e3);
  });

  it('has a device that was down when it is up again, and does without one that is gone', async () => {
    const { card, poll, heard } = rig();
    const [a, b] = [card('eth0'), card('eth1')];
    poll.add(a.dev);
    poll.add(b.dev);
    devClose(a.dev);
    await turn();
    devOpen(a.dev);
    unregisterNetdevice(b.dev);
    a.come();
    await turn();
    await turn();
    expect(heard).toEqual(['eth0']);
  });

  it('keeps the process no longer than until it stops', () => {
    const immediates = () => process.getActiveResourcesInfo().filter((each) => each === 'Immediate').length;
    const { card, poll } = rig();
    const before = immediates();
    poll.add(card('eth0').dev);
    expect(immediates()).toBe(before + 1);
    poll.stop();
    expect(immediates()).toBe(before);
  });

  it('stops, and can be had again, for another device', async () => {
    const { card, poll, heard, now } = rig();
    const [a, b] = [card('eth0'), card('eth1')];
    poll.add(a.dev);
    await turn();
    poll.stop();
    const before = now();
    a.come();
    await turn();
    await turn();
    expect([heard, now()]).toEqual([[], before]);
    poll.add(b.dev);
    b.come();
    await turn();
    expect(heard).toEqual(['eth1']);
    expect(now() - before).toBeLessThan(210e3);
  });
});
