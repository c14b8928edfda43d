/**
 * What the watcher of a bond storm says and hears, through its ordinary stack: pings and PONGs, the log, SysRq commands.
 */
import type { Prng } from '../base/prng.ts';
import { SysrqSender } from '../clients/sysrq/sender.ts';
import { Inet } from '../inet/inet.ts';
import { udpBind } from '../inet/udp.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { skbPut } from '../skb/sk_buff.ts';
import { devQueueXmit } from '../stack/dev_queue_xmit.ts';
import { ETH_P_IP, writeEth } from '../wire/eth.ts';
import { IPPROTO_UDP, writeIpv4 } from '../wire/ipv4.ts';
import { writeUdp } from '../wire/udp.ts';
import {
  LOG_PORT,
  PONG_PORT,
  STORM_IP,
  type StormMachine,
  SYSRQ_PORT,
  stormMac,
  WATCHER_IP,
} from './bond_storm_hosts.ts';

const HEADERS = 42;
const PING_PORT = 40007;
const COMMAND_PORT = 40001;

export class StormWatcher {
  readonly machine: StormMachine;
  readonly sender: SysrqSender;
  /** Sent and heard; PONGs may be more than pings where wires double frames. */
  pings = 0;
  pongs = 0;
  logDatagrams = 0;
  /** Sequence numbers of the records that were heard. */
  readonly records = new Set<number>();
  results = 0;
  readonly #stormMac: Uint8Array;
  /** What was said last to the storm's SysRq, until it is answered. */
  #waits: Uint8Array | null = null;

  constructor(machine: StormMachine, stormMacAddress: Uint8Array, chance: Prng) {
    this.machine = machine;
    this.#stormMac = stormMacAddress;
    this.sender = new SysrqSender({
      mac: stormMac,
      random: (out) => {
        for (let i = 0; i < out.length; i++) out[i] = chance.below(256);
      },
    });
    const inet = new Inet(machine.sim.stack);
    udpBind(inet, PING_PORT, () => {
      this.pongs++;
    });
    udpBind(inet, LOG_PORT, (skb) => this.#hearRecord(skb));
    udpBind(inet, COMMAND_PORT, (skb) => {
      const heard = this.sender.hear(skb.arena.bytes, skb.data, skb.tail - skb.data);
      if (heard !== null) this.#waits = null;
      if (heard === 'result') this.results++;
    });
  }

  /** Sends `count` pings of up to 600 bytes, in process context. */
  ping(count: number, chance: Prng): void {
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(chance.below(600));
      if (this.#send(PING_PORT, PONG_PORT, payload)) this.pings++;
    }
  }

  /** The next step of a conversation with the storm's SysRq: a question, a command, or the last one again. */
  command(key: string, chance: Prng): void {
    const { machine } = this.sender;
    if (this.#waits === null || chance.chance(0.1)) {
      const asks = machine === null || chance.chance(0.2);
      this.#waits = (asks ? this.sender.question() : this.sender.command(key)).slice();
    }
    this.#send(COMMAND_PORT, SYSRQ_PORT, this.#waits);
  }

  /** A question, without regard to what waits. */
  ask(): void {
    this.#waits = this.sender.question().slice();
    this.#send(COMMAND_PORT, SYSRQ_PORT, this.#waits);
  }

  #send(from: number, to: number, payload: Uint8Array): boolean {
    const { bond, sim } = this.machine;
    const { dev } = bond;
    const skb = sim.machine.skbs.allocForDevice(dev, HEADERS + payload.length);
    if (skb === null) return false;
    const { view, bytes } = skb.arena;
    const at = skbPut(skb, HEADERS + payload.length);
    for (let i = 0; i < payload.length; i++) bytes[at + HEADERS + i] = payload[i]!;
    writeEth(view, at, this.#stormMac, dev.devAddr, ETH_P_IP);
    writeIpv4(view, at + 14, 1, IPPROTO_UDP, WATCHER_IP, STORM_IP, 8 + payload.length);
    writeUdp(view, at + 14, 4, at + 34, from, to, payload.length);
    skb.protocol = ETH_P_IP;
    skb.macHeader = at;
    skb.networkHeader = at + 14;
    devQueueXmit(skb);
    return true;
  }

  /** `[release,]prio,seq,...;text`: the number is the first field that follows a priority. */
  #hearRecord(skb: SkBuff): void {
    this.logDatagrams++;
    const { bytes } = skb.arena;
    let field = '';
    const fields: string[] = [];
    for (let i = skb.data; i < skb.tail && bytes[i] !== 0x3b && fields.length < 3; i++) {
      if (bytes[i] === 0x2c) {
        fields.push(field);
        field = '';
      } else field += String.fromCharCode(bytes[i]!);
    }
    const seq = Number(/^\d+$/.test(fields[0] ?? '') ? fields[1] : fields[2]);
    if (Number.isInteger(seq)) this.records.add(seq);
  }
}
