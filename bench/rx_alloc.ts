// How many bytes does a frame cost the heap on its way up? From the card's ring through interrupt, softirq, NAPI,
// netif_receive_skb, IP and UDP to a socket, on a simulated machine; and to the rx hook of a netpoll client, the usual way,
// polled with interrupts off, and past clients that do not want it. The answer has to be none.

import { devOpen } from '../src/device/open.ts';
import { createNic } from '../src/drivers/nic/nic.ts';
import { createSnull } from '../src/drivers/snull.ts';
import { Inet } from '../src/inet/inet.ts';
import { udpBind } from '../src/inet/udp.ts';
import { Netpoll } from '../src/netpoll/netpoll.ts';
import { netpollParseOptions } from '../src/netpoll/options.ts';
import { netpollPoll } from '../src/netpoll/poll.ts';
import { netpollSetup } from '../src/netpoll/setup.ts';
import { createSimMachine } from '../src/sim/sim_machine.ts';
import { SimPort } from '../src/sim/sim_port.ts';
import { Wire } from '../src/sim/wire.ts';
import { World } from '../src/sim/world.ts';
import { ETH_P_IP, writeEth } from '../src/wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../src/wire/ipv4.ts';
import { writeUdp } from '../src/wire/udp.ts';
import { bytesPerFrame, type Figure } from './harness.ts';

export const question = 'bytes allocated a frame on the simulated receive path (none; limit 0.1 for noise)';

const FRAMES = 200_000;
/** Frames that arrive between two interrupts. */
const BURST = 32;
const PAYLOAD = 120;

export function run(): Figure[] {
  return [
    bytesPerFrame('nic, NAPI: card to UDP socket', receivePath(createNic), FRAMES, { atMost: 0.1 }),
    bytesPerFrame('snull, interrupt only: card to UDP socket', receivePath(createSnull), FRAMES, { atMost: 0.1 }),
    bytesPerFrame('nic, NAPI: card to netpoll hook, 8 clients', hookPath(createNic, false), FRAMES, { atMost: 0.1 }),
    bytesPerFrame('nic, polled with interrupts off: the same', hookPath(createNic, true), FRAMES, { atMost: 0.1 }),
    bytesPerFrame('snull, interrupt only: the same', hookPath(createSnull, false), FRAMES, { atMost: 0.1 }),
  ];
}

/** A machine with one device, and what has `frames` frames arrive on it. */
function receivePath(driver: typeof createNic): (frames: number) => void {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'bench' });
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const port = new SimPort(world, { name: 'sim:bench', mac, wire: new Wire(world) });
  const dev = driver(sim.net, port, 'eth0');
  devOpen(dev);
  let bytes = 0;
  udpBind(new Inet(sim.stack), 6666, (skb) => {
    bytes += skb.len;
  });
  const frame = netconsoleFrame(mac);
  return (frames) => {
    bytes = 0;
    const { cpu } = sim.machine;
    for (let n = 0; n < frames; n += BURST) {
      const were = cpu.localIrqSave();
      for (let i = 0; i < BURST; i++) port.receive(frame, frame.length);
      cpu.localIrqRestore(were);
    }
    if (bytes !== Math.ceil(frames / BURST) * BURST * PAYLOAD) throw new Error(`${bytes} bytes arrived`);
  };
}

/** The same with netpoll clients on the device, of which one gets the frames. */
function hookPath(driver: typeof createNic, polled: boolean): (frames: number) => void {
  const world = new World({ seed: 1 });
  const sim = createSimMachine(world, { hostname: 'bench' });
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const port = new SimPort(world, { name: 'sim:bench', mac, wire: new Wire(world) });
  const dev = driver(sim.net, port, 'eth0');
  devOpen(dev);
  let bytes = 0;
  const clients = Array.from({ length: 8 }, (_, i) => {
    const parsed = netpollParseOptions(`${6660 + i}@10.0.0.1/eth0,6665@10.0.0.2/`);
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const np = new Netpoll(`bench${i}`, parsed.options);
    np.rxHook = (_np, datagram) => {
      if (datagram.remotePort === 6665) bytes += datagram.len;
    };
    netpollSetup(sim.net, np);
    return np;
  });
  const frame = netconsoleFrame(mac);
  return (frames) => {
    bytes = 0;
    const { cpu } = sim.machine;
    for (let n = 0; n < frames; n += BURST) {
      const were = cpu.localIrqSave();
      for (let i = 0; i < BURST; i++) port.receive(frame, frame.length);
      if (polled) while (netpollPoll(clients[0]!) > 0);
      cpu.localIrqRestore(were);
    }
    if (bytes !== Math.ceil(frames / BURST) * BURST * PAYLOAD) throw new Error(`${bytes} bytes arrived`);
  };
}

function netconsoleFrame(dest: Uint8Array): Uint8Array {
  const frame = new Uint8Array(42 + PAYLOAD).fill(0x61);
  const view = new DataView(frame.buffer);
  writeEth(view, 0, dest, Uint8Array.of(2, 0, 0, 0, 0, 2), ETH_P_IP);
  writeIpv4(view, 14, 1, IPPROTO_UDP, 0x0a000002, 0x0a000001, 8 + PAYLOAD);
  writeUdp(view, 14, 4, 34, 6665, 6666, PAYLOAD);
  return frame;
}
