/** A simulated machine that takes SysRq commands over netconsole, and a hand on its wire that sends them and reads what comes. */
import { createHmac } from 'node:crypto';
import { Prng } from '../../base/prng.ts';
import type { createSnull } from '../../drivers/snull.ts';
import { Sysrq } from '../../machine/sysrq.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { Hand, type Station, station, type UdpFrame, udpFrame } from '../../sim/rig.fixture.ts';
import { Wire } from '../../sim/wire.ts';
import { World } from '../../sim/world.ts';
import type { SysrqMac } from '../../wire/sysrq_command.ts';
import { createNetconsole, parseNetconsoleParam } from '../netconsole/netconsole.ts';
import { createSysrqListener, type SysrqListener, type SysrqListenerOptions } from './listener.ts';
import { SysrqSender, type SysrqSenderOptions } from './sender.ts';

export function hmac(key: string): SysrqMac {
  return (message, len, tag) => tag.set(createHmac('sha256', key).update(message.subarray(0, len)).digest());
}

/** UDP port on which the machine listens, and the one that its log goes to. */
export const SYSRQ_PORT = 6665;
const LOG_PORT = 6666;
const HEADERS = 42;

export class SysrqRig {
  readonly world: World;
  readonly wire: Wire;
  readonly hand: Hand;
  readonly on: Station;
  readonly sysrq: Sysrq;
  readonly listener: SysrqListener;
  /** Keys that were obeyed, and what the world was asked for. */
  readonly obeyed: string[] = [];
  readonly random: (out: Uint8Array) => void;

  constructor(
    options: Partial<SysrqListenerOptions> & {
      seed?: number;
      cpus?: number;
      slots?: number;
      driver?: typeof createSnull;
    } = {},
  ) {
    this.world = new World({ seed: options.seed ?? 1 });
    this.wire = new Wire(this.world);
    this.hand = new Hand(this.world, this.wire);
    this.on = station(this.world, this.wire, 2, {
      cpus: options.cpus ?? 2,
      slots: options.slots ?? 1024,
      ...(options.driver === undefined ? {} : { driver: options.driver }),
    });
    const chance = new Prng((options.seed ?? 1) ^ 0x5eed);
    this.random = (out) => {
      for (let i = 0; i < out.length; i++) out[i] = chance.below(256);
    };
    const param = parseNetconsoleParam(`${SYSRQ_PORT}@10.0.0.2/eth0,${LOG_PORT}@10.0.0.1/02:00:00:00:00:01`);
    if (!param.ok) throw new Error(param.reason);
    createNetconsole(this.on.net, param.specs);
    this.sysrq = new Sysrq(this.on.machine, {
      reboot: () => this.obeyed.push('reboot'),
      powerOff: () => this.obeyed.push('powerOff'),
    });
    this.sysrq.mask = 1;
    const handle = this.sysrq.handle.bind(this.sysrq);
    this.sysrq.handle = (key) => {
      const outcome = handle(key);
      if (outcome !== 'disabled') this.obeyed.push(key);
      return outcome;
    };
    const bootId = new Uint8Array(16);
    this.random(bootId);
    const parsed = netpollParseOptions(`${SYSRQ_PORT}@10.0.0.2/eth0,${LOG_PORT}@10.0.0.1/02:00:00:00:00:01`);
    if (!parsed.ok) throw new Error(parsed.error.reason);
    const secured = { mac: hmac('the key'), bootId };
    const made = createSysrqListener(this.on.net, parsed.options, this.sysrq, { ...secured, ...options });
    if (typeof made === 'number') throw new Error(`createSysrqListener: ${made}`);
    this.listener = made;
  }

  sender(options: Partial<SysrqSenderOptions> = {}): SysrqSender {
    return new SysrqSender({ mac: hmac('the key'), random: this.random, ...options });
  }

  /** Puts a datagram for the listener on the wire. */
  send(payload: Uint8Array | string, frame: UdpFrame = {}): void {
    this.hand.send(udpFrame({ sourcePort: 40000, destPort: SYSRQ_PORT, payload, ...frame }));
  }

  run(ns = 5e6): void {
    this.world.runFor(ns);
  }

  /** Payloads of what was heard since the last call, without the log, for port 40000. */
  answers(): Uint8Array[] {
    return this.#heard(40000);
  }

  /** The log as it came over the network since the last call. */
  log(): string[] {
    const bytes = this.#heard(LOG_PORT).map((each) => new TextDecoder().decode(each));
    return bytes.map((line) => line.replace(/^\[[^\]]*\] /, '').trimEnd());
  }

  /** Sends, and has the sender hear what comes back. */
  ask(sender: SysrqSender, bytes: Uint8Array): ('answer' | 'result' | null)[] {
    this.send(bytes.slice());
    this.run();
    return this.answers().map((each) => sender.hear(each));
  }

  #heard(port: number): Uint8Array[] {
    const mine = this.hand.heard.filter(({ bytes }) => ((bytes[36]! << 8) | bytes[37]!) === port);
    const rest = this.hand.heard.filter((each) => !mine.includes(each));
    this.hand.heard.length = 0;
    this.hand.heard.push(...rest);
    return mine.map(({ bytes }) => bytes.slice(HEADERS));
  }
}
