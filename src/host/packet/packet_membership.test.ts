/** What the kernel's device is asked for on behalf of ours, on a veth. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHostArena } from '../arena.ts';
import { HostExecutive } from '../executive.ts';
import { openPort } from '../open_port.ts';
import { createVeth, noVeth, type Veth } from '../veth.fixture.ts';
import type { PacketPort } from './packet_port.ts';

describe.skipIf(noVeth !== null)(`packet port's filter${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
  let veth: Veth;
  beforeAll(() => {
    veth = createVeth();
  });
  afterAll(() => veth.remove());

  it('asks for promiscuity, groups and addresses while it is open, and for nothing afterwards', () => {
    const port = openPort(`packet:${veth.a}`, new HostExecutive()) as PacketPort;
    const group = Uint8Array.of(0x33, 0x33, 0, 0, 7, 7);
    const state = () => {
      const text = execFileSync('ip', ['-d', 'link', 'show', veth.a], { encoding: 'utf8' });
      const joined = execFileSync('ip', ['maddr', 'show', veth.a], { encoding: 'utf8' });
      return [
        Number(/promiscuity (\d+)/.exec(text)?.[1]),
        Number(/allmulti (\d+)/.exec(text)?.[1] ?? 0),
        joined.includes('33:33:00:00:07:07'),
      ];
    };
    const mode = { promisc: false, allmulti: false, unicast: [], multicast: [group] };
    port.setRxMode(mode);
    expect(state()).toEqual([0, 0, false]);
    port.open(createHostArena({ slots: 64, reserveBytes: 16 << 20 }), () => {});
    expect(state()).toEqual([0, 0, true]);
    port.setRxMode({ ...mode, promisc: true, multicast: [] });
    port.setRxMode({ ...mode, promisc: true, multicast: [] });
    expect(state()).toEqual([1, 0, false]);
    port.setRxMode({ ...mode, allmulti: true });
    expect(state().slice(0, 1)).toEqual([0]);
    expect(state()[2]).toBe(true);
    // An address of our own is one that a veth has no filter for.
    port.setAddress(Uint8Array.of(2, 1, 1, 1, 1, 1));
    port.setAddress(port.caps.mac);
    port.close();
    expect(state()).toEqual([0, 0, false]);
  });
});
