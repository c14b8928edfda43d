/**
 * Our verdict on option strings against the real kernel's: 68 strings, each as kernel 7.2.13 took it.
 *
 * The kernel's verdict on each `;`-separated part is read from its log: a banner of seven lines (accepted, with all values),
 * or a complaint (refused).
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type NetconsoleSpec, parseNetconsoleParam } from '../clients/netconsole.ts';
import { printIp, printMac } from '../wire/address.ts';

interface Case {
  readonly n: number;
  readonly option: string;
  readonly targets: Record<string, { extended: string; release: string }>;
  readonly dmesg: readonly string[];
}

const GOLDEN = new URL('../../test/golden/netconsole-options/options-k72.json.gz', import.meta.url);
const { cases } = JSON.parse(gunzipSync(readFileSync(GOLDEN)).toString()) as { cases: Case[] };

/** Where we refuse what the kernel took, and why. */
const STRICTER: Record<number, string> = {
  13: 'text behind a MAC address: a typing error there would send to another machine than was meant',
  62: 'a name of 16 characters: the kernel cuts it to 15, and then looks for an interface that was not meant',
  65: 'a name of 17 characters (a MAC with dashes), which the kernel cuts to 15 as well',
  124: 'quotes: the module loader takes them away before the kernel parses; here the shell has done so already',
  126: 'a blank at the end: the module loader takes it away before the kernel parses',
};
/** Where the kernel’s parser did not see the string. */
const UNSEEN: Record<number, string> = {
  79: 'a blank in front: the module loader ends the parameter there, so no target is made; we refuse',
};

type Verdict = Record<string, string | number | boolean> | 'refused';

/** The log of one insmod as a verdict for each part, in order. */
function kernelVerdicts(each: Case): Verdict[] {
  const verdicts: Verdict[] = [];
  const targets = Object.values(each.targets);
  let accepted = 0;
  for (let i = 0; i < each.dmesg.length; i++) {
    const line = each.dmesg[i]!;
    if (/couldn't parse config|Netconsole configuration error/.test(line)) verdicts.push('refused');
    if (!/local port \d+$/.test(line)) continue;
    const value = (offset: number) => each.dmesg[i + offset]!.replace(/'$/, '').replace(/^.*[ ']/, '');
    const target = targets[accepted++]!;
    verdicts.push({
      extended: target.extended === '1',
      release: target.release === '1',
      localPort: Number(value(0)),
      localIp: value(1),
      dev: value(2) || value(3),
      remotePort: Number(value(4)),
      remoteIp: value(5),
      remoteMac: value(6),
    });
  }
  return verdicts;
}

function ours({ extended, release, options }: NetconsoleSpec): Verdict {
  const unset = options.remoteIp.family === 4 ? '0.0.0.0' : '::';
  return {
    extended,
    release,
    localPort: options.localPort,
    localIp: options.localIp === null ? unset : printIp(options.localIp),
    dev: options.devMac === null ? options.devName : printMac(options.devMac),
    remotePort: options.remotePort,
    remoteIp: printIp(options.remoteIp),
    remoteMac: printMac(options.remoteMac),
  };
}

function ourVerdict(text: string): Verdict {
  const parsed = parseNetconsoleParam(text);
  return parsed.ok ? ours(parsed.specs[0]!) : 'refused';
}

describe('an option string', () => {
  const same = cases.filter(({ n }) => !(n in STRICTER) && !(n in UNSEEN));

  it.each(same.map((each) => [each.n, each.option, each] as const))(
    'number %i means to us what it means to the kernel: %j',
    (_n, option, each) => {
      expect(option.split(';').map(ourVerdict)).toEqual(kernelVerdicts(each));
    },
  );

  it.each(Object.entries(STRICTER))('number %s is refused, where the kernel accepts: %s', (n) => {
    const each = cases.find((one) => one.n === Number(n))!;
    expect(kernelVerdicts(each)).not.toContain('refused');
    expect(ourVerdict(each.option)).toBe('refused');
  });

  it.each(Object.entries(UNSEEN))('number %s never reached the kernel’s parser: %s', (n) => {
    const each = cases.find((one) => one.n === Number(n))!;
    expect(kernelVerdicts(each)).toEqual([]);
    expect(ourVerdict(each.option)).toBe('refused');
  });

  it('with several parts is refused as a whole if one is wrong, and says which; the kernel starts the others', () => {
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;@/eth1,@10.0.0/')).toMatchObject({ ok: false });
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;')).toMatchObject({ ok: true, specs: [{}] });
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;;@/eth1,@10.0.0.2/')).toMatchObject({ ok: true, specs: [{}, {}] });
  });
});
