import { describe, expect, it } from 'vitest';
import { createNetconsole, parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { panic } from '../machine/panic.ts';
import { pcapFile } from '../wire/pcap_writer.ts';
import { Hand, station } from './rig.fixture.ts';
import { SimExecutive } from './sim_executive.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

/** Two machines log over a bad wire to a third, one of them dies: every frame on the wire as a capture file. */
function history(seed: number): { capture: Uint8Array; received: string[]; lost: number; duplicated: number } {
  const world = new World({ seed, epochUs: 1_700_000_000_000_000 });
  const wire = new Wire(world, { loss: 0.1, duplication: 0.1, rateBps: 100e6 });
  const hand = new Hand(world, wire);
  const receiver = station(world, wire, 3);
  const received: string[] = [];
  udpBind(new Inet(receiver.stack), 6666, (skb) => {
    received.push(new TextDecoder().decode(skb.arena.bytes.slice(skb.data, skb.data + skb.len)));
  });
  for (const number of [1, 2]) {
    const sender = station(world, wire, number, number === 1 ? {} : { driver: createSnull });
    const param = parseNetconsoleParam(`+@10.0.0.${number}/eth0,@10.0.0.3/02:00:00:00:00:03`);
    if (!param.ok) throw new Error(param.reason);
    createNetconsole(sender.net, param.specs);
    const speak = (left: number) => {
      sender.machine.printk.info(`host${number} ${world.prng.u32()}`);
      if (left > 0) world.after(world.prng.below(1e6), () => speak(left - 1));
      else if (number === 2) panic(sender.machine, 'end');
    };
    world.after(world.prng.below(1000), () => speak(100));
  }
  world.runIdle();
  const capture = pcapFile(hand.heard.map(({ atNs, bytes }) => ({ tsUs: world.epochUs + atNs / 1000, bytes })));
  const { lost, duplicated } = wire.counters.toJSON();
  return { capture, received, lost, duplicated };
}

describe('a world', () => {
  it('has one history for one seed, to the byte, and another one for another seed', () => {
    const [first, second, other] = [history(7), history(7), history(8)];
    expect(first.received.length).toBeGreaterThan(100);
    expect(Buffer.compare(first.capture, second.capture)).toBe(0);
    expect(second.received).toEqual(first.received);
    expect(Buffer.compare(first.capture, other.capture)).not.toBe(0);
  });

  it('counts each fault that it injects', () => {
    const { lost, duplicated } = history(9);
    expect(lost).toBeGreaterThan(5);
    expect(duplicated).toBeGreaterThan(5);
  });

  it('moves its clock to each event and to the end of a run, and never back', () => {
    const world = new World({ seed: 1 });
    const seen: number[] = [];
    world.at(50, () => seen.push(world.nowNs));
    world.after(20, () => {
      seen.push(world.nowNs);
      world.at(5, () => seen.push(world.nowNs));
    });
    expect(world.runUntil(40)).toBe(2);
    expect([seen, world.nowNs]).toEqual([[20, 20], 40]);
    expect(world.runFor(100)).toBe(1);
    expect([seen.at(-1), world.nowNs]).toEqual([50, 140]);
    world.after(1e12, () => {});
    expect(world.runIdle(1000)).toBe(0);
  });
});

describe('a simulated executive', () => {
  it('runs a turn once for any number of requests, as an event, not at once', () => {
    const world = new World({ seed: 1 });
    const executive = new SimExecutive(world);
    let turns = 0;
    executive.onTurn = () => turns++;
    executive.requestTurn();
    executive.requestTurn();
    expect(turns).toBe(0);
    world.runIdle();
    expect(turns).toBe(1);
  });

  it('runs the earliest of several timed requests, counted from when its machine booted', () => {
    const world = new World({ seed: 1 });
    world.runUntil(1000);
    const executive = new SimExecutive(world);
    const turns: number[] = [];
    executive.onTurn = () => turns.push(executive.now());
    for (const at of [500, 200, 900]) executive.requestTurnAt(at);
    world.runIdle();
    expect(turns).toEqual([200]);
    executive.requestTurnAt(900);
    world.runIdle();
    expect(turns).toEqual([200, 900]);
  });

  it('while it spins lets the world go on, and keeps its own turns until afterwards', () => {
    const world = new World({ seed: 1 });
    const executive = new SimExecutive(world);
    const seen: string[] = [];
    executive.onTurn = () => seen.push(`turn at ${world.nowNs}`);
    world.after(10, () => seen.push('hardware'));
    executive.requestTurn();
    executive.spin(100);
    expect([seen, world.nowNs]).toEqual([['hardware'], 100]);
    world.runIdle();
    expect(seen).toEqual(['hardware', 'turn at 100']);
  });

  it('panics instead of hanging when time stands still', () => {
    const world = new World({ seed: 1 });
    const again = (): void => world.after(0, again);
    again();
    expect(() => world.runFor(1)).toThrow(/virtual time stands still at 0 ns/);
  });
});
