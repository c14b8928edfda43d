/**
 * Starting with `netconsole=...` as kernel 7.2 started with it: the lines of the log, and every attribute of the targets, for
 * each recorded option string that both take. (Its devices that stand on others: src/netpoll, src/stacked.)
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { devOpen } from '../../device/open.ts';
import { createDummy } from '../../drivers/dummy.ts';
import { createLoopback } from '../../drivers/loopback.ts';
import { parseIp, parseMac } from '../../wire/address.ts';
import { decodeText } from '../../wire/netconsole_text.ts';
import { createNetconsole, parseNetconsoleParam } from './netconsole.ts';
import { replayMachine } from './replay.fixture.ts';

interface Case {
  readonly n: number;
  readonly option: string;
  readonly targets: Record<string, Record<string, string>>;
  readonly dmesg: readonly string[];
}

const GOLDEN = new URL('../../../test/golden/netconsole-options/options-k72.json.gz', import.meta.url);
const { cases } = JSON.parse(gunzipSync(readFileSync(GOLDEN)).toString()) as { cases: Case[] };
/** Devices of the recording that are stacked on others, enslaved, or of a kind that we have not. */
const ELSEWHERE = /\/(eth[12]|bond0|vet0|eth0\.5|tun7|macvl0),/;
const both = cases.filter(
  ({ option, dmesg }) =>
    parseNetconsoleParam(option).ok &&
    !ELSEWHERE.test(option) &&
    !dmesg.some((line) => /couldn't parse|configuration error/.test(line)),
);

describe('started with a recorded option string', () => {
  it.each(both.map((each) => [each.n, each.option, each] as const))('number %i: %j', (_n, option, recorded) => {
    const parsed = parseNetconsoleParam(option);
    if (!parsed.ok) throw new Error(parsed.reason);
    const addresses = ['10.77.0.2', 'fd00:77::2', 'fe80::5054:ff:fe77:100'];
    const { net, machine } = replayMachine('52:54:00:77:01:00', addresses);
    for (const [dev, address] of [
      [createDummy(net, parseMac('0e:c9:de:0b:96:b8')!, 'dummy0'), '10.78.0.1'],
      [createLoopback(net), '127.0.0.1'],
    ] as const) {
      dev.addresses.push(parseIp(address)!);
      devOpen(dev);
    }
    const { printk } = machine;
    const from = printk.nextSeq;
    const { configfs } = createNetconsole(net, parsed.specs);
    const lines: string[] = [];
    for (let seq = from; seq < printk.nextSeq; seq++) {
      const record = printk.record(seq)!;
      lines.push(`<${record.level}> ${decodeText(record.text)}`);
    }
    expect(lines).toEqual(recorded.dmesg);
    // The recording made one target more than there were, to see the defaults.
    for (const [name, attributes] of Object.entries(recorded.targets)) {
      configfs.mkdir(name);
      const ours = Object.keys(attributes).map((each) => [each, String(configfs.read(`${name}/${each}`)).trimEnd()]);
      expect([name, Object.fromEntries(ours)]).toEqual([name, attributes]);
    }
  });
});
