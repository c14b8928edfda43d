/** What the wrappers write down, and what the fault injector does to frames, on a simulated card. */
import { describe, expect, it } from 'vitest';
import { Hand, macOf } from '../../sim/rig.fixture.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { createArena } from '../../skb/arena.ts';
import { CaptureReader } from '../../wire/pcap.ts';
import { FrameBatch, type Port } from '../nic/port.ts';
import { type FaultOptions, FaultPort } from './faults.ts';
import { PcapTap } from './pcap_tap.ts';
import { PortTracer } from './tracer.ts';

const frameOf = (mark: number, len = 100) => {
  const frame = new Uint8Array(len).fill(mark);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 9, 0x88, 0xb5], 6);
  return frame;
};

function rig<P extends Port>(wrap: (inner: Port) => P) {
  const world = new World({ seed: 1, epochUs: 1_000_000 });
  const wire = new Wire(world);
  const hand = new Hand(world, wire);
  const port = wrap(new SimPort(world, { name: 'sim:0', mac: macOf(1), wire }));
  const memory = createArena(512);
  const out = new FrameBatch(64);
  port.open(memory, () => {});
  /** The marks of what comes up. */
  const receive = (): number[] => {
    world.runFor(1e8);
    const marks: number[] = [];
    for (let n = port.rxBurst(0, out, 64); n > 0; n = port.rxBurst(0, out, 64)) {
      for (let i = 0; i < n; i++) {
        marks.push(memory.bytes[out.offset[i]! + 20]!);
        memory.release(out.buf[i]!);
      }
    }
    return marks;
  };
  /** Sends and gives the reference back when the tag has come. */
  const send = (frame: Uint8Array): void => {
    const buf = memory.alloc();
    const at = memory.start(buf) + 64;
    memory.bytes.set(frame, at);
    out.buf[0] = buf;
    out.offset[0] = at;
    out.len[0] = frame.length;
    out.end[0] = memory.start(buf) + memory.slotSize;
    out.cookie[0] = buf;
    out.vlanTci[0] = -1;
    expect(port.txBurst(0, out, 1)).toBe(1);
    let tags: number[] = [];
    for (let patience = 10; tags.length === 0 && patience > 0; patience--) {
      world.runFor(1e6);
      tags = [...out.cookie.slice(0, port.txReap(0, out))];
    }
    expect(tags).toEqual([buf]);
    expect([...memory.bytes.slice(at, at + frame.length)]).toEqual([...frame]);
    memory.release(buf);
  };
  const end = () => {
    world.runFor(1e8);
    port.txReap(0, out);
    port.close();
    expect(memory.available).toBe(memory.slots);
  };
  return { world, hand, port, receive, send, end };
}

describe('tracer', () => {
  it('keeps a line for each of the last frames', () => {
    const { port, hand, receive, send, end } = rig((inner) => new PortTracer(inner, 3));
    for (let i = 0; i < 4; i++) hand.send(frameOf(i));
    receive();
    send(frameOf(9, 70));
    expect(port.frames).toBe(5);
    expect(port.lines()).toEqual([
      '2 rx q0 100 02:00:00:00:00:09 > ff:ff:ff:ff:ff:ff 88b5',
      '3 rx q0 100 02:00:00:00:00:09 > ff:ff:ff:ff:ff:ff 88b5',
      '4 tx q0 70 02:00:00:00:00:09 > ff:ff:ff:ff:ff:ff 88b5',
    ]);
    end();
  });
});

describe('pcap tap', () => {
  it('writes a capture that a reader gives back, with times, cut where it was told', () => {
    const pieces: Uint8Array[] = [];
    const { hand, receive, send, end } = rig(
      (inner) =>
        new PcapTap(inner, { sink: (bytes) => pieces.push(bytes.slice()), wallUs: () => 7_000_001, snapLen: 80 }),
    );
    hand.send(frameOf(1));
    receive();
    send(frameOf(2, 60));
    const reader = new CaptureReader();
    reader.push(Buffer.concat(pieces));
    const seen: object[] = [];
    for (let packet = reader.next(); packet !== null; packet = reader.next()) {
      const { length, wireLength, tsUs, bytes, start } = packet;
      seen.push({ length, wireLength, tsUs, mark: bytes[start + 20] });
    }
    expect(seen).toEqual([
      { length: 80, wireLength: 100, tsUs: expect.any(Number), mark: 1 },
      { length: 60, wireLength: 60, tsUs: 7_000_001, mark: 2 },
    ]);
    end();
  });
});

describe('fault injector', () => {
  const faulty = (options: FaultOptions) => rig((inner) => new FaultPort(inner, options));

  it('has one history for one seed, another for another, and accounts for every frame', () => {
    const history = (seed: number) => {
      const options = { seed, loss: 0.2, corruption: 0.1, duplication: 0.1, delay: 0.2 };
      const { hand, port, receive, send, end } = faulty(options);
      const marks: number[] = [];
      for (let i = 0; i < 100; i++) {
        hand.send(frameOf(i));
        marks.push(...receive());
        send(frameOf(i));
      }
      const count = (name: 'lost' | 'passed' | 'duplicated') => port.faults.get(name);
      expect(count('passed') + count('lost')).toBe(200);
      end();
      expect(marks.length + hand.heard.length).toBe(count('passed') + count('duplicated'));
      expect(port.lines()[0]).toContain(`"seed":${seed}`);
      return { marks, lines: port.lines() };
    };
    expect(history(4)).toEqual(history(4));
    expect(history(4).lines).not.toEqual(history(5).lines);
  });

  it('loses everything, or what is too long, in both directions; the tags come back', () => {
    const { hand, port, receive, send, end } = faulty({ seed: 1, lenMax: 99 });
    hand.send(frameOf(1, 99));
    hand.send(frameOf(2, 100));
    expect(receive()).toEqual([1]);
    send(frameOf(3, 100));
    send(frameOf(4, 99));
    expect(hand.heard.map(({ bytes }) => bytes[20])).toEqual([4]);
    expect(port.faults.toJSON()).toMatchObject({ too_long: 2, passed: 2 });
    end();
  });

  it('turns one bit of a copy, never of the sender’s frame', () => {
    const { hand, send, end } = faulty({ seed: 1, corruption: 1 });
    send(frameOf(5));
    const heard = hand.heard[0]!.bytes;
    const bits = frameOf(5).reduce((sum, byte, i) => sum + ((byte ^ heard[i]!) === 0 ? 0 : 1), 0);
    expect(bits).toBe(1);
    end();
  });

  it('changes the order within its depth, and keeps nothing for ever', () => {
    const { hand, receive, end } = faulty({ seed: 2, delay: 0.5, depth: 3 });
    for (let i = 0; i < 50; i++) hand.send(frameOf(i));
    const marks = receive();
    expect([...marks].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(marks).not.toEqual([...marks].sort((a, b) => a - b));
    end();
  });
});
