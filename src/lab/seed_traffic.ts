/**
 * What happens in a world of the seed farm: actions at random times, each on a random machine that is still alive.
 */
import type { Prng } from '../base/prng.ts';
import { netdevAllocSkb } from '../device/alloc_skb.ts';
import { devSetPromiscuity } from '../device/rx_mode.ts';
import { panic } from '../machine/panic.ts';
import { napiBusyLoop } from '../napi/busy_poll.ts';
import { eventPoll } from '../napi/event_poll.ts';
import { netpollPoll } from '../netpoll/poll.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import type { Attachment, Wire } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { fold, sum32 } from '../wire/checksum.ts';
import { ETH_P_IP, writeEth } from '../wire/eth.ts';
import { IPPROTO_TCP, IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { writeUdp } from '../wire/udp.ts';
import { reshapeCard, tuneCard } from './seed_cards.ts';
import { NETPOLL_PORT, type SeedStation, STACK_PORT } from './seed_station.ts';
import { LINE_TROUBLES, lineTrouble } from './trouble.ts';

const HEADERS = 42;

/** Plans it all, until `endNs`. `hand` is a station of the wire's own that can send anything. */
export function seedTraffic(
  world: World,
  wire: Wire,
  hand: Attachment,
  chance: Prng,
  stations: readonly SeedStation[],
  endNs: number,
): void {
  const any = (): SeedStation => stations[chance.below(stations.length)]!;
  const frame = new Uint8Array(1514);
  const action = (): void => {
    const station = any();
    const dice = chance.below(1000);
    if (dice < 300) burst(chance, station, any());
    else if (dice < 450) handSends(wire, hand, chance, frame, any());
    else if (dice < 550) segmentTrain(wire, hand, chance, frame, any());
    else if (dice < 600) acrossVeth(chance, station);
    else if (dice < 750) netpollSends(chance, station);
    else if (dice < 800) wedged(chance, station);
    else if (dice < 830) busyPolls(chance, station);
    else if (dice < 850) changes(chance, station);
    else if (dice < 998) trouble(world, wire, chance, station);
    else onCpu(station, () => panic(station.sim.machine, 'drawn'));
  };
  for (let n = 20 + chance.below(120); n > 0; n--) world.at(chance.below(endNs), action);
}

/** An action is process context: it waits while the CPU is in an interrupt, or has its interrupts off. */
function onCpu(station: SeedStation, run: () => void): void {
  const { machine } = station.sim;
  const { cpu } = machine;
  if (machine.dead || cpu.inInterrupt || cpu.irqsDisabled || machine.cpu.inInterrupt) return;
  run();
}

/** Datagrams down the stack of one machine, to another. */
function burst(chance: Prng, from: SeedStation, to: SeedStation): void {
  const count = 1 + chance.below(40);
  onCpu(from, () => {
    for (let i = 0; i < count; i++) {
      const payload = chance.below(600);
      const skb = netdevAllocSkb(from.dev, HEADERS + payload);
      if (skb === null) return;
      const port = chance.chance(0.6) ? STACK_PORT : chance.chance(0.7) ? NETPOLL_PORT : 99;
      writeDatagram(skb.arena.view, skbPut(skb, HEADERS + payload), from.number, to.number, port, payload);
      skb.protocol = ETH_P_IP;
      devQueueXmit(skb);
    }
  });
}

/** Frames out of nowhere: right, cut short, with a bit flipped, or garbage. */
function handSends(wire: Wire, hand: Attachment, chance: Prng, frame: Uint8Array, to: SeedStation): void {
  const view = new DataView(frame.buffer);
  for (let n = 1 + chance.below(60); n > 0; n--) {
    const payload = chance.below(200);
    writeDatagram(view, 0, 0x63, to.number, chance.chance(0.5) ? STACK_PORT : NETPOLL_PORT, payload);
    let len = HEADERS + payload;
    const dice = chance.below(10);
    if (dice === 0) len = 14 + chance.below(len - 14);
    if (dice === 1) frame[12 + chance.below(len - 12)]! ^= 1 << chance.below(8);
    if (dice === 2) for (let i = 12; i < len; i++) frame[i] = chance.below(256);
    if (dice === 3) frame.fill(255, 0, 6);
    if (dice === 4) frame[5] = 0x77;
    wire.transmit(hand, frame, 0, len);
  }
}

/** Segments of one flow, in order or not, which receive offload may make one frame of. */
function segmentTrain(wire: Wire, hand: Attachment, chance: Prng, frame: Uint8Array, to: SeedStation): void {
  const view = new DataView(frame.buffer);
  const len = 54 + 100 + chance.below(1000);
  let sequence = chance.u32();
  for (let n = 2 + chance.below(20); n > 0; n--) {
    frame.fill(n, 54, len);
    writeEth(view, 0, to.dev.devAddr, Uint8Array.of(2, 0, 0, 0, 0, 0x63), ETH_P_IP);
    writeIpv4(view, 14, n, IPPROTO_TCP, 0x0a000063, 0x0a000000 + to.number, len - 34);
    frame.fill(0, 34, 54);
    view.setUint32(34, 0x03e80050);
    view.setUint32(38, sequence);
    view.setUint8(46, 0x50);
    view.setUint8(47, chance.chance(0.1) ? 0x18 : 0x10);
    view.setUint16(50, fold(sum32(view, 26, 8) + IPPROTO_TCP + (len - 34) + sum32(view, 34, len - 34)));
    if (!chance.chance(0.05)) sequence = (sequence + len - 54) >>> 0;
    wire.transmit(hand, frame, 0, len);
  }
}

/** Datagrams from one of the machine's veths to the other. */
function acrossVeth(chance: Prng, station: SeedStation): void {
  const { veths } = station;
  if (veths === null) return;
  const [from, to] = chance.chance(0.5) ? veths : [veths[1], veths[0]];
  onCpu(station, () => {
    for (let n = 1 + chance.below(40); n > 0; n--) {
      const payload = chance.below(600);
      const skb = netdevAllocSkb(from, HEADERS + payload);
      if (skb === null) return;
      const at = skbPut(skb, HEADERS + payload);
      writeDatagram(skb.arena.view, at, station.number, station.number, STACK_PORT, payload);
      skb.arena.bytes.set(to.devAddr, at);
      skb.protocol = ETH_P_IP;
      devQueueXmit(skb);
    }
  });
}

/** Somebody waits for frames by polling himself. */
function busyPolls(chance: Prng, station: SeedStation): void {
  const { napiList } = station.dev;
  const napi = napiList[chance.below(Math.max(napiList.length, 1))];
  if (napi === undefined) return;
  const ns = 1000 + chance.below(50_000);
  const prefer = chance.chance(0.5);
  onCpu(station, () => {
    if (prefer)
      eventPoll(
        station.sim.net,
        napi.id,
        () => false,
        () => chance.below(2),
        { ns },
      );
    else napiBusyLoop(station.sim.net, napi.id, ns, () => false);
  });
}

/** A user at work with ethtool. */
function changes(chance: Prng, station: SeedStation): void {
  onCpu(station, () => {
    if (chance.chance(0.5)) tuneCard(chance, station.dev);
    else reshapeCard(chance, station.dev);
    if (chance.chance(0.3)) devSetPromiscuity(station.dev, station.dev.promiscuity === 0 ? 1 : -1);
  });
}

function netpollSends(chance: Prng, station: SeedStation): void {
  const bytes = new Uint8Array(chance.below(1000));
  const count = 1 + chance.below(30);
  const { machine } = station.sim;
  if (machine.dead) return;
  const send = (): void => {
    for (let i = 0; i < count; i++) netpollSendUdp(station.np, bytes);
  };
  // From any context: an interrupt's too, which is where the last words come from.
  if (chance.chance(0.3)) machine.requestIrq('drawn', machine.cpus[0]!, send).raise();
  else onCpu(station, send);
}

/** Interrupts off for a while, and netpoll alone keeps the machine talking. */
function wedged(chance: Prng, station: SeedStation): void {
  const rounds = 1 + chance.below(10);
  const { machine } = station.sim;
  onCpu(station, () => {
    const { cpu } = machine;
    const were = cpu.localIrqSave();
    for (let i = 0; i < rounds; i++) {
      netpollPoll(station.np);
      machine.executive.spin(20_000);
    }
    cpu.localIrqRestore(were);
  });
}

function trouble(world: World, wire: Wire, chance: Prng, station: SeedStation): void {
  const port = station.card;
  const afterNs = chance.below(5e6);
  const kind = chance.below(6);
  if (kind < LINE_TROUBLES) {
    lineTrouble(world, port, wire, kind, afterNs);
  } else if (kind === 4) {
    onCpu(station, () => station.down());
    world.after(afterNs, () => onCpu(station, () => station.up()));
  } else {
    wire.loss = chance.chance(0.5) ? 1 : 0;
    world.after(afterNs, () => {
      wire.loss = 0;
    });
  }
}

function writeDatagram(view: DataView, at: number, from: number, to: number, port: number, payload: number): void {
  const bytes = new Uint8Array(view.buffer, view.byteOffset);
  bytes.fill(payload & 0xff, at + HEADERS, at + HEADERS + payload);
  writeEth(view, at, Uint8Array.of(2, 0, 0, 0, 0, to), Uint8Array.of(2, 0, 0, 0, 0, from), ETH_P_IP);
  writeIpv4(view, at + 14, 1, IPPROTO_UDP, 0x0a000000 + from, 0x0a000000 + to, 8 + payload);
  writeUdp(view, at + 14, 4, at + 34, 1000, port, payload);
}
