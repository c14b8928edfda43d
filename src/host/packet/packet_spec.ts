/**
 * What stands behind `packet:` in a device's name.
 *
 *     packet:IF[,queues=N][,fanout=MODE[/GROUP]][,wake=frame|block]
 *     packet:eth0   packet:eth0,queues=2   packet:eth0,fanout=lb/7   packet:eth0,wake=frame
 */
import { SetupError } from '../../base/status.ts';
import { FANOUT_MODES, type Fanout, type FanoutMode } from './fanout.ts';

export interface PacketSpec {
  readonly name: string;
  readonly options: { readonly packetQueues?: number; readonly fanout?: Fanout; readonly wakePerFrame?: boolean };
}

const FORM = 'packet:IF[,queues=N][,fanout=MODE[/GROUP]][,wake=frame|block]';

/** Throws SetupError `ERR_NETPOLL_SPEC` for an option that there is not, or a value that it cannot have. */
export function parsePacketSpec(spec: string, rest: string): PacketSpec {
  const [name, ...words] = rest.split(',') as [string, ...string[]];
  const options: { packetQueues?: number; fanout?: Fanout; wakePerFrame?: boolean } = {};
  for (const word of words) {
    const [key, value = ''] = word.split('=', 2) as [string, string?];
    if (key === 'queues') {
      if (!/^\d{1,5}$/.test(value)) throw refusal(spec, 'queues needs a number');
      options.packetQueues = Number(value);
    } else if (key === 'fanout') {
      options.fanout = parseFanout(spec, value);
    } else if (key === 'wake') {
      if (value !== 'frame' && value !== 'block') throw refusal(spec, 'wake is frame or block');
      options.wakePerFrame = value === 'frame';
    } else {
      throw refusal(spec, `there is no option "${key}"`);
    }
  }
  return { name, options };
}

function parseFanout(spec: string, value: string): Fanout {
  const match = /^([a-z]+)(?:\/(\d{1,5}))?$/.exec(value);
  const mode = match?.[1] as FanoutMode | undefined;
  if (mode === undefined || !FANOUT_MODES.includes(mode)) {
    throw refusal(spec, `fanout is ${FANOUT_MODES.join(', ')}, with the number of a group behind a slash if you like`);
  }
  return match?.[2] === undefined ? { mode } : { mode, group: Number(match[2]) };
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORM}`);
}
