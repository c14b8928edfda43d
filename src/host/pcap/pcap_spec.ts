/**
 * What stands behind `pcap:` in a device's name.
 *
 *     pcap:IN                          a capture is received as fast as it is polled
 *     pcap:IN,pace=1  pace=10x         at the times at which it was recorded, or ten times as fast; pace=max as without
 *     pcap:IN,pps=N   mbps=N           so many frames, or bits, a second
 *     pcap:IN,loop=N                   N times, 0 for ever
 *     pcap:IN,follow                   and what somebody adds to it (tcpdump -U -w IN), until we are closed
 *     pcap:,out=OUT   pcap:IN,out=OUT  what is sent is written; nothing is received, or what is in IN
 *
 * The words of tcpreplay mean the same here: multiplier=X, topspeed, pps, mbps, loop, maxsleep=MILLISECONDS. So do editcap's: snaplen=BYTES
 * and format=pcap or nsecpcap for what is written. `spin` waits without sleeping: exact to some microseconds, and a core is busy.
 */
import { SetupError } from '../../base/status.ts';

export interface PcapPace {
  readonly by: 'max' | 'times' | 'frames' | 'bits';
  /** times: how much faster than recorded. frames, bits: a second. */
  readonly rate: number;
  /** Longest wait between two frames, in nanoseconds. */
  readonly maxSleepNs: number;
  readonly spin: boolean;
}

export interface PcapSpec {
  /** A path; null: nothing is received. */
  readonly file: string | null;
  readonly pace: PcapPace;
  /** How often it is received; Infinity: for ever. */
  readonly loop: number;
  /** The file's end is not the end. */
  readonly follow: boolean;
  /** Where what is sent is written, `-` for stdout; null: nothing can be sent. */
  readonly out: string | null;
  /** Bytes of a frame that are written. */
  readonly snapLen: number;
  readonly nanoseconds: boolean;
}

export const SNAPLEN_MAX = 262144;
const FORM =
  'pcap:FILE[,pace=1|10x|max][,pps=N|,mbps=N][,loop=N][,follow][,maxsleep=MS][,spin][,out=FILE][,snaplen=N][,format=pcap|nsecpcap], or pcap:,out=FILE';
const FLAGS = ['topspeed', 'spin', 'follow'];

/** Throws SetupError `ERR_NETPOLL_SPEC` for an option that there is not, or a value that it cannot have. */
export function parsePcapSpec(spec: string, rest: string): PcapSpec {
  const words = rest.split(',');
  let file = words[0]!;
  const options = new Map<string, string>();
  for (const word of words.slice(1)) {
    const [, key, value] = /^([a-z]+)=(.*)$/.exec(word) ?? (FLAGS.includes(word) ? [word, word, ''] : []);
    // A comma may be part of a name, but not in front of what looks like an option.
    if (key === undefined && options.size === 0) file += `,${word}`;
    else if (key === undefined) throw refusal(spec, `"${word}" is no option`);
    else if (options.has(key)) throw refusal(spec, `${key} is given twice`);
    else options.set(key, value!);
  }
  const take = (key: string): string | undefined => {
    const value = options.get(key);
    options.delete(key);
    return value;
  };
  const out = take('out') ?? null;
  const pace = paceOf(spec, take);
  const loop = whole(spec, 'loop', take('loop') ?? '1', 0, 1e9);
  const follow = take('follow') !== undefined;
  const snapLen = whole(spec, 'snaplen', take('snaplen') ?? '0', 0, SNAPLEN_MAX);
  const format = take('format') ?? 'pcap';
  if (format !== 'pcap' && format !== 'nsecpcap') throw refusal(spec, `format is pcap or nsecpcap, not "${format}"`);
  for (const key of options.keys()) throw refusal(spec, `there is no option "${key}"`);
  if (out === '' || (file === '' && out === null)) throw refusal(spec, 'no file');
  if (file === '' && (pace.by !== 'max' || loop !== 1)) throw refusal(spec, 'nothing is received: there is no pace');
  if (follow && (file === '' || loop !== 1)) throw refusal(spec, 'follow is for a file that is received once');
  if (file !== '' && file === out) throw refusal(spec, 'the file that is read cannot be written');
  return {
    file: file === '' ? null : file,
    pace,
    loop: loop === 0 ? Number.POSITIVE_INFINITY : loop,
    follow,
    out,
    snapLen: snapLen === 0 ? SNAPLEN_MAX : snapLen,
    nanoseconds: format === 'nsecpcap',
  };
}

/** The port's name: the files, without how they are read. */
export function printPcapSpec({ file, out }: PcapSpec): string {
  return `pcap:${file ?? ''}${out === null ? '' : `,out=${out}`}`;
}

function paceOf(spec: string, take: (key: string) => string | undefined): PcapPace {
  const maxSleepNs = whole(spec, 'maxsleep', take('maxsleep') ?? '0', 0, 1e9) * 1e6 || Number.POSITIVE_INFINITY;
  const spin = take('spin') !== undefined;
  const given = (['pace', 'multiplier', 'topspeed', 'pps', 'mbps'] as const).flatMap((key) => {
    const value = take(key);
    return value === undefined ? [] : [{ key, value }];
  });
  if (given.length > 1) throw refusal(spec, `${given.map(({ key }) => key).join(' and ')}: give one`);
  const [one] = given;
  if (one === undefined || one.key === 'topspeed' || (one.key === 'pace' && one.value === 'max')) {
    return { by: 'max', rate: 0, maxSleepNs, spin };
  }
  const timed = one.key === 'pace' || one.key === 'multiplier';
  const number = Number((timed ? one.value.replace(/x$/, '') : one.value) || 'none');
  if (!(number > 0 && number < 1e12)) throw refusal(spec, `${one.key} needs a number above 0, not "${one.value}"`);
  if (timed) return { by: 'times', rate: number, maxSleepNs, spin };
  return {
    by: one.key === 'pps' ? 'frames' : 'bits',
    rate: one.key === 'pps' ? number : number * 1e6,
    maxSleepNs,
    spin,
  };
}

function whole(spec: string, key: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d{1,10}$/.test(text) && value >= least && value <= most) return value;
  throw refusal(spec, `${key} needs a whole number, ${least} to ${most}`);
}

function refusal(spec: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_SPEC', `device "${spec}": ${why}; give ${FORM}`);
}
