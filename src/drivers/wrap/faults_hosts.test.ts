/** Two hosts behind ports that lose, damage, double and reorder frames: what arrives is right, and no frame is left over. */
import { expect, it } from 'vitest';
import { devOpen } from '../../device/open.ts';
import { Inet } from '../../inet/inet.ts';
import { UdpSock } from '../../inet/udp_socket.ts';
import { macOf } from '../../sim/rig.fixture.ts';
import { createSimMachine } from '../../sim/sim_machine.ts';
import { SimPort } from '../../sim/sim_port.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import { type IpAddress, parseIp } from '../../wire/address.ts';
import { createNic } from '../nic/nic.ts';
import { FaultPort } from './faults.ts';

const SEEDS = 40;
const DATAGRAMS = 60;
const ADDRESSES = ['10.0.0.1', '10.0.0.2', 'fc00::1', 'fc00::2'];

function host(world: World, wire: Wire, number: number, seed: number) {
  const sim = createSimMachine(world, { hostname: `host${number}`, slots: 2048 });
  const inner = new SimPort(world, { name: `sim:${number}`, mac: macOf(number), wire });
  const port = new FaultPort(inner, { seed, loss: 0.03, corruption: 0.03, duplication: 0.03, delay: 0.1 });
  const dev = createNic(sim.net, port, 'eth0');
  expect(devOpen(dev)).toBe(0);
  const inet = new Inet(sim.stack, { host: true });
  inet.addAddress(dev, ip(`10.0.0.${number}`), 24);
  inet.addAddress(dev, ip(`fc00::${number}`), 64);
  // ARP has no checksum: an answer that is damaged on its way would be believed for half a minute.
  inet.arp.addPermanent(dev, ip(`10.0.0.${3 - number}`), macOf(3 - number));
  inet.nd.addPermanent(dev, ip(`fc00::${3 - number}`), macOf(3 - number));
  return { ...sim, dev, inet, port };
}

function ip(text: string): IpAddress {
  return parseIp(text)!;
}

/** Length and every byte follow from the first two. */
function payload(number: number, len: number): Uint8Array {
  const bytes = Uint8Array.from({ length: len }, (_, i) => number * 31 + i * 7 + (i >>> 8));
  new DataView(bytes.buffer).setUint16(0, number);
  return bytes;
}

it.each(Array.from({ length: SEEDS }, (_, seed) => seed))('seed %i', (seed) => {
  const world = new World({ seed });
  const wire = new Wire(world);
  const a = host(world, wire, 1, 2 * seed);
  const b = host(world, wire, 2, 2 * seed + 1);
  const lenOf = (number: number) => 20 + ((number * 977 + seed * 131) % 6000);
  const into = new Uint8Array(65_536);
  let heard = 0;
  const server = new UdpSock(b.inet, {
    port: 7000,
    onReadable(socket) {
      for (let message = socket.receive(into); message !== null; message = socket.receive(into)) {
        const number = new DataView(into.buffer).getUint16(0);
        expect(ADDRESSES).toContain(message.from.family === 4 ? '10.0.0.1' : 'fc00::1');
        expect(Buffer.compare(into.subarray(0, message.len), payload(number, lenOf(number)))).toBe(0);
        heard++;
      }
    },
  });
  const client = new UdpSock(a.inet);
  for (let number = 0; number < DATAGRAMS; number++) {
    client.sendTo(ip(number % 2 === 0 ? '10.0.0.2' : 'fc00::2'), 7000, payload(number, lenOf(number)));
    world.runFor(1e6);
  }
  world.runFor(1e9);
  expect(heard).toBeGreaterThan(DATAGRAMS / 4);
  server.close();
  client.close();
  world.runFor(200e9);
  for (const { machine, port } of [a, b]) {
    expect([machine.skbs.inUse, machine.arena.slots - machine.arena.available]).toEqual([0, 0]);
    expect(port.faults.get('passed')).toBeGreaterThan(0);
  }
});
