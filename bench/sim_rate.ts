// How fast is the simulated machine? A UDP flood between two machines on a wire, every layer of both passed, in simulated
// packets a second of CPU time: against ns-3 on the same flood (10 us apart, 18 bytes, 1 Gbit/s), where its program is here;
// against a bare JavaScript event loop; and the receive walk alone (interrupt, driver, NAPI, GRO, dispatch, IP, UDP, socket, free)
// against a bare loop, over the same descriptors and, with a simulated card that copies each frame into memory, over the same frames.
//
// ns-3's program is not ours and not in this tree: NETPOLL_NS3 names it. It prints one JSON object with `pkts_per_cpu_s`.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { devOpen } from '../src/device/open.ts';
import { createNic } from '../src/drivers/nic/nic.ts';
import { Inet } from '../src/inet/inet.ts';
import { udpBind } from '../src/inet/udp.ts';
import { EventQueue } from '../src/sim/event_queue.ts';
import { createSimMachine } from '../src/sim/sim_machine.ts';
import { SimPort } from '../src/sim/sim_port.ts';
import { Wire } from '../src/sim/wire.ts';
import { World } from '../src/sim/world.ts';
import { skbPut } from '../src/skb/sk_buff.ts';
import { devQueueXmit } from '../src/stack/dev_queue_xmit.ts';
import { ETH_P_IP, writeEth } from '../src/wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../src/wire/ipv4.ts';
import { writeUdp } from '../src/wire/udp.ts';
import { DESCRIPTORS, DescriptorPort } from './descriptor_port.ts';
import { compare, type Figure } from './harness.ts';

export const question =
  'simulated packets a CPU second: a UDP flood between two machines, against ns-3 and a bare event loop';

const PACKETS = 200_000;
const GAP_NS = 10_000;
const PAYLOAD = 18;
const FRAME = 14 + 20 + 8 + PAYLOAD;
const MACS = [Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(2, 0, 0, 0, 0, 2)] as const;

export async function run(): Promise<Figure[]> {
  const ours = { name: 'netpoll, two machines', measure: () => cpuRate(udpFlood(PACKETS)) };
  const figures: Figure[] = [];
  const ns3 = process.env.NETPOLL_NS3 ?? '';
  for (const [mode, what, atLeast] of [
    ['p2p', 'UDP flood against ns-3, UDP over point-to-point', 5],
    ['rawp2p', 'UDP flood against ns-3, its bare devices without a stack', 1],
  ] as const) {
    if (!existsSync(ns3)) {
      const reason = 'NETPOLL_NS3 does not name the ns-3 flood program (built against libns3-dev)';
      figures.push({ kind: 'unanswered', what, reason });
      continue;
    }
    const theirs = { name: `ns-3 ${mode}`, measure: () => ns3Rate(ns3, mode) };
    figures.push(await compare(what, 'packets/CPU s', ours, theirs, { rounds: 5, warmUps: 4, atLeast }));
  }
  const loop = { name: 'bare event loop', measure: () => cpuRate(bareEvents) };
  figures.push(await compare('UDP flood against a bare event loop', 'packets/CPU s', ours, loop, { rounds: 5 }));
  const walk = descriptorWalk();
  figures.push(
    await compare(
      'receive walk against a bare loop over the same descriptors',
      'frames/s',
      { name: 'receive walk', measure: () => cpuRate(walk.up, 5) },
      { name: 'bare loop', measure: () => cpuRate(walk.bare, 50) },
      { rounds: 7, warmUps: 2 },
    ),
  );
  const copied = { name: 'receive walk', measure: () => cpuRate(receiveWalk) };
  const bare = { name: 'bare loop', measure: () => cpuRate(bareLoop, 20) };
  figures.push(
    await compare('the same with a simulated card that copies the frames', 'frames/s', copied, bare, { rounds: 5 }),
  );
  return figures;
}

/** Packets a second of this process's CPU time. */
function cpuRate(work: (packets: number) => number, repeat = 1): number {
  const before = process.cpuUsage();
  let done = 0;
  for (let i = 0; i < repeat; i++) done += work(PACKETS);
  const { user, system } = process.cpuUsage(before);
  if (done !== PACKETS * repeat) throw new Error(`${done} of ${PACKETS * repeat} arrived`);
  return (done * 1e6) / (user + system);
}

function ns3Rate(program: string, mode: string): number {
  const { stdout } = spawnSync(program, [`--mode=${mode}`, `--n=${PACKETS}`], { encoding: 'utf8' });
  return (JSON.parse(stdout) as { pkts_per_cpu_s: number }).pkts_per_cpu_s;
}

/**
 * Sender: skb, devQueueXmit, driver, ring; wire; receiver: ring, interrupt, NAPI, IP, UDP, socket. Gives what runs it: only the run
 * is timed, as ns-3's program times its own and not the making of its nodes.
 */
function udpFlood(packets: number): () => number {
  const world = new World({ seed: 1 });
  const wire = new Wire(world, { delayNs: 1000 });
  const [sender, receiver] = MACS.map((mac, i) => {
    const sim = createSimMachine(world, { hostname: `host${i}` });
    const dev = createNic(sim.net, new SimPort(world, { name: `sim:${i}`, mac, wire }), 'eth0');
    dev.addresses.push({ family: 4, v4: 0x0a000001 + i });
    devOpen(dev);
    return { sim, dev };
  });
  let received = 0;
  udpBind(new Inet(receiver!.sim.stack), 9, () => {
    received++;
  });
  const { machine } = sender!.sim;
  const dev = sender!.dev;
  let left = packets;
  const send = (): void => {
    const skb = machine.skbs.allocForDevice(dev, FRAME);
    if (skb !== null) {
      writeFrame(skb.arena.view, skbPut(skb, FRAME));
      skb.protocol = ETH_P_IP;
      devQueueXmit(skb);
    }
    if (--left > 0) world.after(GAP_NS, send);
  };
  world.after(0, send);
  return () => {
    world.runIdle();
    return received;
  };
}

function writeFrame(view: DataView, at: number): void {
  writeEth(view, at, MACS[1], MACS[0], ETH_P_IP);
  writeIpv4(view, at + 14, 1, IPPROTO_UDP, 0x0a000001, 0x0a000002, 8 + PAYLOAD);
  writeUdp(view, at + 14, 4, at + 34, 9, 9, PAYLOAD);
}

/** The same number of events (send, sent, arrive) and the same bytes, and nothing else. */
function bareEvents(packets: number): number {
  const events = new EventQueue();
  const frames = Array.from({ length: 64 }, () => new Uint8Array(FRAME));
  let nowNs = 0;
  let received = 0;
  let left = packets;
  const arrive = (): void => {
    if (frames[received & 63]![0] === 2) received++;
  };
  const sent = (): void => events.add(nowNs + 1000, arrive);
  const send = (): void => {
    frames[(packets - left) & 63]!.fill(2);
    events.add(nowNs + 672, sent);
    if (--left > 0) events.add(nowNs + GAP_NS, send);
  };
  events.add(0, send);
  while (events.length > 0) {
    nowNs = events.nextNs;
    events.take()();
  }
  return received;
}

/**
 * A busy core: the ring is full of frames that are in memory already, the interrupt comes once, NAPI polls until they are gone.
 * `bare` reads what a descriptor says, the frame's EtherType and its port, and nothing else.
 */
function descriptorWalk() {
  const frame = new Uint8Array(FRAME);
  writeFrame(new DataView(frame.buffer), 0);
  const sim = createSimMachine(new World({ seed: 1 }), { hostname: 'walk' });
  const port = new DescriptorPort(MACS[1], frame);
  const dev = createNic(sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: 0x0a000002 });
  devOpen(dev);
  let received = 0;
  udpBind(new Inet(sim.stack), 9, () => {
    received++;
  });
  const { view } = sim.machine.arena;
  return {
    up: (packets: number): number => {
      received = 0;
      for (let left = packets; left > 0; left -= DESCRIPTORS) port.refill(Math.min(left, DESCRIPTORS));
      return received;
    },
    bare: (packets: number): number => {
      let seen = 0;
      for (let i = 0; i < packets; i++) {
        const at = port.offset[i & (DESCRIPTORS - 1)]!;
        if (view.getUint16(at + 12) !== ETH_P_IP || port.len[i & (DESCRIPTORS - 1)] !== FRAME) continue;
        if (view.getUint16(at + 36) === 9) seen++;
      }
      return seen;
    },
  };
}

const BURST = 32;

/** Frames stand on the card; interrupt, NAPI, dispatch, IP, UDP, socket, free. Putting them there is not counted as a layer but costs too. */
function receiveWalk(packets: number): number {
  const { world, port, frame, counted } = walkMachine();
  const view = new DataView(frame.buffer);
  for (let i = 0; i < packets; i += BURST) {
    port.irqStuck = true;
    for (let k = 1; k < BURST; k++) port.receive(frame, FRAME, view);
    port.irqStuck = false;
    port.receive(frame, FRAME, view);
    world.runIdle();
  }
  return counted() - (counted() % BURST) === packets ? packets : counted();
}

function walkMachine() {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'walk' });
  const port = new SimPort(world, { name: 'sim:walk', mac: MACS[1], wire: new Wire(world) });
  const dev = createNic(sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: 0x0a000002 });
  devOpen(dev);
  let received = 0;
  udpBind(new Inet(sim.stack), 9, () => {
    received++;
  });
  const frame = new Uint8Array(FRAME);
  writeFrame(new DataView(frame.buffer), 0);
  return { world, port, frame, counted: () => received };
}

/** The frames' bytes copied into slots of one memory, their EtherType and port read. */
function bareLoop(packets: number): number {
  const memory = new Uint8Array(256 * 2048);
  const view = new DataView(memory.buffer);
  const frame = new Uint8Array(FRAME);
  writeFrame(new DataView(frame.buffer), 0);
  let seen = 0;
  for (let i = 0; i < packets; i++) {
    const at = (i & 255) * 2048;
    for (let k = 0; k < FRAME; k++) memory[at + k] = frame[k]!;
    if (view.getUint16(at + 12) === ETH_P_IP && view.getUint16(at + 36) === 9) seen++;
  }
  return seen;
}
