import { describe, expect, it } from 'vitest';
import { NET_XMIT_DROP } from '../base/status.ts';
import { createNetconsole, parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { createPong, type Pong } from '../clients/pong.ts';
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { createSnull } from '../drivers/snull.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import { panic } from '../machine/panic.ts';
import { Netpoll, type RxHook } from '../netpoll/netpoll.ts';
import { NETPOLL_COUNTERS, npinfoOf } from '../netpoll/npinfo.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { netpollPoll } from '../netpoll/poll.ts';
import { netpollSendUdp } from '../netpoll/send.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { createSimMachine, type SimMachine } from './sim_machine.ts';
import { SimPort } from './sim_port.ts';
import { Wire, type WireOptions } from './wire.ts';
import { World } from './world.ts';

const SENDER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const RECEIVER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

interface Rig {
  world: World;
  wire: Wire;
  sender: SimMachine;
  senderPort: SimPort;
  senderDev: NetDevice;
  receiver: SimMachine;
  received: string[];
}

/** Two machines on a wire; the sender's driver is `driver`, the receiver listens on UDP port 6666. */
function rig(driver: typeof createNic, options: { ring?: number; wire?: WireOptions } = {}): Rig {
  const world = new World({ seed: 1 });
  const wire = new Wire(world, options.wire);
  const sender = createSimMachine(world, { hostname: 'sender' });
  const ring = options.ring === undefined ? {} : { ring: options.ring };
  const senderPort = new SimPort(world, { name: 'sim:sender', mac: SENDER_MAC, wire, ...ring });
  const senderDev = driver(sender.net, senderPort, 'eth0');
  senderDev.addresses.push({ family: 4, v4: 0x0a000001 });
  const receiver = createSimMachine(world, { hostname: 'receiver' });
  const receiverDev = createNic(
    receiver.net,
    new SimPort(world, { name: 'sim:receiver', mac: RECEIVER_MAC, wire, ring: 1024 }),
    'eth0',
  );
  receiverDev.addresses.push({ family: 4, v4: 0x0a000002 });
  devOpen(receiverDev);
  const received: string[] = [];
  udpBind(new Inet(receiver.stack), 6666, (skb) => {
    received.push(new TextDecoder().decode(skb.arena.bytes.slice(skb.data, skb.data + skb.len)));
  });
  return { world, wire, sender, senderPort, senderDev, receiver, received };
}

function client(net: Net, text = '@10.0.0.1/eth0,@10.0.0.2/02:00:00:00:00:02', rxHook: RxHook | null = null): Netpoll {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('test', parsed.options);
  np.rxHook = rxHook;
  expect(netpollSetup(net, np)).toBe(0);
  return np;
}

const line = (n: number) => new TextEncoder().encode(`line ${n}\n`);

describe.each([
  ['nic (NAPI)', createNic],
  ['snull (interrupt only)', createSnull],
])('netconsole over %s', (_name, driver) => {
  it('brings every record to the other machine in order, the buffered ones first', () => {
    const { world, sender, received } = rig(driver);
    sender.machine.printk.info('before netconsole');
    const param = parseNetconsoleParam('+@10.0.0.1/eth0,@10.0.0.2/02:00:00:00:00:02');
    if (!param.ok) throw new Error(param.reason);
    createNetconsole(sender.net, param.specs);
    for (let i = 0; i < 20; i++) sender.machine.printk.info(`message ${i}`);
    world.runIdle();
    expect(received[0]).toBe('6,0,0,-;before netconsole\n');
    const texts = received.map((each) => each.replace(/^[^;]*;/, '').trimEnd());
    expect(texts.slice(-20)).toEqual(Array.from({ length: 20 }, (_, i) => `message ${i}`));
    expect(sender.machine.skbs.inUse).toBe(32);
  });

  it('sends the last words of a panic with interrupts off, and nothing moves afterwards', () => {
    const { world, sender, received } = rig(driver);
    const param = parseNetconsoleParam('@10.0.0.1/eth0,@10.0.0.2/02:00:00:00:00:02');
    if (!param.ok) throw new Error(param.reason);
    createNetconsole(sender.net, param.specs);
    panic(sender.machine, 'sysrq triggered crash', { report: ['Call Trace:', ' <TASK>'] });
    world.runIdle();
    expect(received.at(-1)).toMatch(/---\[ end Kernel panic - not syncing: sysrq triggered crash \]---\n$/);
    expect(received.some((each) => each.includes('Kernel panic - not syncing: sysrq triggered crash'))).toBe(true);
  });

  it('answers pings with PONG from the ordinary receive path and while its interrupts are off', () => {
    const { world, sender, senderDev, receiver } = rig(driver);
    const parsed = netpollParseOptions('7@10.0.0.1/eth0,8@10.0.0.2/02:00:00:00:00:02');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const pong = createPong(sender.net, parsed.options) as Pong;
    const answers: string[] = [];
    const asker = client(receiver.net, '8@10.0.0.2/eth0,7@10.0.0.1/02:00:00:00:00:01', (_np, d) => {
      answers.push(new TextDecoder().decode(d.bytes.slice(d.offset, d.offset + d.len)));
    });
    for (let i = 0; i < 5; i++) netpollSendUdp(asker, line(i));
    world.runIdle();
    expect(answers).toEqual(['PONG', 'PONG', 'PONG', 'PONG', 'PONG']);

    const were = sender.machine.cpu.localIrqSave();
    netpollSendUdp(asker, line(5));
    for (let i = 0; i < 100 && pong.answered < 6; i++) {
      netpollPoll(pong.np);
      sender.machine.executive.spin(50_000);
    }
    expect(pong.answered).toBe(6);
    expect(npinfoOf(senderDev)!.txq.length).toBe(0);
    sender.machine.cpu.localIrqRestore(were);
    world.runIdle();
    expect(answers).toHaveLength(6);
  });
});

describe('netpoll on a device in trouble', () => {
  it('with the link down fills the ring, then defers, then sends everything in order when the link is back', () => {
    const { world, sender, senderPort, senderDev, received } = rig(createNic, { ring: 8 });
    const np = client(sender.net);
    world.runIdle();
    senderPort.setLink(false);
    for (let i = 0; i < 20; i++) netpollSendUdp(np, line(i));
    const info = npinfoOf(senderDev)!;
    expect(info.counters.get('sent')).toBe(8);
    expect(info.counters.get('deferred')).toBe(12);
    expect(info.counters.get('dropped')).toBe(0);
    expect(info.counters.get('spins')).toBeGreaterThan(0);
    senderPort.setLink(true);
    world.runFor(1e9);
    expect(received).toEqual(Array.from({ length: 20 }, (_, i) => `line ${i}\n`));
    expect(info.counters.get('deferred_sent')).toBe(12);
  });

  it('with the link down and a full deferred queue drops, and counts each drop with its reason', () => {
    const { sender, senderPort, senderDev } = rig(createNic, { ring: 8 });
    const np = client(sender.net);
    senderPort.setLink(false);
    const refused = Array.from({ length: 300 }, (_, i) => netpollSendUdp(np, line(i))).filter((status) => status !== 0);
    expect(refused).toEqual(new Array(300 - 8 - 256).fill(NET_XMIT_DROP));
    const info = npinfoOf(senderDev)!;
    expect(info.counters.get('sent') + info.counters.get('deferred') + info.counters.get('dropped')).toBe(300);
    expect(info.counters.get('dropped')).toBe(300 - 8 - 256);
    expect(sender.machine.skbs.drops.get('NETPOLL_QUEUE_FULL')).toBe(300 - 8 - 256);
  });

  it('frees and counts what cannot be sent where the client has no drop routine', () => {
    const { sender, senderPort, senderDev } = rig(createNic, { ring: 8 });
    const np = client(sender.net);
    np.drop = null;
    senderPort.setLink(false);
    for (let i = 0; i < 10; i++) netpollSendUdp(np, line(i));
    expect(npinfoOf(senderDev)!.counters.get('dropped')).toBe(2);
    expect(sender.machine.skbs.drops.get('NETPOLL_DROPPED')).toBe(2);
  });

  it('with a full transmit ring waits for the hardware and sends everything, spinning and polling', () => {
    const { world, sender, senderDev, received } = rig(createNic, { ring: 8, wire: { rateBps: 10e6 } });
    const np = client(sender.net);
    const were = sender.machine.cpu.localIrqSave();
    for (let i = 0; i < 100; i++) netpollSendUdp(np, line(i));
    sender.machine.cpu.localIrqRestore(were);
    world.runIdle();
    const info = npinfoOf(senderDev)!;
    expect(info.counters.get('sent')).toBe(100);
    expect(info.counters.get('polls')).toBeGreaterThan(0);
    expect(received).toHaveLength(100);
  });

  it('gives up on a stalled transmitter within one tick a frame', () => {
    const { sender, senderPort, senderDev } = rig(createNic, { ring: 8 });
    const np = client(sender.net);
    senderPort.setTxStalled(true);
    for (let i = 0; i < 8; i++) netpollSendUdp(np, line(i));
    const before = sender.machine.executive.now();
    netpollSendUdp(np, line(8));
    expect(sender.machine.executive.now() - before).toBe(sender.machine.jiffyNs);
    expect(npinfoOf(senderDev)!.counters.get('deferred')).toBe(1);
  });

  it('with the interrupt masked forever still sends everything', () => {
    const { world, sender, senderPort, senderDev, received } = rig(createNic, { ring: 8 });
    const np = client(sender.net);
    senderPort.irqStuck = true;
    for (let i = 0; i < 100; i++) netpollSendUdp(np, line(i));
    world.runFor(1e9);
    expect(received).toHaveLength(100);
    expect(npinfoOf(senderDev)!.counters.toJSON()).toMatchObject({ sent: 100, deferred: 0, dropped: 0 });
  });

  it('refuses to send through a device that is down', () => {
    const { sender, senderDev } = rig(createNic);
    const np = client(sender.net);
    senderDev.state = 0;
    expect(netpollSendUdp(np, line(0))).toBe(1);
    expect(npinfoOf(senderDev)!.counters.get('not_running')).toBe(1);
  });

  it('knows each of its counters', () => {
    expect(new Set(NETPOLL_COUNTERS).size).toBe(NETPOLL_COUNTERS.length);
  });
});
