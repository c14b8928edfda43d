/**
 * Bad frames through the whole way up: port, driver, NAPI or backlog, netpoll's trap, stack, IP, UDP. Whatever comes, nothing
 * throws, every frame is accounted for with a reason, and all memory is free again.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNic } from '../drivers/nic/nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import { netpollPoll } from '../netpoll/poll.ts';
import { netpollSetTrap } from '../netpoll/rx.ts';
import { client, Hand, station, udpFrame } from './rig.fixture.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

const address4 = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.9');
const port = fc.constantFrom(0, 7, 6665, 6666, 65535);
const payload = fc.uint8Array({ maxLength: 80 });
const good = fc.oneof(
  fc
    .record({ from: address4, to: address4, sourcePort: port, destPort: port, payload })
    .map((options) => udpFrame(options)),
  fc
    .record({ sourcePort: port, destPort: port, payload })
    .map((options) => udpFrame({ ...options, from: 'fc00::1', to: 'fc00::2' })),
);
/** A frame with bytes changed, most of them in its headers, and a wrong length. */
const mutated = fc
  .tuple(good, fc.array(fc.tuple(fc.nat(70), fc.nat(255)), { maxLength: 3 }), fc.integer({ min: -60, max: 40 }))
  .map(([frame, changes, by]) => {
    const out = new Uint8Array(Math.max(frame.length + Math.min(by, 30), 0));
    out.set(frame.subarray(0, out.length));
    for (const [at, value] of changes) if (at >= 6 && at < out.length) out[at] = value;
    return out;
  });
const noise = fc.uint8Array({ maxLength: 100 }).map((bytes) => {
  if (bytes.length >= 6) bytes.set([2, 0, 0, 0, 0, 2]);
  if (bytes.length >= 14)
    bytes.set(
      [
        [0x08, 0x00],
        [0x08, 0x06],
        [0x86, 0xdd],
      ][bytes[13]! % 3]!,
      12,
    );
  return bytes;
});
const frames = fc.array(fc.oneof({ weight: 3, arbitrary: mutated }, good, noise), { minLength: 50, maxLength: 50 });

describe.each([
  ['nic (NAPI)', createNic],
  ['snull (interrupt only)', createSnull],
])('10,000 random and mutated frames over %s', (_name, driver) => {
  it.each(['with a stack and a receiver', 'trapped', 'polled with interrupts off'])(
    '%s: never a throw, none lost',
    (how) => {
      const world = new World({ seed: 1 });
      const wire = new Wire(world);
      const me = station(world, wire, 2, { driver, promiscuous: true });
      const hand = new Hand(world, wire);
      const inet = new Inet(me.stack);
      let sockets = 0;
      let tapped = 0;
      udpBind(inet, 7, () => sockets++);
      me.stack.types.add(3, (skb) => {
        tapped++;
        skb.pool.consume(skb);
        return 0;
      });
      const np = client(me, '6666@10.0.0.2/eth0,6665@10.0.0.1/', () => {});
      const six = client(me, '6666@fc00::2/eth0,6665@fc00::1/', () => {});
      six.anyRemote = true;
      const info = npinfoOf(me.dev)!;
      if (how === 'trapped') netpollSetTrap(me.dev, true);
      let injected = 0;
      fc.assert(
        fc.property(frames, (batch) => {
          const were = me.machine.cpu.irqsDisabled;
          const off = how.startsWith('polled') ? me.machine.cpu.localIrqSave() : were;
          for (const frame of batch) hand.send(frame);
          injected += batch.length;
          if (off !== me.machine.cpu.irqsDisabled) {
            me.machine.executive.spin(1e6);
            for (let i = 0; i < 10; i++) netpollPoll(np);
            me.machine.cpu.localIrqRestore(off);
          }
          world.runIdle();
          expect(me.machine.skbs.inUse).toBe(32);
          expect(me.machine.arena.available).toBe(me.machine.arena.slots - 32);
        }),
        { numRuns: 67, endOnFailure: true },
      );
      const ports = me.port.counters.toJSON();
      const stats = me.dev.stats.toJSON();
      const drops = Object.values(me.machine.skbs.drops.toJSON()).reduce((sum, n) => sum + n, 0);
      const arp = info.counters.get('arp_replies');
      // A client of two that both want a frame counts it twice; these two never do.
      const received = info.counters.get('received');
      expect(injected).toBe(ports.rx_frames);
      expect(ports.rx_frames).toBe(stats.rx_packets + stats.rx_errors);
      // An IPv6 packet that says that nothing follows its headers ends there, delivered.
      const { IpInDelivers, Ip6InDelivers, UdpInDatagrams, UdpNoPorts, UdpInErrors } = inet.snmp.toJSON();
      const empty = IpInDelivers + Ip6InDelivers - UdpInDatagrams - UdpNoPorts - UdpInErrors;
      expect(empty).toBeGreaterThanOrEqual(0);
      expect(stats.rx_packets).toBe(received + arp + sockets + drops + empty);
      expect([ports.rx_missed_errors, ports.rx_no_buffer]).toEqual([0, 0]);
      if (how !== 'trapped') expect(Math.min(sockets, received, tapped)).toBeGreaterThan(20);
      else expect([sockets, tapped]).toEqual([0, 0]);
    },
  );
});
