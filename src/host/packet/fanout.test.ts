// Flows of a real sender over a veth pair, dealt out by the kernel to the queues of one port and to ports in one group.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { IPPROTO_UDP, writeIpv4 } from '../../wire/ipv4.ts';
import { writeUdp } from '../../wire/udp.ts';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { type OpenPortOptions, openPort } from '../open_port.ts';
import { createVeth, noVeth, type Veth } from '../veth.fixture.ts';
import { checkFanout, FANOUT_MODES } from './fanout.ts';
import type { PacketPort } from './packet_port.ts';

const FLOWS = 48;
const FRAMES_EACH = 20;
/** Blocks wait long enough for all frames of a test, however slow the machine is: half-filled ones soon use a small ring up. */
const SMALL = { blocks: 8, blockSize: 32 << 10, retireMs: 100 };
const RETIRED_MS = 150;
const PAYLOAD = 42;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('what names a fanout group', () => {
  it('is a number of two bytes, or none', () => {
    for (const group of [undefined, 0, 1, 65535])
      expect(() => checkFanout(group === undefined ? {} : { group })).not.toThrow();
    for (const group of [-1, 65536, 1.5, Number.NaN]) expect(() => checkFanout({ group })).toThrow(SetupError);
    expect(() => checkFanout({ mode: 'best' as 'hash' })).toThrow(/give hash, lb, cpu/);
  });
});

describe.skipIf(noVeth !== null)(`packet fanout${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  let sender: PacketPort;
  const executive = new HostExecutive();
  const memory = createHostArena({ slots: 256, reserveBytes: 32 << 20 });
  beforeAll(() => {
    veth = createVeth();
    sender = openPort(veth.a, executive, SMALL) as PacketPort;
    sender.open(memory, () => {});
  });
  afterAll(() => {
    sender.close();
    veth.remove();
  });

  const portOn = (spec: string, options: OpenPortOptions = {}) =>
    openPort(spec.replace('IF', veth.b), executive, { ...SMALL, ...options }) as PacketPort;

  /** UDP datagrams of FLOWS flows, taking turns; each carries its flow and its number in the flow. */
  function sendFlows(frames = FRAMES_EACH): void {
    const batch = new FrameBatch(FLOWS);
    const bufs = Array.from({ length: FLOWS }, () => memory.alloc());
    for (let n = 0; n < frames; n++) {
      for (let flow = 0; flow < FLOWS; flow++) {
        const at = memory.start(bufs[flow]!);
        memory.bytes.fill(0, at, at + 60);
        memory.bytes.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 0], at);
        writeIpv4(memory.view, at + 14, 1, IPPROTO_UDP, 0x0a000001 + flow, 0x0a0000fe, 26);
        writeUdp(memory.view, at + 14, 4, at + 34, 20000 + flow, 6666, 18);
        memory.view.setUint16(at + PAYLOAD, flow);
        memory.view.setUint16(at + PAYLOAD + 2, n);
        batch.offset[flow] = at;
        batch.len[flow] = 60;
        batch.vlanTci[flow] = -1;
      }
      expect(sender.txBurst(0, batch, FLOWS)).toBe(FLOWS);
      while (sender.txReap(0, batch) > 0);
    }
    for (const buf of bufs) memory.release(buf);
  }

  interface Heard {
    readonly flow: number;
    readonly n: number;
  }

  /** What each queue of each port got. */
  async function heardBy(...ports: PacketPort[]): Promise<Heard[][]> {
    await pause(RETIRED_MS);
    const out = new FrameBatch(64);
    return ports.flatMap((port) =>
      Array.from({ length: port.caps.rxQueues }, (_, queue) => {
        const heard: Heard[] = [];
        for (let n = port.rxBurst(queue, out, 64); n > 0; n = port.rxBurst(queue, out, 64)) {
          for (let i = 0; i < n; i++) {
            const at = out.offset[i]! + PAYLOAD;
            heard.push({ flow: memory.view.getUint16(at), n: memory.view.getUint16(at + 2) });
            memory.release(out.buf[i]!);
          }
        }
        return heard;
      }),
    );
  }

  function expectWholeFlows(queues: readonly Heard[][]): void {
    expect(queues.flat().length).toBe(FLOWS * FRAMES_EACH);
    for (let flow = 0; flow < FLOWS; flow++) {
      const ways = queues.map((heard) => heard.filter((each) => each.flow === flow)).filter((each) => each.length > 0);
      expect(ways.length).toBe(1);
      expect(ways[0]!.map(({ n }) => n)).toEqual(Array.from({ length: FRAMES_EACH }, (_, n) => n));
    }
  }

  it('keeps each flow on one queue and in order, and uses all queues', async () => {
    const port = portOn('packet:IF,queues=3');
    expect(port.caps.rxQueues).toBe(3);
    expect(port.fanoutGroup).toBe(-1);
    port.open(memory, () => {});
    expect(port.fanoutGroup).toBeGreaterThanOrEqual(0);
    sendFlows();
    const queues = await heardBy(port);
    expectWholeFlows(queues);
    for (const heard of queues) expect(heard.length).toBeGreaterThan(0);
    expect(port.counters.get('rx_frames')).toBe(FLOWS * FRAMES_EACH);
    port.close();
  });

  it('deals to ports of their own that name the same group', async () => {
    const first = portOn('packet:IF', { fanout: { mode: 'hash' } });
    first.open(memory, () => {});
    const second = portOn(`packet:IF,fanout=hash/${first.fanoutGroup}`);
    second.open(memory, () => {});
    expect(second.fanoutGroup).toBe(first.fanoutGroup);
    sendFlows();
    const queues = await heardBy(first, second);
    expectWholeFlows(queues);
    for (const heard of queues) expect(heard.length).toBeGreaterThan(0);
    second.close();
    // Who is left gets everything.
    sendFlows();
    expectWholeFlows(await heardBy(first));
    first.close();
  });

  it('takes turns with lb, and overflows to the next queue with rollover', async () => {
    const turns = portOn('packet:IF,queues=2,fanout=lb');
    turns.open(memory, () => {});
    sendFlows();
    expect((await heardBy(turns)).map((heard) => heard.length)).toEqual([480, 480]);
    turns.close();
    const over = portOn('packet:IF,queues=2,fanout=rollover', { blocks: 2, blockSize: 32 << 10 });
    over.open(memory, () => {});
    sendFlows(16);
    const [first, second] = await heardBy(over);
    expect(first!.length).toBeGreaterThan(100);
    expect(second!.length).toBeGreaterThan(20);
    over.close();
  });

  it.each([
    ['rollover', (first: number, second: number) => first === 960 && second === 0],
    ['rnd', (first: number, second: number) => first + second === 960 && first > 300 && second > 300],
  ] as const)('with room for all, %s is what its name says', async (mode, holds) => {
    const port = portOn(`packet:IF,queues=2,fanout=${mode}`, { blocks: 32, blockSize: 32 << 10 });
    port.open(memory, () => {});
    sendFlows();
    const lengths = (await heardBy(port)).map((heard) => heard.length);
    expect(holds(lengths[0]!, lengths[1]!), String(lengths)).toBe(true);
    port.close();
  });

  it('interrupts for the queue that got the frame', async () => {
    const raised = [0, 0];
    const port = portOn('packet:IF,queues=2,fanout=lb');
    port.open(memory, (queue) => raised[queue]!++);
    for (const queue of [0, 1]) expect(port.irqEnable(queue, true)).toBe(false);
    sendFlows(1);
    await pause(RETIRED_MS);
    expect(raised).toEqual([1, 1]);
    await heardBy(port);
    port.close();
  });

  it('opens with every mode, and lets nothing past its filter while it joins', async () => {
    for (const mode of FANOUT_MODES) {
      const port = portOn('packet:IF', { fanout: { mode }, packetQueues: 2, udpPort: 9 });
      port.open(memory, () => {});
      sendFlows(1);
      expect((await heardBy(port)).flat()).toEqual([]);
      port.close();
    }
  });

  it('gives each port that names no group one of its own', () => {
    const [a, b] = [portOn('packet:IF,queues=2'), portOn('packet:IF,queues=2')];
    a.open(memory, () => {});
    b.open(memory, () => {});
    expect(a.fanoutGroup).not.toBe(b.fanoutGroup);
    a.close();
    b.close();
  });

  it('refuses what no group can be, and leaves nothing open', () => {
    const code = (act: () => unknown): string => {
      try {
        act();
      } catch (error) {
        if (error instanceof SetupError) return `${error.code}: ${error.message}`;
        throw error;
      }
      return 'accepted';
    };
    expect(code(() => portOn('packet:IF,queues=0'))).toContain('ERR_NETPOLL_FANOUT');
    expect(code(() => portOn('packet:IF', { fanout: { group: 70000 } }))).toContain('0 to 65535');
    expect(code(() => portOn('packet:IF', { fanout: { mode: 'fair' as 'hash' } }))).toContain('no fanout "fair"');
    const first = portOn('packet:IF,fanout=hash');
    first.open(memory, () => {});
    const other = portOn(`packet:IF,fanout=lb/${first.fanoutGroup}`);
    const free = memory.available;
    expect(code(() => other.open(memory, () => {}))).toMatch(/EINVAL.*the same mode and interface/);
    expect(memory.available).toBe(free);
    first.close();
    other.open(memory, () => {});
    other.close();
  });
});
