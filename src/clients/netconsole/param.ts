/**
 * The value of `netconsole=`: which targets there are from the start.
 *
 *     netconsole=[+][r]SPEC[;[+][r]SPEC...]     SPEC = [src-port]@[src-ip]/[dev],[tgt-port]@<tgt-ip>/[tgt-mac]
 *     +  extended format        r  with the kernel's release in front (extended only)
 *
 * The kernel starts the targets that it can read and leaves the others out; here one that is wrong makes the whole value
 * wrong, since whoever typed it is still there to be told.
 */
import { explainOptionError, type NetpollOptions, netpollParseOptions } from '../../netpoll/options.ts';

/** What one SPEC asks for. */
export interface NetconsoleSpec {
  readonly extended: boolean;
  readonly release: boolean;
  readonly options: NetpollOptions;
  /** The device was left to the default. The kernel's banner then shows another local address. */
  readonly defaultDevice?: boolean;
}

export type ParsedParam = { ok: true; specs: NetconsoleSpec[] } | { ok: false; reason: string };

/** Never throws; the reason shows the place. (`netconsole_parser_cmdline`) */
export function parseNetconsoleParam(param: string): ParsedParam {
  const specs: NetconsoleSpec[] = [];
  for (const text of param.split(';')) {
    if (text === '' && specs.length > 0) continue;
    const extended = text.startsWith('+');
    const afterPlus = extended ? text.slice(1) : text;
    const release = afterPlus.startsWith('r');
    if (release && !extended)
      return { ok: false, reason: 'r: the release is prepended in the extended format only (+r)' };
    const spec = release ? afterPlus.slice(1) : afterPlus;
    const parsed = netpollParseOptions(spec);
    if (!parsed.ok) return { ok: false, reason: explainOptionError(spec, parsed.error) };
    specs.push({ extended, release, options: parsed.options, defaultDevice: /^[^/]*\/,/.test(spec) });
  }
  return { ok: true, specs };
}
