/**
 * SysRq for the demo fleet: a real UDP port on loopback for each simulated computer, so that `netpoll sysrq` can command it.
 *
 *     netpoll sysrq 127.0.0.1:PORT t --UDP--> [this] --frame--> simulated wire --> web-1: netconsole's port
 *                                    <--UDP-- [this] <--frame-- simulated wire <--
 *
 * Each sender gets a UDP port of the wire's gateway, 10.0.0.254; the oldest is given up for a new one. A computer that has panicked
 * polls, as a kernel's panic loop would, so that b can reset it.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { createSysrqListener } from '../clients/sysrq/listener.ts';
import { addSysrqNet } from '../clients/sysrq/net.ts';
import { hmacSha256 } from '../host/sysrq_mac.ts';
import type { DemoMember } from '../lab/demo_fleet.ts';
import { Sysrq } from '../machine/sysrq.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import type { SimMachine } from '../sim/sim_machine.ts';
import type { Attachment } from '../sim/wire.ts';
import type { World } from '../sim/world.ts';
import { printIpv4 } from '../wire/address.ts';
import { ETH_HLEN, ETH_P_IP, macEquals, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, IPV4_HLEN, ipv4HeaderLen, ipv4Protocol, writeIpv4 } from '../wire/ipv4.ts';
import { UDP_HLEN, udpDestPort, udpLen, writeUdp } from '../wire/udp.ts';
import { newBootId, type SysrqFlags, sysrqMask } from './sysrq_accept.ts';
import { readSysrqKeys, sysrqKeyOf } from './sysrq_keys.ts';
import { note } from './terminal.ts';

const SYSRQ_PORT = 6665;
const GATEWAY_IP = 0x0a0000fe;
const GATEWAY_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0xfe);
const HEADERS = ETH_HLEN + IPV4_HLEN + UDP_HLEN;
/** Ports of the gateway, and so senders that it remembers. */
const FIRST_PORT = 40000;
const SENDERS_MAX = 256;
const PAYLOAD_MAX = 1400;
/** How often a dead computer looks for commands, in its own time. */
const DEAD_POLL_NS = 10e6;

/** What a member does with its keys when it has booted; for createDemoFleet's `onBoot`. Throws SetupError for flags that are wrong. */
export function fleetSysrq(
  flags: SysrqFlags,
  world: () => World,
): ((sim: SimMachine, member: DemoMember) => void) | null {
  const { sysrqKeyFile: file } = flags;
  const mask = sysrqMask(flags);
  if (file === undefined) return null;
  const entries = readSysrqKeys(file);
  return (sim, { hostname, ip, power }) => {
    const options = netpollParseOptions(`${SYSRQ_PORT}@${printIpv4(ip)}/eth0,${SYSRQ_PORT}@${printIpv4(GATEWAY_IP)}/`);
    if (!options.ok) throw new Error(options.error.reason);
    const sysrq = new Sysrq(sim.machine, { reboot: () => power.reboot(), powerOff: () => power.powerOff() });
    sysrq.mask = mask;
    addSysrqNet(sim.net, sysrq);
    const mac = hmacSha256(sysrqKeyOf(entries, hostname, file).key);
    const listener = createSysrqListener(sim.net, options.options, sysrq, { mac, bootId: newBootId() });
    if (typeof listener === 'number') throw new Error(`the fleet's ${hostname} refuses SysRq: ${listener}`);
    const look = (): void => {
      if (power.running?.sim !== sim) return;
      if (sim.machine.dead) listener.poll();
      world().after(DEAD_POLL_NS, look);
    };
    look();
  };
}

/** Opens a port for each member and says which; close() ends it. Throws SetupError for a member without a key. */
export async function openFleetPorts(members: readonly DemoMember[], keyFile: string): Promise<{ close(): void }> {
  const entries = readSysrqKeys(keyFile);
  for (const { hostname } of members) sysrqKeyOf(entries, hostname, keyFile);
  const gateways = members.map((member) => new Gateway(member));
  for (const [i, gateway] of gateways.entries()) {
    const port = await gateway.open();
    note(`sysrq       ${members[i]!.hostname.padEnd(8)} netpoll sysrq 127.0.0.1:${port} t -k ${keyFile}`);
  }
  return {
    close() {
      for (const gateway of gateways) gateway.close();
    },
  };
}

class Gateway implements Attachment {
  readonly #member: DemoMember;
  readonly #socket: Socket = createSocket('udp4');
  readonly #senders: (RemoteInfo | undefined)[] = new Array(SENDERS_MAX).fill(undefined);
  readonly #frame = new Uint8Array(HEADERS + PAYLOAD_MAX);
  #next = 0;

  constructor(member: DemoMember) {
    this.#member = member;
  }

  open(): Promise<number> {
    this.#member.wire.attach(this);
    this.#socket.on('message', (bytes, from) => this.#send(bytes, from));
    this.#socket.on('error', () => {});
    return new Promise((resolve) => {
      this.#socket.bind(0, '127.0.0.1', () => resolve(this.#socket.address().port));
    });
  }

  close(): void {
    this.#member.wire.detach(this);
    this.#socket.close();
  }

  /** From the wire: what is for the gateway goes to the sender who has that port. */
  receive(bytes: Uint8Array, len: number): void {
    if (len < HEADERS || !macEquals(bytes, 0, GATEWAY_MAC) || !macEquals(bytes, 6, this.#member.mac)) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, len);
    if (ipv4HeaderLen(view, ETH_HLEN) !== IPV4_HLEN || ipv4Protocol(view, ETH_HLEN) !== IPPROTO_UDP) return;
    const udp = ETH_HLEN + IPV4_HLEN;
    const to = this.#senders[udpDestPort(view, udp) - FIRST_PORT];
    const end = udp + udpLen(view, udp);
    if (to !== undefined && end <= len) this.#socket.send(bytes.slice(HEADERS, end), to.port, to.address, () => {});
  }

  #send(payload: Uint8Array, from: RemoteInfo): void {
    if (payload.length > PAYLOAD_MAX) return;
    let slot = this.#senders.findIndex((each) => each?.port === from.port && each.address === from.address);
    if (slot < 0) {
      slot = this.#next++ % SENDERS_MAX;
      this.#senders[slot] = from;
    }
    const { ip, mac, wire } = this.#member;
    const view = new DataView(this.#frame.buffer);
    this.#frame.set(payload, HEADERS);
    writeEth(view, 0, mac, GATEWAY_MAC, ETH_P_IP);
    writeIpv4(view, ETH_HLEN, 1, IPPROTO_UDP, GATEWAY_IP, ip, UDP_HLEN + payload.length);
    writeUdp(view, ETH_HLEN, 4, ETH_HLEN + IPV4_HLEN, FIRST_PORT + slot, SYSRQ_PORT, payload.length);
    wire.transmit(this, this.#frame, 0, HEADERS + payload.length);
  }
}
