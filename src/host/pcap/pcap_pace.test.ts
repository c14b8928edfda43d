import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { SetupError } from '../../base/status.ts';
import { FrameBatch } from '../../drivers/nic/port.ts';
import { createArena } from '../../skb/arena.ts';
import { CaptureReader } from '../../wire/pcap.ts';
import { pcapFile } from '../../wire/pcap_writer.ts';
import { createHostArena } from '../arena.ts';
import { Pacing } from './pacing.ts';
import { PcapPort } from './pcap_port.ts';
import { parsePcapSpec } from './pcap_spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'netpoll-pace-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const path = () => join(folder, `f${files++}.pcap`);
const frameOf = (seed: number, len: number) => Uint8Array.from({ length: len }, (_, i) => seed * 17 + i);
const parse = (rest: string) => parsePcapSpec(`pcap:${rest}`, rest);
const noTshark = spawnSync('capinfos', ['--version']).status === 0 ? null : 'needs capinfos and tshark';

function capture(gapsUs: readonly number[], len = 60): string {
  let tsUs = 1_700_000_000_000_000;
  const file = path();
  const frames = [0, ...gapsUs].map((gap, i) => {
    tsUs += gap;
    return { tsUs, bytes: frameOf(i, len) };
  });
  writeFileSync(file, pcapFile(frames));
  return file;
}

/** When each frame came, in milliseconds from the first, by interrupts alone. */
async function arrivals(rest: string): Promise<number[]> {
  const port = new PcapPort(rest);
  const memory = createArena(64);
  const out = new FrameBatch(64);
  const times: number[] = [];
  let over = false;
  port.onEnd(() => {
    over = true;
  });
  const poll = (): void => {
    do {
      for (let n = port.rxBurst(0, out, 64); n > 0; n = port.rxBurst(0, out, 64)) {
        for (let i = 0; i < n; i++) memory.release(out.buf[i]!);
        times.push(...new Array(n).fill(performance.now()));
      }
    } while (port.irqEnable(0, true) && port.link());
  };
  port.open(memory, () => poll());
  poll();
  while (!over) await new Promise((resolve) => setTimeout(resolve, 5));
  port.close();
  return times.map((time) => time - times[0]!);
}

/** Has a port write these frames; gives what the reader finds in the file. */
function written(
  options: string,
  frames: readonly Uint8Array[],
  wallUs: () => number,
): { file: string; lens: number[] } {
  const file = path();
  const wall = {
    us: 0,
    read() {
      this.us = wallUs();
    },
  };
  const port = new PcapPort(`,out=${file}${options}`, wall);
  const memory = createArena(16, 70_000);
  port.open(memory, () => {});
  expect(port.link()).toBe(true);
  const batch = new FrameBatch(1);
  const done = new FrameBatch(16);
  for (const frame of frames) {
    const buf = memory.alloc();
    memory.bytes.set(frame, memory.start(buf) + 3);
    batch.offset[0] = memory.start(buf) + 3;
    batch.len[0] = frame.length;
    expect(port.txBurst(0, batch, 1)).toBe(1);
    expect(port.txReap(0, done)).toBe(1);
    memory.release(buf);
  }
  port.close();
  const lens: number[] = [];
  const reader = new CaptureReader();
  reader.push(readFileSync(file));
  for (let packet = reader.next(); packet !== null; packet = reader.next()) lens.push(packet.length);
  expect(reader.finish()).toBe(null);
  return { file, lens };
}

describe('pcap: names', () => {
  it.each([
    ['a.pcap', { file: 'a.pcap', out: null, loop: 1, pace: { by: 'max' } }],
    ['a,b.pcap,pace=1', { file: 'a,b.pcap', pace: { by: 'times', rate: 1 } }],
    ['a.pcap,pace=10x', { pace: { by: 'times', rate: 10 } }],
    ['a.pcap,multiplier=0.5', { pace: { by: 'times', rate: 0.5 } }],
    ['a.pcap,topspeed', { pace: { by: 'max' } }],
    ['a.pcap,pps=2500,loop=3', { pace: { by: 'frames', rate: 2500 }, loop: 3 }],
    ['a.pcap,mbps=1.5,loop=0', { pace: { by: 'bits', rate: 1.5e6 }, loop: Number.POSITIVE_INFINITY }],
    ['a.pcap,pace=1,maxsleep=20,spin', { pace: { by: 'times', rate: 1, maxSleepNs: 20e6, spin: true } }],
    [',out=b.pcap,snaplen=96,format=nsecpcap', { file: null, out: 'b.pcap', snapLen: 96, nanoseconds: true }],
  ])('%s', (rest, spec) => {
    expect(parse(rest)).toMatchObject(spec);
  });

  it.each([
    ['', /no file/],
    [',pps=5', /no file/],
    [',out=', /no file/],
    [',out=b,pps=5', /nothing is received/],
    ['a,out=a', /cannot be written/],
    ['a,pace=fast', /pace needs a number above 0, not "fast"/],
    ['a,pace=', /pace needs a number/],
    ['a,pace=1,pps=5', /pace and pps: give one/],
    ['a,pps=0', /pps needs a number above 0/],
    ['a,loop=-1', /loop needs a whole number/],
    ['a,loop=2,loop=3', /loop is given twice/],
    ['a,pase=1', /no option "pase"/],
    ['a,out=b,format=erf', /format is pcap or nsecpcap/],
    ['a,out=b,what', /"what" is no option/],
  ])('"%s" is refused with the reason and the form', (rest, why) => {
    expect(() => parse(rest)).toThrow(why);
    expect(() => parse(rest)).toThrow(SetupError);
    expect(() => parse(rest)).toThrow('pcap:,out=FILE');
  });
});

describe('pacing', () => {
  it('is due as the rate says, whatever was recorded', () => {
    const recorded = fc.array(
      fc.record({ gap: fc.integer({ min: -1000, max: 1e6 }), len: fc.integer({ min: 14, max: 1514 }) }),
      {
        minLength: 2,
      },
    );
    fc.assert(
      fc.property(
        recorded,
        fc.constantFrom('pace=1', 'pace=7x', 'pps=1234', 'mbps=3', 'pace=1,maxsleep=3'),
        (frames, option) => {
          const { pace } = parse(`a,${option}`);
          const pacing = new Pacing(pace);
          let us = 1.7e15;
          let expected = 5e9;
          let before = 0;
          frames.forEach(({ gap, len }, i) => {
            us += gap;
            pacing.next(us, 0, len, 5e9);
            if (i > 0) {
              if (option === 'pps=1234') expected = 5e9 + (i / 1234) * 1e9;
              else if (option === 'mbps=3') expected += ((before * 8) / 3e6) * 1e9;
              else expected += Math.min(Math.max(0, (gap * 1e3) / pace.rate), pace.maxSleepNs);
            }
            before = len;
            expect(Math.abs(pacing.dueNs - expected)).toBeLessThan(10);
          });
        },
      ),
    );
  });

  it.each(['pace=1', 'pace=1,spin'])(
    '%s: no frame comes before its time, and the last not much after',
    async (option) => {
      const gapsMs = [30, 0, 45, 5, 20];
      const times = await arrivals(`${capture(gapsMs.map((ms) => ms * 1000))},${option}`);
      let due = 0;
      gapsMs.forEach((gap, i) => {
        due += gap;
        expect(times[i + 1]).toBeGreaterThan(due - 2);
      });
      expect(times.at(-1)).toBeLessThan(due + 60);
    },
  );

  it('ten times as fast takes a tenth of the time; maxsleep cuts silences; pps holds on average', async () => {
    const slow = capture([400_000, 400_000, 400_000]);
    const [fast, cut] = [await arrivals(`${slow},pace=10x`), await arrivals(`${slow},pace=1,maxsleep=10`)];
    for (const [times, ms] of [
      [fast, 120],
      [cut, 30],
    ] as const) {
      expect(times.at(-1)).toBeGreaterThan(ms - 2);
      expect(times.at(-1)).toBeLessThan(ms + 100);
    }
    const many = capture(new Array(999).fill(0));
    const [first, last] = [(await arrivals(`${many},pps=5000`)).length, (await arrivals(`${many},pps=5000`)).at(-1)!];
    expect(first).toBe(1000);
    expect(last).toBeGreaterThan(197);
    expect(last).toBeLessThan(350);
  });

  it('begins again as often as it is asked to', async () => {
    expect((await arrivals(`${capture([0, 0])},loop=4`)).length).toBe(12);
    const times = await arrivals(`${capture([20_000])},loop=3,pace=1`);
    expect(times.length).toBe(6);
    expect(times.at(-1)).toBeGreaterThan(58);
    expect((await arrivals(`${capture([])},loop=2`)).length).toBe(2);
  });
});

describe('pcap port, long frames', () => {
  it('receives those that no slot holds where the arena has room for them', () => {
    const file = path();
    const frames = [60, 9014, 65_549, 100].map((len, i) => ({ tsUs: i, bytes: frameOf(i, len) }));
    writeFileSync(file, pcapFile(frames));
    const memory = createHostArena({ slots: 8, reserveBytes: 8 << 20 });
    const port = new PcapPort(file);
    port.open(memory, () => {});
    const out = new FrameBatch(8);
    expect(port.rxBurst(0, out, 8)).toBe(4);
    frames.forEach(({ bytes }, i) => {
      expect(Buffer.compare(memory.bytes.slice(out.offset[i]!, out.offset[i]! + out.len[i]!), bytes)).toBe(0);
      expect(out.end[i]).toBeGreaterThanOrEqual(out.offset[i]! + out.len[i]!);
    });
    port.close();
    for (let i = 0; i < 4; i++) memory.release(out.buf[i]!);
    expect(memory.available).toBe(8);
  });
});

describe.skipIf(noTshark !== null)(
  noTshark === null ? 'pcap port, writing, judged by capinfos' : `(skip: ${noTshark})`,
  () => {
    const capinfos = (file: string, ...words: string[]): string => {
      const { stdout, stderr, status } = spawnSync('capinfos', ['-M', ...words, file], { encoding: 'utf8' });
      expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
      return stdout;
    };

    it('writes whole files: count, bytes, times, format, snap length', () => {
      const frames = Array.from({ length: 3000 }, (_, i) => frameOf(i, 60 + (i % 1400)));
      let us = 1_700_000_000_000_000;
      const plain = written('', frames, () => (us += 250));
      expect(plain.lens).toEqual(frames.map((frame) => frame.length));
      const told = capinfos(plain.file, '-c', '-d', '-t', '-u', '-i', '-l', '-E');
      expect(told).toMatch(/File type:\s+pcap\n/);
      expect(told).toMatch(/Number of packets:\s+3000\n/);
      expect(told).toContain(`${frames.reduce((sum, frame) => sum + frame.length, 0)}`);
      expect(told).toMatch(/Capture duration:\s+0\.749750/);

      let fine = 1_700_000_000_000_000;
      const nano = written(',format=nsecpcap,snaplen=96', frames.slice(0, 20), () => (fine += 0.5));
      expect(nano.lens.every((len) => len <= 96)).toBe(true);
      const second = capinfos(nano.file, '-t', '-c', '-u', '-l');
      expect(second).toMatch(/nsecpcap/);
      expect(second).toMatch(/Capture duration:\s+0\.0000095/);
      expect(second).toMatch(/file hdr: 96 bytes/);
    });
  },
);
