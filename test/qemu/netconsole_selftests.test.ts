/**
 * The kernel's own netconsole self-tests with a real kernel as the sender and our collector as the receiver, socat beside it.
 * One boot: the guest does what the scripts do, one after the other, and ends.
 *
 *     guest: configfs, /dev/kmsg --eth0--> tap0 --+--> socat, port 6666
 *                                                 +--> netpoll collect --listen packet:tap0:6666
 *
 * What a kernel has depends on its release (userdata since 6.9, sysdata since 6.15, resume since 7.0): the guest says what it
 * has, and of that everything is wanted. Those of a 7.2 are in the recordings (src/clients/netconsole/dynamic.test.ts).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Child } from '../netns/child.ts';
import { lacks, titled } from '../netns/needs.ts';
import { Namespace } from '../netns/rig.ts';
import { BASE_MESSAGE, fragmentsText, LONG_MESSAGES, LONG_VALUE } from '../netns/selftest_messages.ts';
import { type Collected, Collector } from './collected.ts';
import { bootGuest, GUEST_PATHS, GUEST_TOOLS, type Guest, WIRE } from './guest.ts';
import { awaitHost, loadModule, NETCONSOLE_MODULES, say } from './initramfs.ts';
import { fetchKernel, type GuestKernel } from './kernel.ts';

const lacking = lacks({ root: true, tools: [...GUEST_TOOLS, 'socat'], paths: GUEST_PATHS });
const PORT = 6666;
const ADDRESSES = { ipv4: [WIRE.guestAddress, WIRE.hostAddress], ipv6: ['fc00::2', 'fc00::1'] } as const;
const FORMATS = ['basic', 'extended'] as const;
const FAREWELL = 'netpoll-test: farewell';
const TORTURE = 150;

const BASICS = FORMATS.flatMap((format) =>
  (['ipv6', 'ipv4'] as const).map((ip) => ({ format, ip, target: `netcons_${format}_${ip}` })),
);

/** What the scripts do, in the guest's shell. */
function steps(kernel: GuestKernel): string[] {
  const cmdline = `netconsole=+1514@${WIRE.guestAddress}/eth0,${PORT}@${WIRE.hostAddress}/${WIRE.hostMac}`;
  const make = ({ target, ip, format }: { target: string; ip: 'ipv4' | 'ipv6'; format: string }): string =>
    `make ${target} ${ADDRESSES[ip][1]} ${ADDRESSES[ip][0]} ${format === 'extended' ? 1 : 0}`;
  const drop = (target: string): string[] => [
    `echo 0 > ${target}/enabled`,
    `if [ -d ${target}/userdata/key ]; then rmdir ${target}/userdata/key; fi`,
    `rmdir ${target}`,
  ];
  return [
    ...NETCONSOLE_MODULES.filter((name) => name !== 'netconsole').map((name) => loadModule(kernel, name)),
    'while ! [ -e /sys/class/net/eth0 ]; do usleep 20000; done',
    'ip link set eth0 up',
    'while [ "$(cat /sys/class/net/eth0/carrier)" != 1 ]; do usleep 20000; done',
    'echo "6 5" > /proc/sys/kernel/printk',
    say('network-up'),
    awaitHost(),
    // netcons_cmdline.sh
    loadModule(kernel, 'netconsole', cmdline),
    // The log is replayed at once, more than a receiver's buffer holds: it gets time to read.
    'usleep 500000',
    `echo "${BASE_MESSAGE}: netcons_cmdline" > /dev/kmsg`,
    'usleep 200000',
    'rmmod netconsole',
    loadModule(kernel, 'netconsole'),
    'mount -t configfs none /sys/kernel/config',
    'cd /sys/kernel/config/netconsole',
    'make() {',
    '  mkdir $1; echo $2 > $1/remote_ip; echo $3 > $1/local_ip',
    `  echo ${WIRE.hostMac} > $1/remote_mac; echo eth0 > $1/dev_name`,
    '  if [ -e $1/release ]; then echo 0 > $1/release; fi',
    '  echo $4 > $1/extended; echo 1 > $1/enabled',
    '}',
    'key() { if [ -d $1/userdata ]; then mkdir -p $1/userdata/key; echo $2 > $1/userdata/key/value; fi; }',
    // netcons_basic.sh
    ...BASICS.flatMap((basic) => [
      make(basic),
      ...(basic.format === 'extended' ? [`key ${basic.target} value`] : []),
      `echo "${BASE_MESSAGE}: ${basic.target}" > /dev/kmsg`,
      'usleep 100000',
      ...drop(basic.target),
    ]),
    // netcons_fragmented_msg.sh, without userdata where there is none: then the record alone is not long enough, so escapes are
    make({ target: 'frag', ip: 'ipv4', format: 'extended' }),
    `key frag ${LONG_VALUE}`,
    ...LONG_MESSAGES.flatMap((message, round) => [
      'echo 0 > frag/enabled',
      `if [ -e frag/release ]; then echo ${1 - round} > frag/release; fi`,
      'echo 1 > frag/enabled',
      `echo "${message}" > /dev/kmsg`,
      'usleep 100000',
    ]),
    "printf '%0200d' 0 | tr 0 '\\001' > /tmp/escapes",
    '(echo "FRAGMENTS $(cat /tmp/escapes) of escapes $(cat /tmp/escapes)" > /dev/kmsg)',
    'usleep 100000',
    'say userdata $([ -d frag/userdata ] && echo yes || echo no)',
    'say sysdata $([ -e frag/userdata/msgid_enabled ] && echo yes || echo no)',
    ...drop('frag'),
    // netcons_sysdata.sh
    make({ target: 'sys', ip: 'ipv6', format: 'extended' }),
    'for each in cpu_nr taskname release msgid; do',
    '  at=sys/userdata/$each"_enabled"; if [ -e $at ]; then echo 1 > $at; fi',
    'done',
    `echo "${BASE_MESSAGE}: sysdata on" > /dev/kmsg`,
    'usleep 100000',
    ...drop('sys'),
    // netcons_overflow.sh
    make({ target: 'over', ip: 'ipv4', format: 'extended' }),
    'n=0',
    'while [ -d over/userdata ] && [ $n -lt 300 ] && mkdir over/userdata/key$n 2>/dev/null; do n=$((n + 1)); done',
    'say keys $n',
    'for each in over/userdata/key*; do if [ -d $each ]; then rmdir $each; fi; done',
    ...drop('over'),
    // netcons_torture.sh
    make({ target: 'torture', ip: 'ipv6', format: 'extended' }),
    `(i=0; while [ $i -lt ${TORTURE} ]; do echo "torture $i" > /dev/kmsg; i=$((i + 1)); done) &`,
    'writer=$!',
    'for round in 1 2 3; do',
    '  echo 0 > torture/enabled',
    '  for again in 1 2 3; do echo 1 2>/dev/null > torture/enabled || true; done',
    `  make random$round ${WIRE.hostAddress} ${WIRE.guestAddress} 0; echo 0 > random$round/enabled; rmdir random$round`,
    '  ip link set eth0 down; ip link set eth0 up',
    'done',
    'wait $writer',
    'usleep 300000',
    `echo "${FAREWELL}" > /dev/kmsg`,
    'usleep 300000',
    say('tested'),
    awaitHost(),
  ];
}

describe.skipIf(lacking !== undefined)(
  titled('the kernel’s netconsole self-tests, sent by a Debian kernel', lacking),
  () => {
    let space: Namespace;
    let guest: Guest;
    let socat: Child;
    let file = '';
    let messages: Collected[] = [];
    const said = (word: string): string =>
      guest.control
        .lines('\n')
        .find((line) => line.text.startsWith(`${word} `))!
        .text.slice(word.length + 1);

    beforeAll(async () => {
      const kernel = await fetchKernel(process.env.NETPOLL_GUEST_KERNELS);
      space = await Namespace.make('selftests');
      guest = await bootGuest({ kernel, space, steps: steps(kernel) });
      await space.run(['sysctl', '-qw', `net.ipv6.conf.${WIRE.device}.disable_ipv6=0`]);
      await space.ip('addr', 'add', 'fc00::1/64', 'dev', WIRE.device, 'nodad');
      socat = await space.start(['socat', '-u', `UDP6-RECV:${PORT},ipv6only=0`, 'STDOUT']);
      const collector = await Collector.listen(space, 'packet', PORT);
      await guest.hears('network-up');
      guest.tell('go');
      await guest.hears('tested');
      await collector.prints(FAREWELL);
      await socat.until('the farewell', () => socat.stdout.includes(FAREWELL));
      messages = await collector.finish(0);
      file = socat.stdout.toString('latin1');
    });
    afterAll(async () => {
      await guest?.remove();
      await space?.remove();
    });

    const withText = (text: string): Collected[] => messages.filter((message) => message.text === text);

    it('netcons_cmdline.sh', () => {
      expect(file).toContain(`${BASE_MESSAGE}: netcons_cmdline\n`);
      expect(withText(`${BASE_MESSAGE}: netcons_cmdline`)).toMatchObject([
        { format: 'extended', level: 5, facility: 1 },
      ]);
    });

    it.each(BASICS)('netcons_basic.sh: $format over $ip', ({ format, ip, target }) => {
      const dict = format === 'extended' && said('userdata') === 'yes' ? { key: 'value' } : {};
      expect(file).toContain(`${BASE_MESSAGE}: ${target}\n`);
      expect(withText(`${BASE_MESSAGE}: ${target}`)).toMatchObject([{ host: ADDRESSES[ip][0], format, dict }]);
    });

    it('netcons_fragmented_msg.sh', () => {
      const whole = fragmentsText(file);
      const userdata = said('userdata') === 'yes';
      for (const message of LONG_MESSAGES) {
        expect(whole).toContain(message);
        expect(withText(message)).toMatchObject([{ dict: userdata ? { key: LONG_VALUE } : {} }]);
      }
      const escapes = '\x01'.repeat(200);
      expect(file).toMatch(/,ncfrag=0\/\d+;FRAGMENTS \\x01/);
      expect(withText(`FRAGMENTS ${escapes} of escapes ${escapes}`)).toHaveLength(1);
    });

    it('netcons_sysdata.sh', () => {
      const dict = said('sysdata') === 'yes' ? { cpu: '0', taskname: expect.any(String) as string, msgid: '1' } : {};
      expect(withText(`${BASE_MESSAGE}: sysdata on`)).toMatchObject([{ host: 'fc00::2', dict }]);
    });

    it('netcons_overflow.sh: as many keys as the release takes', () => {
      expect(said('userdata') === 'yes' ? ['16', '256'] : ['0']).toContain(said('keys'));
    });

    it('netcons_torture.sh: the kernel lives, and what arrived is in order, each record once', () => {
      const numbers = messages.flatMap(({ text, host }) =>
        host === 'fc00::2' && /^torture \d+$/.test(text) ? [Number(text.slice(8))] : [],
      );
      expect(numbers.length).toBeGreaterThan(0);
      expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
      expect(withText(FAREWELL)).toHaveLength(1);
    });
  },
);
