/**
 * What stands behind `tap:` in a device's name.
 *
 *     tap:NAME[,queues=N][,mtu=N][,persist[=off]][,offload=off][,io_uring=off][,up[=off]]
 *
 *     tap:vm0   tap:vm0,queues=2,persist
 */
import { SetupError } from '../../base/status.ts';
import type { TapPortOptions } from './tap_port.ts';

const FORM = 'tap:NAME[,queues=N][,mtu=N][,persist[=off]][,offload=off][,io_uring=off][,up[=off]]';

/** Throws SetupError `ERR_NETPOLL_SPEC` for an option that there is not, or a value that it cannot have. */
export function parseTapSpec(spec: string, rest: string): { name: string; options: TapPortOptions } {
  const [name, ...words] = rest.split(',') as [string, ...string[]];
  const options: Record<string, number | boolean> = {};
  for (const word of words) {
    const [key, value] = word.split('=', 2) as [string, string | undefined];
    if (key === 'queues' || key === 'mtu') options[key] = numberOf(spec, key, value);
    else if (key === 'persist' || key === 'offload') options[key] = switchOf(spec, key, value);
    else if (key === 'io_uring') options.ioUring = switchOf(spec, key, value);
    else if (key === 'up') options.interfaceUp = switchOf(spec, key, value);
    else throw refusal(spec, `there is no option "${key}"`);
  }
  return { name, options };
}

function numberOf(spec: string, key: string, value: string | undefined): number {
  if (value === undefined || !/^\d{1,6}$/.test(value)) throw refusal(spec, `${key} needs a number`);
  return Number(value);
}

function switchOf(spec: string, key: string, value: string | undefined): boolean {
  if (value === undefined || value === 'on') return true;
  if (value === 'off') return false;
  throw refusal(spec, `${key} is on or off`);
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORM}`);
}
