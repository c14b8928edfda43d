import { describe, expect, test } from 'vitest';
import { Inet } from '../inet/inet.ts';
import { UdpSock } from '../inet/udp_socket.ts';
import { ETH_P_IP } from '../wire/eth.ts';
import { Hand, station, udpFrame } from './rig.fixture.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

/** A flood of 40 flows at one card of a machine with two CPUs, whose stack is the dear part. */
function flood(steered: readonly number[], rfsTo: number | null = null) {
  const world = new World({ seed: 7 });
  const wire = new Wire(world);
  const cpuModel = { costs: { stackNs: 20_000 } };
  const host = station(world, wire, 2, { cpus: 2, cpuModel });
  const hand = new Hand(world, wire);
  const { rps, types } = host.stack;
  if (steered.length > 0) rps.setCpus(host.dev, 0, steered);
  const seen: { flow: number; serial: number; cpu: number }[] = [];
  types.add(ETH_P_IP, (skb) => {
    const { view } = skb.arena;
    const cpu = host.machine.cpu.id;
    seen.push({ flow: view.getUint16(skb.data + 20), serial: view.getUint32(skb.data + 28), cpu });
    if (rfsTo !== null) {
      const was = host.machine.enterCpu(host.machine.cpus[rfsTo]!);
      rps.recordSockFlow(skb.hash);
      host.machine.leaveCpu(was);
    }
    skb.pool.consume(skb);
    return 0;
  });
  if (rfsTo !== null) {
    rps.setSockFlowEntries(32768);
    rps.setFlowCount(host.dev, 0, 32768);
  }
  const frames = 600;
  for (let serial = 0; serial < frames; serial++) {
    world.after(serial * 15_000, () => {
      const payload = new Uint8Array(20);
      new DataView(payload.buffer).setUint32(0, serial);
      hand.send(udpFrame({ sourcePort: 1000 + (serial % 40), payload }));
    });
  }
  world.runFor(1e9);
  return { ...host, seen, frames };
}

function inOrder(seen: readonly { flow: number; serial: number }[]): boolean {
  const last = new Map<number, number>();
  return seen.every(({ flow, serial }) => {
    const before = last.get(flow) ?? -1;
    last.set(flow, serial);
    return serial > before;
  });
}

describe('steering on a simulated machine', () => {
  test('spreads one card over two CPUs, each flow in order; every frame is accounted for', () => {
    const { seen, net, machine, stack, port, frames } = flood([0, 1]);
    const here = seen.filter(({ cpu }) => cpu === 0).length;
    expect(here).toBeGreaterThan(seen.length / 5);
    expect(here).toBeLessThan((seen.length * 4) / 5);
    expect(inOrder(seen)).toBe(true);
    const dropped = net.softnet.reduce((sum, each) => sum + each.dropped, 0);
    expect(seen.length + dropped).toBe(frames);
    expect(machine.skbs.inUse).toBe(0);
    expect(port.link()).toBe(true);
    // Interrupts between CPUs, fewer than frames: one wakes a whole batch.
    const other = net.softnet[1]!.receivedRps;
    expect(other).toBeGreaterThan(0);
    expect(other).toBeLessThanOrEqual(stack.backlogs[1]!.tail);
    expect(net.softnet[1]!.processed).toBe(seen.length - here);
  });

  test('without it, the card’s CPU does everything', () => {
    const { seen, net } = flood([]);
    expect(new Set(seen.map(({ cpu }) => cpu)).size).toBe(1);
    expect(net.softnet.map(({ receivedRps }) => receivedRps)).toEqual([0, 0]);
  });

  test('brings flows to the CPU where they are read, in order all the way', () => {
    const { seen, machine } = flood([], 1);
    expect(inOrder(seen)).toBe(true);
    expect(seen.slice(-200).every(({ cpu }) => cpu === 1)).toBe(true);
    expect(machine.skbs.inUse).toBe(0);
  });

  test('a socket that reads brings its flow along', () => {
    const world = new World({ seed: 7 });
    const wire = new Wire(world);
    const { stack, net, machine, dev } = station(world, wire, 2, { cpus: 2 });
    const hand = new Hand(world, wire);
    const inet = new Inet(stack);
    const socket = new UdpSock(inet, { port: 6666 });
    stack.rps.setSockFlowEntries(1024);
    stack.rps.setFlowCount(dev, 0, 1024);
    const into = new Uint8Array(64);
    const readOn = (cpu: number) => {
      const was = machine.enterCpu(machine.cpus[cpu]!);
      expect(socket.receive(into)).not.toBeNull();
      machine.leaveCpu(was);
    };
    const processed: number[][] = [];
    for (const cpu of [1, 1, 0, 0]) {
      hand.send(udpFrame({ sourcePort: 1000 }));
      world.runFor(1e7);
      processed.push(net.softnet.map((each) => each.processed));
      readOn(cpu);
    }
    // The first frame stays with the card's CPU; from then on frames go where the one before was read.
    expect(processed).toEqual([
      [1, 0],
      [1, 1],
      [1, 2],
      [2, 2],
    ]);
    socket.close();
  });
});
