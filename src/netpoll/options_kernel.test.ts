/**
 * Our verdict on option strings against real kernels': 68 strings, each as kernels 6.1, 6.12 and 7.2 took it.
 *
 *     insmod netconsole netconsole=STRING --> log --> for each `;`-separated part: a banner (accepted, with all values), or a
 *                                                    complaint (refused, with the place); then what netpoll_setup said
 *
 * Where we decide otherwise stands in the tables below, with the reason; everything else is the same.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { devClose } from '../device/open.ts';
import { parseIp, parseMac, printIp, printMac } from '../wire/address.ts';
import { Netpoll } from './netpoll.ts';
import { type NetpollOptions, netpollParseOptions } from './options.ts';
import { netpollSetup } from './setup.ts';

interface Case {
  readonly n: number;
  readonly option: string;
  readonly targets: Record<string, { extended: string; release: string }>;
  readonly dmesg: readonly string[];
}
type Kernel = 'k61' | 'k612' | 'k72';

function casesOf(kernel: Kernel): Case[] {
  const file = new URL(`../../test/golden/netconsole-options/options-${kernel}.json.gz`, import.meta.url);
  return (JSON.parse(gunzipSync(readFileSync(file)).toString()) as { cases: Case[] }).cases;
}

/** Where we refuse what every kernel took, and why. */
const STRICTER: Record<number, string> = {
  13: 'text behind a MAC address: a typing error there would send to another machine than was meant',
  62: 'a name of 16 characters: the kernel cuts it to 15, and then looks for an interface that was not meant',
  65: 'a name of 17 characters (a MAC with dashes), which the kernel cuts to 15 as well',
  124: 'quotes: the module loader takes them away before the kernel parses; here the shell has done so already',
  126: 'a blank at the end: the module loader takes it away before the kernel parses',
};
/** Where we accept what an old kernel refused or took for something else. */
const NEWER: Partial<Record<Kernel, Record<number, string>>> = {
  k61: {
    18: 'r, the release in front, came with 6.6',
    23: 'r, the release in front, came with 6.6',
    66: 'a device by its MAC came with 6.15; before, the text was taken for a name and cut to 15 characters',
  },
  // Debian's 6.12 has the change that names devices by their MAC, so nothing differs there.
};
/** Where the kernel’s parser saw only a part of the string, because the module loader cuts at blanks. */
const UNSEEN: Record<number, string> = {
  79: 'a blank in front: the parameter ends there and is empty, so no target is made; we refuse',
};
interface Accepted {
  readonly extended?: boolean;
  readonly release?: boolean;
  readonly values: Readonly<Record<string, string | number>>;
}
/** What stands in the kernel’s log of one part. */
type Verdict = Accepted | { readonly refusedAt: string | null };

/** The log of the first attempt, a verdict for each part; older kernels stop at the first one that they refuse, and try twice. */
function kernelVerdicts(each: Case, kernel: Kernel): Verdict[] {
  const verdicts: Verdict[] = [];
  const targets = Object.values(each.targets);
  let values: Record<string, string | number> | null = null;
  const patterns: readonly (readonly [name: string, pattern: RegExp])[] = [
    ['localIp', /local IPv[46] address '?([^']*)'?$/],
    ['dev', /interface(?: name)? '([^']*)'$/],
    ['devMac', /local ethernet address '([^']*)'$/],
    ['remotePort', /remote port (\d+)$/],
    ['remoteIp', /remote IPv[46] address ([^ ]+)$/],
    ['remoteMac', /remote ethernet address ([^ ]+)$/],
  ];
  for (const line of each.dmesg) {
    if (/cleaning up/.test(line)) break;
    const complaint = /couldn't parse config at '(.*)'!$/.exec(line);
    if (complaint !== null) verdicts.push({ refusedAt: complaint[1]! });
    if (/Netconsole configuration error/.test(line)) verdicts.push({ refusedAt: null });
    const port = /: local port (\d+)$/.exec(line);
    if (port !== null) {
      values = { localPort: Number(port[1]) };
      const target = kernel === 'k61' ? undefined : targets[verdicts.filter((one) => 'values' in one).length];
      verdicts.push({
        ...(target !== undefined && { extended: target.extended === '1', release: target.release === '1' }),
        values,
      });
    }
    for (const [name, pattern] of patterns) {
      const found = values === null ? null : pattern.exec(line);
      if (found !== null) values![name] = name === 'remotePort' ? Number(found[1]) : found[1]!;
    }
  }
  return verdicts;
}

/** Ours, in the kernel’s form; what its log does not show is left out. */
function ourVerdict(text: string, kernel: Kernel): Verdict {
  const parsed = parseNetconsoleParam(text);
  if (!parsed.ok) {
    // The complaint about r without + names no place; before there was r, it was a bad port.
    if (text.startsWith('r')) return { refusedAt: kernel === 'k61' ? text : null };
    const spec = text.replace(/^\+r?/, '');
    const again = netpollParseOptions(spec);
    return { refusedAt: again.ok ? null : spec.slice(again.error.at) };
  }
  const { extended, release, options, defaultDevice } = parsed.specs[0]!;
  const { devMac } = options;
  const values: Record<string, string | number> = {
    localPort: options.localPort,
    localIp: options.localIp === null ? (options.remoteIp.family === 4 ? '0.0.0.0' : '::') : printIp(options.localIp),
    dev: options.devName,
    remotePort: options.remotePort,
    remoteIp: printIp(options.remoteIp),
    remoteMac: printMac(options.remoteMac),
  };
  // Where the string names no device, the banner shows a field that nobody has set.
  const noMac = defaultDevice ? '00:00:00:00:00:00' : 'ff:ff:ff:ff:ff:ff';
  if (kernel !== 'k61') values.devMac = devMac === null ? noMac : printMac(devMac);
  return kernel === 'k61' ? { values } : { extended, release, values };
}

/**
 * Both took the same; or both refuse, and the rest that the kernel complains about is ours up to a separator where it had cut
 * before, or up to a blank, where the module loader cuts.
 */
function same(kernel: Verdict, ours: Verdict): boolean {
  if ('values' in kernel || 'values' in ours) {
    expect(ours).toEqual(kernel);
    return true;
  }
  if (kernel.refusedAt === null || ours.refusedAt === null) return kernel.refusedAt === ours.refusedAt;
  expect(ours.refusedAt.startsWith(kernel.refusedAt), `${ours.refusedAt} begins with ${kernel.refusedAt}`).toBe(true);
  return /^($|[@/,; ])/.test(ours.refusedAt.slice(kernel.refusedAt.length));
}

describe.each(['k61', 'k612', 'k72'] as const)('an option string, to kernel %s', (kernel) => {
  const newer = NEWER[kernel] ?? {};
  const cases = casesOf(kernel);
  const alike = cases.filter(({ n }) => !(n in STRICTER) && !(n in UNSEEN) && !(n in newer));

  it.each(alike.map((each) => [each.n, each.option, each] as const))(
    'number %i means what it means to us: %j',
    (_n, option, each) => {
      const theirs = kernelVerdicts(each, kernel);
      const parts = option.split(';');
      if (kernel !== 'k61') expect(theirs.length).toBe(parts.length);
      expect(theirs.length).toBeGreaterThan(0);
      theirs.forEach((verdict, i) => {
        expect(same(verdict, ourVerdict(parts[i]!, kernel))).toBe(true);
      });
    },
  );

  it.each(Object.entries(STRICTER))('number %s is accepted, where we refuse: %s', (n) => {
    const each = cases.find((one) => one.n === Number(n))!;
    expect(kernelVerdicts(each, kernel).every((one) => 'values' in one)).toBe(true);
    expect('refusedAt' in ourVerdict(each.option, kernel)).toBe(true);
  });

  it.each(Object.entries(UNSEEN))('number %s never reached the parser: %s', (n) => {
    const each = cases.find((one) => one.n === Number(n))!;
    expect(kernelVerdicts(each, kernel)).toEqual([]);
    expect('refusedAt' in ourVerdict(each.option, kernel)).toBe(true);
  });

  it.each(Object.entries(newer))('number %s was refused or misread, where we accept: %s', (n) => {
    const each = cases.find((one) => one.n === Number(n))!;
    const ours = ourVerdict(each.option, kernel);
    expect('values' in ours).toBe(true);
    expect(kernelVerdicts(each, kernel)).not.toEqual([ours]);
  });
});

describe('netpollSetup on the machine of the recording says what the kernel said', () => {
  /** Its devices, as `ip addr` showed them. */
  function machine(kernel: Kernel) {
    const made = testNet();
    const lines: string[] = [];
    made.machine.printk.registerConsole({
      name: 'log',
      write: (record) => lines.push(`<${record.level}> ${new TextDecoder().decode(record.text)}`),
    });
    const add = (name: string, ...addresses: string[]) => {
      const dev = testDevice(made.net);
      dev.name = name;
      dev.addresses.push(...addresses.map((text) => parseIp(text)!));
      return dev;
    };
    const eth0 = add('eth0', '10.77.0.2', 'fd00:77::2', 'fe80::5054:ff:fe77:100');
    eth0.devAddr.set(parseMac('52:54:00:77:01:00')!);
    devClose(add('eth1'));
    const bond0 = add('bond0', '10.79.0.1', 'fec0::5054:ff:fe77:102', 'fe80::5054:ff:fe77:102');
    add('eth2').master = bond0;
    add('dummy0', '10.78.0.1', 'fe80::2821:c7ff:fed3:4a73');
    add('lo', '127.0.0.1', '::1').type = 772;
    // The kernel’s veth refuses netpoll since 6.12; ours does not have to.
    add('vet0', '10.83.0.1').netpollDisabled = kernel !== 'k61';
    return { net: made.net, lines };
  }

  const setupLine =
    /^<\d> netpoll: netconsole: (local IP(v6)? [0-9a-f:.]+$|\S+ (doesn't|is a slave)|no IP|device |failed|timeout)/;

  it.each(
    (['k61', 'k612', 'k72'] as const).flatMap((kernel) =>
      casesOf(kernel)
        .filter(({ n }) => !(n in STRICTER) && !(n in (NEWER[kernel] ?? {})))
        .map((each) => [kernel, each.n, each.option, each] as const),
    ),
  )('%s, number %i: %j', (kernel, _n, option, each) => {
    const { net, lines } = machine(kernel);
    const first = each.dmesg.findIndex((line) => /cleaning up/.test(line));
    const attempt = first < 0 ? each.dmesg : each.dmesg.slice(0, first);
    for (const part of option.split(';')) {
      const parsed = parseNetconsoleParam(part);
      if (!parsed.ok && kernel === 'k61') break;
      if (parsed.ok) netpollSetup(net, new Netpoll('netconsole', parsed.specs[0]!.options as NetpollOptions));
    }
    expect(lines.filter((line) => setupLine.test(line))).toEqual(attempt.filter((line) => setupLine.test(line)));
  });
});

describe('several parts', () => {
  it('are refused as a whole if one is wrong, with the place; the kernel starts the others', () => {
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;@/eth1,@10.0.0/')).toMatchObject({ ok: false });
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;')).toMatchObject({ ok: true, specs: [{}] });
    expect(parseNetconsoleParam('@/eth0,@10.0.0.1/;;@/eth1,@10.0.0.2/')).toMatchObject({ ok: true, specs: [{}, {}] });
  });
});
