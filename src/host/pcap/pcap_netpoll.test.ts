import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { nicPort } from '../../drivers/nic/nic.ts';
import { panic } from '../../machine/panic.ts';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { npinfoOf } from '../../netpoll/npinfo.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollPoll } from '../../netpoll/poll.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollSetup } from '../../netpoll/setup.ts';
import { udpFrame } from '../../sim/rig.fixture.ts';
import { createHostMachine } from '../host_machine.ts';
import type { PcapPort } from './pcap_port.ts';

const folder = mkdtempSync(join(tmpdir(), 'netpoll-pcap-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A classic capture of `frames`, microseconds, little-endian. */
function capture(frames: Uint8Array[]): string {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  const records = frames.map((frame) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return Buffer.concat([record, frame]);
  });
  const file = join(folder, 'frames.pcap');
  writeFileSync(file, Buffer.concat([header, ...records]));
  return file;
}

describe('netpoll over a capture file', () => {
  it.each([
    ['with interrupts off', false],
    ['after a panic', true],
  ])('%s hears what is in it; what it answers is counted, for nothing can be sent', (_name, dead) => {
    const file = capture(['a', 'b', 'c'].map((payload) => udpFrame({ payload, destMac: 'ff:ff:ff:ff:ff:ff' })));
    const host = createHostMachine();
    const { cpu } = host.machine;
    cpu.localIrqSave();
    const dev = host.openDevice(`pcap:${file}`);
    const parsed = netpollParseOptions(`6666@10.0.0.2/${dev.name},6665@10.0.0.1/`);
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const np = new Netpoll('test', { ...parsed.options, devName: dev.name });
    const got: string[] = [];
    np.rxHook = (self, { bytes, offset, len }) => {
      got.push(new TextDecoder().decode(bytes.slice(offset, offset + len)));
      expect(netpollSendUdp(self, Uint8Array.of(1))).toBe(0);
    };
    expect(netpollSetup(host.net, np, { carrierTimeoutNs: 0 })).toBe(0);
    if (dead) panic(host.machine, 'test');
    expect(netpollPoll(np)).toBe(3);
    expect(got).toEqual(['a', 'b', 'c']);
    expect(npinfoOf(dev)!.counters.toJSON()).toMatchObject({ deferred: 3, deferred_sent: 3 });
    expect((nicPort(dev) as PcapPort).counters.get('tx_errors')).toBe(3);
    if (!dead) cpu.localIrqRestore(false);
    host.close();
  });
});
