/**
 * What stands behind `xdp:` in a device's name.
 *
 *     xdp:IF[/QUEUE][,busy-poll[=USECS]]
 *     xdp:eth0   xdp:eth0/1   xdp:eth0,busy-poll   xdp:eth0,busy-poll=50
 */
import { SetupError } from '../../base/status.ts';
import type { BusyPoll } from './xdp_options.ts';

export interface XdpSpec {
  readonly name: string;
  /** Undefined: all that the interface has. */
  readonly queue: number | undefined;
  readonly options: { readonly busyPoll?: BusyPoll };
}

const FORM = 'xdp:IF[/QUEUE][,busy-poll[=USECS]]';
/** Long enough to empty what a card's or a veth's ring holds. */
const USECS = 50;
const USECS_MAX = 1_000_000;
const BUDGET = 64;

/** Throws SetupError `ERR_NETPOLL_SPEC` for an option that there is not, or a value that it cannot have. */
export function parseXdpSpec(spec: string, rest: string): XdpSpec {
  const [where, ...words] = rest.split(',') as [string, ...string[]];
  const match = /^([^/]+)(?:\/(\d{1,5}))?$/.exec(where);
  if (match === null) throw refusal(spec, 'not an interface, or an interface and the number of a queue');
  let options: { readonly busyPoll?: BusyPoll } = {};
  for (const word of words) {
    const [key, value = String(USECS)] = word.split('=', 2) as [string, string?];
    if (key !== 'busy-poll') throw refusal(spec, `there is no option "${key}"`);
    const usecs = /^\d{1,7}$/.test(value) ? Number(value) : 0;
    if (usecs < 1 || usecs > USECS_MAX) throw refusal(spec, `busy-poll takes microseconds, from 1 to ${USECS_MAX}`);
    options = { busyPoll: { usecs, budget: BUDGET } };
  }
  return { name: match[1]!, queue: match[2] === undefined ? undefined : Number(match[2]), options };
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORM}`);
}
