/** Simulated stations on a wire, and a hand that puts frames on it and writes down what passes. */
import type { NetDevice } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { createNic } from '../drivers/nic/nic.ts';
import { Netpoll, type RxHook } from '../netpoll/netpoll.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import { netpollSetup } from '../netpoll/setup.ts';
import { parseIp, parseMac } from '../wire/address.ts';
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, writeIpv4 } from '../wire/ipv4.ts';
import { IPV6_HLEN, writeIpv6 } from '../wire/ipv6.ts';
import { UDP_HLEN, writeUdp } from '../wire/udp.ts';
import { createSimMachine, type SimMachine, type SimMachineOptions } from './sim_machine.ts';
import { SimPort, type SimPortOptions } from './sim_port.ts';
import type { Attachment, Wire } from './wire.ts';
import type { World } from './world.ts';

export interface Station extends SimMachine {
  readonly port: SimPort;
  readonly dev: NetDevice;
}

export const macOf = (number: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, number);

/** Machine `number` of the wire: 02:00:00:00:00:NN, 10.0.0.NN and fc00::NN; its eth0 is up. */
export function station(
  world: World,
  wire: Wire,
  number: number,
  options: Partial<SimPortOptions & SimMachineOptions> & { driver?: typeof createNic } = {},
): Station {
  const sim = createSimMachine(world, { hostname: `host${number}`, ...options });
  const port = new SimPort(world, { name: `sim:${number}`, mac: macOf(number), wire, ...options });
  const dev = (options.driver ?? createNic)(sim.net, port, 'eth0');
  dev.addresses.push({ family: 4, v4: 0x0a000000 + number }, parseIp(`fc00::${number}`)!);
  if (devOpen(dev) !== 0) throw new Error('eth0 does not come up');
  return { ...sim, port, dev };
}

/** A netpoll client of `on` from an option string. */
export function client(on: Station, text: string, rxHook: RxHook | null = null): Netpoll {
  const parsed = netpollParseOptions(text);
  if (!parsed.ok) throw new Error(parsed.error.reason);
  const np = new Netpoll('test', parsed.options);
  np.rxHook = rxHook;
  const error = netpollSetup(on.net, np);
  if (error !== 0) throw new Error(`netpollSetup: ${error}`);
  return np;
}

export interface UdpFrame {
  readonly from?: string;
  readonly to?: string;
  readonly sourcePort?: number;
  readonly destPort?: number;
  readonly sourceMac?: string;
  readonly destMac?: string;
  readonly payload?: Uint8Array | string;
}

/** A whole Ethernet frame with UDP over IPv4 or IPv6, checksums right. */
export function udpFrame(options: UdpFrame = {}): Uint8Array {
  const { sourcePort = 6665, destPort = 6666, payload = 'hello\n' } = options;
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  const from = parseIp(options.from ?? '10.0.0.1')!;
  const to = parseIp(options.to ?? '10.0.0.2')!;
  const hlen = from.family === 4 ? IPV4_HLEN : IPV6_HLEN;
  const frame = new Uint8Array(ETH_HLEN + hlen + UDP_HLEN + bytes.length);
  const view = new DataView(frame.buffer);
  frame.set(bytes, ETH_HLEN + hlen + UDP_HLEN);
  const macs = [parseMac(options.destMac ?? '02:00:00:00:00:02')!, parseMac(options.sourceMac ?? '02:00:00:00:00:01')!];
  writeEth(view, 0, macs[0]!, macs[1]!, from.family === 4 ? ETH_P_IP : ETH_P_IPV6);
  if (from.family === 4 && to.family === 4) {
    writeIpv4(view, ETH_HLEN, 1, IPPROTO_UDP, from.v4, to.v4, UDP_HLEN + bytes.length);
  } else if (from.family === 6 && to.family === 6) {
    writeIpv6(view, ETH_HLEN, IPPROTO_UDP, 64, from.v6, to.v6, UDP_HLEN + bytes.length);
  }
  writeUdp(view, ETH_HLEN, from.family === 4 ? 4 : 16, ETH_HLEN + hlen, sourcePort, destPort, bytes.length);
  return frame;
}

/** Hears every frame on the wire, and can send any. */
export class Hand implements Attachment {
  readonly heard: { atNs: number; bytes: Uint8Array }[] = [];
  readonly #world: World;
  readonly #wire: Wire;

  constructor(world: World, wire: Wire) {
    this.#world = world;
    this.#wire = wire;
    wire.attach(this);
  }

  receive(bytes: Uint8Array, len: number): void {
    this.heard.push({ atNs: this.#world.nowNs, bytes: bytes.slice(0, len) });
  }

  send(frame: Uint8Array): void {
    this.#wire.transmit(this, frame, 0, frame.length);
  }
}
