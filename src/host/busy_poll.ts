/**
 * Busy polling on the host: the event loop asks the devices again and again instead of sleeping until one interrupts. A processor for the
 * shortest latency there is (`net.core.busy_poll`, `busy_read`).
 *
 *     every turn of the loop:  each queue in turn, napiBusyLoop for its part of `usecs` --> the application's callbacks, timers, sockets
 *
 * A queue's interrupt is unmasked between its parts, as whoever stops polling leaves it; nothing is lost when polling stops.
 */
import type { NapiStruct } from '../device/napi_struct.ts';
import type { Net } from '../device/net.ts';
import type { NetDevice } from '../device/net_device.ts';
import { napiBusyLoop } from '../napi/busy_poll.ts';

/** Of one turn of the loop, if nobody says how much: others wait no longer than this for theirs. */
export const BUSY_POLL_USECS = 200;
const BUDGET = 64;

export class BusyPoll {
  readonly #net: Net;
  readonly #ns: number;
  readonly #queues: NapiStruct[] = [];
  #immediate: NodeJS.Immediate | undefined;

  /** `usecs`: how long one turn of the event loop polls, all queues together. */
  constructor(net: Net, usecs = BUSY_POLL_USECS) {
    this.#net = net;
    this.#ns = usecs * 1000;
  }

  /** Polls the queues of `dev` too, from the next turn on. A device that is down is left out until it is up again. */
  add(dev: NetDevice): void {
    this.#queues.push(...dev.napiList);
    this.#immediate ??= setImmediate(this.#turn);
  }

  /** The devices interrupt again. */
  stop(): void {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    this.#queues.length = 0;
  }

  readonly #turn = (): void => {
    this.#immediate = setImmediate(this.#turn);
    const ns = this.#ns / this.#queues.length;
    for (const napi of this.#queues) napiBusyLoop(this.#net, napi.id, ns, never, OPTIONS);
  };
}

const OPTIONS = { budget: BUDGET };

/** Until the time is over. */
function never(): boolean {
  return false;
}
