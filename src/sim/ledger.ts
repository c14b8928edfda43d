/**
 * The ledger: every frame that comes into a machine is written down, and crossed out when it ends. What is left over was lost.
 *
 *     wire     offered + duplicated = lost + partitioned + arrived + on the way
 *     card     arrived = taken + filtered + missed + no buffer + no link;  taken = given to the driver + flushed
 *     machine  given to the driver = consumed + dropped, by reason + alive
 *     memory   frames alive + frames that netpoll keeps = sk_buffs in use = slots in use
 *
 * "Freed twice" is found by the pool itself (a Bug there and then). The sums hold at any time; `quiet` also asks that nothing
 * is alive or waits any more, which is so when all faults are over and the world has run on for a while.
 */
import { NET_RX_SUCCESS } from '../base/status.ts';
import type { NetDevice } from '../device/net_device.ts';
import { npinfoOf } from '../netpoll/npinfo.ts';
import type { SkBuff } from '../skb/sk_buff.ts';
import { type CardAccount, simPortArrived, simPortCard } from './ledger_cards.ts';
import type { SimMachine } from './sim_machine.ts';
import type { SimPort } from './sim_port.ts';
import type { Wire } from './wire.ts';

/** A card and its device: a SimPort's, or what another kind of card says of itself (ledger_cards.ts). */
export type LedgerCard = { readonly port: SimPort; readonly dev: NetDevice } | CardAccount;

const accountOf = (card: LedgerCard): CardAccount => ('port' in card ? simPortCard(card.port, card.dev) : card);

export class Ledger {
  readonly name: string;
  readonly sim: SimMachine;
  readonly cards: readonly CardAccount[];
  /** How old the oldest frame was when it ended, nanoseconds. */
  oldestNs = 0;
  entered = 0;
  ended = 0;
  /** Frames by id that came in and have not ended. */
  readonly #alive: Uint8Array;
  readonly #enteredNs: Float64Array;
  /** Frames that the backlog did not take from a device that counts only what was taken. */
  #refused = 0;

  /** Set-up: watches the machine from now on; call it when its drivers have added their NAPI instances, before the devices are opened. */
  constructor(sim: SimMachine, cards: readonly LedgerCard[]) {
    this.sim = sim;
    this.cards = cards.map(accountOf);
    this.name = sim.machine.hostname;
    this.#alive = new Uint8Array(sim.machine.skbs.size);
    this.#enteredNs = new Float64Array(sim.machine.skbs.size);
    this.#watch();
  }

  /** Frames that came in and are still somewhere in the machine. */
  get alive(): number {
    return this.entered - this.ended;
  }

  /** What does not add up, in words; empty if all is well. `quiet`: nothing may be alive or wait. */
  check(quiet: boolean): string[] {
    const wrong: string[] = [];
    const { machine, net } = this.sim;
    for (const card of this.cards) {
      const { dev } = card;
      const taken = card.taken();
      const given = card.given();
      const held = taken - given - card.flushed();
      if (held < 0 || held > card.held() || (quiet && held !== 0)) {
        wrong.push(`${this.name} ${dev.name}: card took ${taken} frames, driver has ${given}, ${held} unaccounted for`);
      }
      const [handed, sent] = [card.handed(), card.sent()];
      if (sent > handed || (quiet && sent !== handed)) {
        wrong.push(`${this.name} ${dev.name}: driver handed over ${handed} frames, card sent or flushed ${sent}`);
      }
      if (quiet && (npinfoOf(dev)?.txq.length ?? 0) > 0)
        wrong.push(`${this.name} ${dev.name}: deferred frames wait for ever`);
    }
    const packets = this.cards.reduce((sum, { dev }) => sum + dev.stats.get('rx_packets'), 0);
    if (packets !== this.entered - this.#refused) {
      wrong.push(`${this.name}: drivers counted ${packets} frames, ${this.entered - this.#refused} came in`);
    }
    if (!quiet) return wrong;
    if (this.alive !== 0) wrong.push(`${this.name}: ${this.alive} received frames were never freed: ${this.#ids()}`);
    const kept = net.netpollReserve.length;
    if (machine.skbs.inUse !== kept)
      wrong.push(`${this.name}: ${machine.skbs.inUse} frames in use, netpoll keeps ${kept}`);
    const slots = slotsInUse(this.sim) - this.cards.reduce((sum, card) => sum + card.slots(), 0);
    if (slots !== kept) wrong.push(`${this.name}: ${slots} slots in use, netpoll keeps ${kept}`);
    for (const softnet of net.softnet) {
      if (softnet.pollList.length > 0)
        wrong.push(`${this.name}: CPU ${softnet.cpu.id} has something to poll and does not`);
      if (softnet.cpu.softirqPending !== 0) wrong.push(`${this.name}: CPU ${softnet.cpu.id} has softirqs pending`);
      if (softnet.cpu.preemptCount !== 0) wrong.push(`${this.name}: CPU ${softnet.cpu.id} is still in an interrupt`);
    }
    return wrong;
  }

  #watch(): void {
    const { net, machine } = this.sim;
    const enter = (skb: SkBuff): void => {
      if (this.#alive[skb.id] === 1) return;
      this.#alive[skb.id] = 1;
      this.#enteredNs[skb.id] = machine.executive.now();
      this.entered++;
    };
    const software = new Set<unknown>(this.cards.filter(({ countsAccepted }) => countsAccepted).map(({ dev }) => dev));
    for (const { dev } of this.cards) {
      for (const napi of dev.napiList) {
        const { receive } = napi;
        napi.receive = (skb) => {
          enter(skb);
          receive(skb);
        };
      }
    }
    for (const softnet of net.softnet) {
      const { enqueue } = softnet;
      softnet.enqueue = (skb) => {
        const counts = software.has(skb.dev) && this.#alive[skb.id] === 0;
        enter(skb);
        const status = enqueue(skb);
        if (counts && status !== NET_RX_SUCCESS) this.#refused++;
        return status;
      };
    }
    const pool = machine.skbs;
    const kfree = pool.kfree.bind(pool);
    const consume = pool.consume.bind(pool);
    pool.kfree = (skb, reason) => {
      this.#leave(skb);
      kfree(skb, reason);
    };
    pool.consume = (skb) => {
      this.#leave(skb);
      consume(skb);
    };
  }

  #leave(skb: SkBuff): void {
    if (skb.users !== 1 || this.#alive[skb.id] !== 1) return;
    this.#alive[skb.id] = 0;
    this.ended++;
    this.oldestNs = Math.max(this.oldestNs, this.sim.machine.executive.now() - this.#enteredNs[skb.id]!);
  }

  #ids(): string {
    const ids: number[] = [];
    for (let id = 0; id < this.#alive.length && ids.length < 8; id++) if (this.#alive[id] === 1) ids.push(id);
    return ids.join(' ');
  }
}

/** Counts by taking all that are free, and giving them back. */
function slotsInUse(sim: SimMachine): number {
  const { arena } = sim.machine;
  const before = arena.exhausted;
  const free: number[] = [];
  for (let buf = arena.alloc(); buf >= 0; buf = arena.alloc()) free.push(buf);
  for (const buf of free) arena.release(buf);
  arena.exhausted = before;
  return arena.slots - free.length;
}

/** What does not add up on a wire with these cards, and no others, on it. */
export function checkWire(
  wire: Wire,
  ports: readonly (SimPort | CardAccount)[],
  listeners: number,
  quiet: boolean,
): string[] {
  const { counters, onTheWay } = wire;
  const wrong: string[] = [];
  const left =
    counters.get('offered') + counters.get('duplicated') - counters.get('lost') - counters.get('partitioned');
  if (left !== counters.get('arrived') + onTheWay) {
    wrong.push(`wire: ${left} frames to carry, ${counters.get('arrived')} arrived, ${onTheWay} on the way`);
  }
  if (quiet && onTheWay !== 0) wrong.push(`wire: ${onTheWay} frames never arrive`);
  let taken = counters.get('unplugged') + listeners;
  for (const port of ports) taken += 'arrived' in port ? port.arrived() : simPortArrived(port);
  if (taken !== counters.get('arrived'))
    wrong.push(`wire: ${counters.get('arrived')} arrived, stations account for ${taken}`);
  return wrong;
}
