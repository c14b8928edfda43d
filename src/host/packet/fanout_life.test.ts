/** A fanout group over the life of its members: what they send, and an opening after an opening. */
import { afterEach, describe, expect, it } from 'vitest';
import type { NetDevice } from '../../device/net_device.ts';
import { devClose, devOpen } from '../../device/open.ts';
import { nicPort } from '../../drivers/nic/nic.ts';
import { createHostMachine } from '../host_machine.ts';
import { libc } from '../sys/libc.ts';
import { createVeth, ip, noVeth } from '../veth.fixture.ts';
import type { PacketPort } from './packet_port.ts';
import { openTxSocket } from './packet_sockets.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const each of undo.splice(0).reverse()) each();
});

const frame = Buffer.alloc(60);
frame.fill(0xff, 0, 6);
frame.writeUInt16BE(0x88b5, 12);

function sendOn(name: string, count: number): void {
  const fd = openTxSocket(name, libc().ifNametoindex(name));
  for (let i = 0; i < count; i++) libc().sendto(fd, frame, frame.length, 0, null, 0);
  libc().close(fd);
}

const received = (dev: NetDevice): number => nicPort(dev).counters.get('rx_frames');
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));

describe.skipIf(noVeth !== null)(`a fanout group${noVeth ? ` (skip: ${noVeth})` : ''}`, () => {
  it('does not receive what this host sends', async () => {
    const veth = createVeth();
    undo.push(veth.remove);
    const host = createHostMachine({ slots: 4096 });
    undo.push(() => host.close());
    const dev = host.openDevice(`packet:${veth.a}`, { fanout: { mode: 'hash' } });
    sendOn(veth.a, 50);
    await settle();
    sendOn(veth.b, 7);
    await settle();
    expect(received(dev)).toBe(7);
    devClose(dev);
    expect(nicPort(dev).counters.get('rx_unread')).toBe(0);
  });

  it('is joined again by a port that is opened again, so that no frame is dealt out twice', async () => {
    const veth = createVeth();
    undo.push(veth.remove);
    const host = createHostMachine({ slots: 4096 });
    undo.push(() => host.close());
    const first = host.openDevice(`packet:${veth.a}`, { name: 'm0', fanout: { mode: 'lb' } });
    const group = (nicPort(first) as PacketPort).fanoutGroup;
    const second = host.openDevice(`packet:${veth.a}`, { name: 'm1', fanout: { mode: 'lb', group } });
    // Both leave the group, and the kernel forgets it.
    devClose(first);
    devClose(second);
    devOpen(first);
    devOpen(second);
    sendOn(veth.b, 40);
    await settle();
    expect((nicPort(first) as PacketPort).fanoutGroup).toBe(group);
    expect(received(first) + received(second)).toBe(40);
    ip('link', 'set', veth.b, 'down');
  });
});
