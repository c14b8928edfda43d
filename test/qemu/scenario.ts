/**
 * The scenario of the main job: a kernel starts netconsole, writes all sorts of lines, and is made to crash.
 *
 * Two targets hear everything at once: an extended one (`+`) and a basic one, on ports of their own. The guest waits
 * twice for the test: before netconsole starts (receivers must be ready) and before the crash (/dev/kmsg must have
 * been read to its end).
 */
import { WIRE } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say, sysrq, writeKmsg } from './initramfs.ts';
import type { GuestKernel } from './kernel.ts';

export const EXTENDED_PORT = 6666;
export const BASIC_PORT = 6667;
/** The guest says these on its control port. */
export const NETWORK_UP = 'network-up';
export const ALL_WRITTEN = 'all-written';
/** The text of the last record before the crash. */
export const FAREWELL = 'netpoll-test: farewell';

const SOURCE_PORT = 6665;

/** Records for /dev/kmsg, as they are written: `<facility << 3 | level>text`. */
export function recordsToWrite(): (string | Uint8Array)[] {
  const everyLevel = Array.from({ length: 8 }, (_, level) => `<${level}>level ${level} as user\n`);
  const everyFacility = Array.from(
    { length: 24 },
    (_, facility) => `<${facility * 8 + (facility % 8)}>facility ${facility}\n`,
  );
  // Around the 1,000 bytes at which netconsole cuts: the header takes some 20, so that these fall on both sides.
  const lengths = [900, 940, 960, 970, 975].map(
    (length) => `<6>${`length ${length} `.padEnd(length, '0123456789abcdef')}\n`,
  );
  return [
    ...everyLevel,
    ...everyFacility,
    'no priority at all\n',
    '<6>no newline at its end',
    '<6>  leading and trailing blanks  \n',
    '<6>\n',
    '<6>semicolon; comma, equals = and "quotes"\n',
    '<6>a backslash \\ and what looks like an escape \\x41 \\n\n',
    '<6>control \x01\x02\x07\x08\x1b[31mred\x1b[0m\x7f tab\there\n',
    '<6>[    1.234567] a false time stamp\n',
    '<6><4>a false priority\n',
    '<6>4,1234,5678,-;a false header\n',
    '<6>Grüße, 世界, 🐧 and a combining e\u0301\n',
    Buffer.from([...Buffer.from('<6>not UTF-8: '), 0xff, 0xfe, 0xc3, 0x28, 0x80, 0x0a]),
    '<4>first line\nsecond line\nthird line\n',
    '<4>a line, then an empty one\n\n and an indented one\n',
    `<5>${Array.from({ length: 40 }, (_, line) => `row ${line}`).join('\n')}\n`,
    ...lengths,
    `<6>${'é'.repeat(150)}\n`,
    `<6>${'世'.repeat(200)}\n`,
    `<6>${'🐧'.repeat(240)} the end\n`,
    `<6>${'\\'.repeat(700)}\n`,
    `<3>${`${'wide '.repeat(30)}\n`.repeat(6)}`,
  ];
}

/** The value of netconsole's module parameter: an extended target and a basic one. */
export function targets(): string {
  const target = (port: number) =>
    `${SOURCE_PORT}@${WIRE.guestAddress}/eth0,${port}@${WIRE.hostAddress}/${WIRE.hostMac}`;
  return `netconsole=+${target(EXTENDED_PORT)};${target(BASIC_PORT)}`;
}

/** The guest's script: network, netconsole, lines, crash. */
export function lastWordsSteps(kernel: GuestKernel, records = recordsToWrite()): string[] {
  const drivers = NETCONSOLE_MODULES.filter((name) => name !== 'netconsole');
  return [
    ...drivers.map((name) => loadModule(kernel, name)),
    'while ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done',
    'ip link set eth0 up',
    'while [ "$(cat /sys/class/net/eth0/carrier)" != 1 ]; do usleep 20000; done',
    say(NETWORK_UP),
    awaitHost(),
    loadModule(kernel, 'netconsole', targets()),
    ...records.map(writeKmsg),
    writeKmsg(`<5>${FAREWELL}\n`),
    say(ALL_WRITTEN),
    awaitHost(),
    sysrq('c'),
  ];
}
