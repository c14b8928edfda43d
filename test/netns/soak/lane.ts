/**
 * One lane of the soak: a kernel that sends, an interface, a machine of ours that receives, and what goes wrong.
 *
 *     packet: xdp: udp:     sender -- s0 ===== r0 -- our machine          a namespace each
 *     smp:                  the same, with packet: over two threads of our machine
 *     tap:                  sender -- t0 -- our machine                   one namespace; t0 is our machine's own
 *
 * An epoch: flood, fault, flood, silence until nothing moves any more, balance. Draws come from the lane's own generator, so that lanes
 * beside each other do not disturb them.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Namespace } from '../rig.ts';
import { type Balance, balance, type ReceiverCounts, type Scheme, type SenderCounts } from './balance.ts';
import { Program } from './program.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));
const PORT = '7000';
const MAC = { s0: '02:00:00:00:50:01', r0: '02:00:00:00:50:02' };
const SETTLED_MS = 10_000;

export type Draw = (below: number) => number;

export interface Epoch {
  readonly fault: string;
  readonly balance: Balance;
  /** Highest number of frames in the lane that came behind a later one. */
  readonly late: number;
}

export class Lane {
  readonly scheme: Scheme;
  readonly #draw: Draw;
  readonly #spaces: Namespace[] = [];
  #sender!: Program;
  #receiver!: Program;
  #before!: [SenderCounts, ReceiverCounts];
  #bag: string[] = [];

  private constructor(scheme: Scheme, draw: Draw) {
    this.scheme = scheme;
    this.#draw = draw;
  }

  /** Makes namespaces and starts both programs. `log` gets what the machine says of its interface. */
  static async make(scheme: Scheme, draw: Draw, log: (text: string) => void): Promise<Lane> {
    const lane = new Lane(scheme, draw);
    try {
      await lane.#start(log);
      return lane;
    } catch (error) {
      await lane.remove();
      throw error;
    }
  }

  get #here(): Namespace {
    return this.#spaces[0]!;
  }

  /** The interface under our machine. */
  get #interface(): string {
    return this.scheme === 'tap' ? 't0' : 'r0';
  }

  async #start(log: (text: string) => void): Promise<void> {
    const { scheme } = this;
    const here = await Namespace.make(`soak-${scheme}-r`);
    this.#spaces.push(here);
    if (scheme !== 'tap') {
      this.#spaces.push(await Namespace.make(`soak-${scheme}-s`));
      await this.#makeVeth();
    }
    for (const key of ['all', 'default']) await here.run(['sysctl', '-qw', `net.ipv4.conf.${key}.rp_filter=0`]);
    const spec = { packet: 'packet:r0', xdp: 'xdp:r0', tap: 'tap:t0', udp: `udp:0.0.0.0:${PORT}`, smp: 'packet:r0' }[
      scheme
    ];
    // Small rings, so that they fill.
    const device = { blockSize: 1 << 16, blocks: 16, rxRing: 1024 };
    const program = join(FIXTURES, scheme === 'smp' ? 'soak_smp_receiver.mjs' : 'soak_receiver.mjs');
    const receiver = [process.execPath, program, spec, PORT, JSON.stringify({ device })];
    this.#receiver = await Program.start(`${scheme} receiver`, here, receiver);
    this.#receiver.onLog = log;
    const from = scheme === 'tap' ? 't0' : 's0';
    const words = [from, MAC.s0, MAC.r0, '10.0.0.1', '10.0.0.2', PORT, scheme === 'smp' ? '64' : '1'];
    const sender = [process.execPath, join(FIXTURES, 'soak_sender.mjs'), ...words];
    this.#sender = await Program.start(`${scheme} sender`, this.#spaces.at(-1)!, sender);
    this.#before = await this.#settle();
  }

  /** s0 and r0, up, with addresses that are always the same, and quiet. */
  async #makeVeth(): Promise<void> {
    const [here, there] = this.#spaces as [Namespace, Namespace];
    const queues = ['numtxqueues', '1', 'numrxqueues', '1'];
    const end = ['link', 'add', 's0', 'address', MAC.s0, ...queues, 'type', 'veth'];
    await there.ip(...end, 'peer', 'name', 'r0', 'address', MAC.r0, ...queues, 'netns', here.name);
    await there.ip('link', 'set', 's0', 'addrgenmode', 'none', 'arp', 'off', 'up');
    await here.ip('link', 'set', 'r0', 'addrgenmode', 'none', 'arp', 'off');
    await here.ip('addr', 'add', '10.0.0.2/24', 'dev', 'r0');
    await here.ip('link', 'set', 'r0', 'up');
  }

  /** The faults of this lane by name; each has healed when it is over. */
  readonly #faults: Readonly<Record<string, () => Promise<void>>> = {
    nothing: () => sleep(300),
    down: () => this.#downAndUp(this.#here, this.#interface),
    unplugged: () => this.#downAndUp(this.#spaces[1]!, 's0'),
    deleted: async () => {
      await this.#here.ip('link', 'del', this.#interface);
      await sleep(this.#draw(400));
      // A TAP device is made anew by our machine itself.
      if (this.scheme !== 'tap') await this.#makeVeth();
      await sleep(300);
    },
    mtu: async () => {
      for (let n = 1 + this.#draw(4); n > 0; n--) {
        await this.#here.ip('link', 'set', this.#interface, 'mtu', String(600 + this.#draw(900)));
        await sleep(this.#draw(100));
      }
      await this.#here.ip('link', 'set', this.#interface, 'mtu', '1500');
    },
    'queue full': async () => {
      this.#sender.tell({ rate: 100_000 });
      this.#receiver.tell({ blockMs: 300 + this.#draw(400) });
      await sleep(700);
    },
    // A receiver that takes 5,000 a second is offered ten times as many.
    overload: async () => {
      this.#receiver.tell({ workUs: 200 });
      this.#sender.tell({ rate: 50_000 });
      await sleep(800);
      this.#receiver.tell({ workUs: 0 });
    },
    'worker killed': async () => {
      this.#sender.tell({ rate: 20_000 });
      await sleep(100 + this.#draw(200));
      this.#receiver.tell({ kill: 1 + this.#draw(2) });
      await sleep(300);
    },
    'as fast as it goes': async () => {
      this.#sender.tell({ rate: -1 });
      await sleep(300);
    },
  };

  /** Every fault once in each round, in an order that is drawn. */
  #nextFault(): string {
    if (this.#bag.length === 0) {
      this.#bag = Object.keys(this.#faults).filter((name) => this.#has(name));
    }
    return this.#bag.splice(this.#draw(this.#bag.length), 1)[0]!;
  }

  /** A TAP device has no other end to be unplugged; one thread alone is the process. */
  #has(fault: string): boolean {
    const only = process.env.NETPOLL_SOAK_FAULTS?.split(',');
    if (only !== undefined && !only.includes(fault)) return false;
    if (fault === 'unplugged') return this.scheme !== 'tap';
    return fault !== 'worker killed' || this.scheme === 'smp';
  }

  async epoch(): Promise<Epoch> {
    const fault = this.#nextFault();
    const rate = 1000 + this.#draw(9000);
    this.#sender.tell({ rate });
    await sleep(50 + this.#draw(150));
    await this.#faults[fault]!();
    this.#sender.tell({ rate });
    await sleep(100);
    this.#sender.tell({ rate: 0 });
    const [sender, receiver] = this.#before;
    this.#before = await this.#settle();
    const late = this.#before[1].late - receiver.late;
    return { fault, balance: balance(this.scheme, [sender, this.#before[0]], [receiver, this.#before[1]]), late };
  }

  /** Waits until the device is up and nothing has moved for two readings. */
  async #settle(): Promise<[SenderCounts, ReceiverCounts]> {
    const end = performance.now() + SETTLED_MS;
    let last = '';
    for (;;) {
      const sender = (await this.#sender.ask()) as unknown as SenderCounts;
      const receiver = (await this.#receiver.ask()) as unknown as ReceiverCounts;
      const { snmp, port, received, drops } = receiver;
      const now = JSON.stringify([
        sender.sent,
        received,
        drops,
        port.rx_frames,
        snmp.IpInReceives,
        snmp.UdpInDatagrams,
      ]);
      if (receiver.up && now === last) return [sender, receiver];
      if (performance.now() > end)
        throw new Error(`${this.scheme}: not quiet, or not up, in ${SETTLED_MS} ms: ${JSON.stringify(receiver)}`);
      last = now;
      await sleep(60);
    }
  }

  async #downAndUp(space: Namespace, device: string): Promise<void> {
    await space.ip('link', 'set', device, 'down');
    await sleep(50 + this.#draw(400));
    await space.ip('link', 'set', device, 'up');
    await sleep(50);
  }

  async remove(): Promise<void> {
    this.#sender?.kill();
    this.#receiver?.kill();
    for (const space of this.#spaces) await space.remove();
  }
}
