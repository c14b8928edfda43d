import { describe, expect, it } from 'vitest';
import { testMachine } from './machine.fixture.ts';
import { Softirq } from './softirq.ts';
import { Sysrq } from './sysrq.ts';
import type { SysrqWorld } from './sysrq_world.ts';

/** A machine, its SysRq with everything allowed, what was printed on its console, and what its world was asked for. */
function keyboard(mask = 1, world: Partial<SysrqWorld> = {}) {
  const made = testMachine({ cpus: 2 });
  const asked: string[] = [];
  const sysrq = new Sysrq(made.machine, {
    reboot: () => asked.push('reboot'),
    powerOff: () => asked.push('powerOff'),
    ...world,
  });
  const lines: string[] = [];
  made.machine.printk.registerConsole({
    name: 'log',
    write: (record) => lines.push(new TextDecoder().decode(record.text)),
  });
  sysrq.mask = mask;
  return { ...made, sysrq, lines, asked };
}

const HELP =
  'sysrq: HELP : loglevel(0-9) reboot(b) crash(c) terminate-all-tasks(e) memory-full-oom-kill(f) kill-all-tasks(i) ' +
  'show-backtrace-all-active-cpus(l) show-memory-usage(m) nice-all-RT-tasks(n) poweroff(o) show-registers(p) ' +
  'show-all-timers(q) unraw(r) sync(s) show-task-states(t) unmount(u) show-blocked-tasks(w) replay-kernel-logs(R) ';

describe('the mask', () => {
  it('is 0 after boot: nothing is allowed, help is', () => {
    const { sysrq, lines } = keyboard();
    expect(new Sysrq(testMachine().machine, sysrq.world).mask).toBe(0);
    sysrq.mask = 0;
    expect(sysrq.handle('t')).toBe('disabled');
    expect(sysrq.handle('h')).toBe('help');
    expect(lines).toEqual(['sysrq: This sysrq operation is disabled.', HELP]);
  });

  it.each([
    [2, '0123456789'],
    [4, 'r'],
    [8, 'clmptwR'],
    [0x10, 's'],
    [0x20, 'u'],
    [0x40, 'efi'],
    [0x80, 'bo'],
    [0x100, 'n'],
    [1, '0123456789bcefilmnopqrstuwR'],
    [0x1fe, '0123456789bcefilmnoprstuwR'],
  ])('%i allows %s', (mask, keys) => {
    const { sysrq } = keyboard(mask);
    const allowed = [...'0123456789bcefilmnopqrstuwR'].filter((key) => sysrq.permits(key)).join('');
    expect(allowed).toBe(keys);
  });

  it.each([
    ['1\n', 2, 1],
    ['438', 3, 438],
    ['0x1b6\n', 6, 438],
    [' 0666 ', 6, 438],
    ['-1', 2, -1],
    ['-0', 2, 0],
    ['2147483647', 10, 2147483647],
    ['2147483648', -22, 16],
    ['', -22, 16],
    ['1 2', -22, 16],
    ['09', -22, 16],
    ['on', -22, 16],
    ['1.0', -22, 16],
  ])('writing %j answers %i and leaves %i', (text, answer, mask) => {
    const { sysrq } = keyboard(16);
    expect(sysrq.writeSysrq(text)).toBe(answer);
    expect([sysrq.mask, sysrq.readSysrq()]).toEqual([mask, `${mask}\n`]);
  });

  it('does not hold for /proc/sysrq-trigger, which takes one key, or all behind an underscore', () => {
    const { sysrq, lines, asked } = keyboard(0);
    expect(sysrq.trigger('sb\n')).toBe(3);
    expect([lines, asked]).toEqual([['sysrq: Emergency Sync'], []]);
    sysrq.trigger('_sub');
    expect(lines.slice(1)).toEqual(['sysrq: Emergency Sync', 'sysrq: Emergency Remount R/O', 'sysrq: Resetting']);
    expect(asked).toEqual(['reboot']);
  });
});

describe('the header', () => {
  it('is shown whatever the log level, what follows is not, and the level is the old one afterwards', () => {
    const { sysrq, lines, machine } = keyboard(2 + 8);
    machine.printk.consoleLoglevel = 1;
    sysrq.handle('m');
    sysrq.handle('b');
    sysrq.handle('?');
    expect(lines).toEqual(['sysrq: Show Memory', 'sysrq: This sysrq operation is disabled.', HELP]);
    expect(machine.printk.consoleLoglevel).toBe(1);
  });
});

describe('the header, pressed while a console is at work', () => {
  it('is shown as well', () => {
    const { sysrq, lines, machine } = keyboard(8);
    machine.printk.consoleLoglevel = 5;
    let pressed = false;
    machine.printk.registerConsole({
      name: 'slow',
      write: () => {
        if (!pressed) sysrq.handle('m');
        pressed = true;
      },
    });
    machine.printk.err('first');
    expect(lines).toEqual(['first', 'sysrq: Show Memory']);
  });
});

describe('the keys', () => {
  it('0 to 9 set the log level', () => {
    const { sysrq, lines, machine } = keyboard();
    for (const key of '038') sysrq.handle(key);
    expect(machine.printk.consoleLoglevel).toBe(8);
    expect(lines).toEqual(
      ['0', '3', '8'].flatMap((key) => ['sysrq: Changing Loglevel', `sysrq: Loglevel set to ${key}`]),
    );
  });

  it('c panics, with the notifiers of the world', () => {
    const order: string[] = [];
    const { sysrq, lines, machine } = keyboard(1, {
      panicNotifiers: [() => order.push('dump')],
      backtrace: () => ['at somewhere'],
    });
    sysrq.handle('c');
    expect(lines[0]).toBe('sysrq: Trigger a crash');
    expect(lines[1]).toBe('Kernel panic - not syncing: sysrq triggered crash');
    expect(lines).toContain('at somewhere');
    expect(lines.at(-1)).toBe('---[ end Kernel panic - not syncing: sysrq triggered crash ]---');
    expect([machine.dead, order]).toEqual([true, ['dump']]);
  });

  it('b and o are the world’s', () => {
    const { sysrq, lines, asked } = keyboard();
    sysrq.handle('o');
    sysrq.handle('b');
    expect([lines, asked]).toEqual([
      ['sysrq: Power Off', 'sysrq: Resetting'],
      ['powerOff', 'reboot'],
    ]);
  });

  it('s and u act in process context, and say when they are done; a dead machine never gets there', () => {
    const done: string[] = [];
    const { sysrq, lines, machine } = keyboard(1, {
      sync: () => done.push('s'),
      remountReadOnly: () => done.push('u'),
    });
    sysrq.handle('s');
    sysrq.handle('u');
    expect([lines, done]).toEqual([['sysrq: Emergency Sync', 'sysrq: Emergency Remount R/O'], []]);
    machine.turn();
    expect([lines.slice(2), done]).toEqual([
      ['Emergency Sync complete', 'Emergency Remount complete'],
      ['s', 'u'],
    ]);
    machine.dead = true;
    sysrq.handle('s');
    machine.turn();
    expect([lines.slice(4), done.length]).toEqual([['sysrq: Emergency Sync'], 2]);
  });

  it('e, i, f, n, r ask the world, and do nothing where it has no tasks', () => {
    const asked: string[] = [];
    const world = {
      signalAll: (signal: string) => asked.push(signal),
      oomKill: () => '7 (hog)',
      niceAll: () => asked.push('nice'),
      unraw: () => asked.push('unraw'),
    };
    const { sysrq, lines, machine } = keyboard(1, world);
    for (const key of 'efinr') sysrq.handle(key);
    expect(asked).toEqual(['SIGTERM', 'SIGKILL', 'nice', 'unraw']);
    expect(lines).toContain('Out of memory: Killed process 7 (hog)');
    expect(machine.printk.consoleLoglevel).toBe(10);
    const bare = keyboard();
    for (const key of 'efinr') bare.sysrq.handle(key);
    expect(bare.lines).toEqual([
      'sysrq: Terminate All Tasks',
      'sysrq: Manual OOM execution',
      'sysrq: OOM request ignored. No task eligible',
      'sysrq: Kill All Tasks',
      'sysrq: Nice All RT Tasks',
      'sysrq: Keyboard mode set to system default',
    ]);
  });

  it('m shows the memory for frames as it is', () => {
    const { sysrq, lines, machine } = keyboard();
    const skb = machine.skbs.alloc(100);
    expect(skb).not.toBeNull();
    sysrq.handle('m');
    expect(lines).toEqual([
      'sysrq: Show Memory',
      'Mem-Info:',
      'slots:128 size:2048B free:127 used:1 refused:0',
      'skbuff_head_cache: objects:256 active:1 refused:0',
    ]);
  });

  it('t shows ksoftirqd, work and interrupt lines, and what others add', () => {
    const { sysrq, lines, machine } = keyboard();
    sysrq.addReport('t', (print) => print('added'));
    machine.requestIrq('eth0', machine.cpus[1]!, () => {}).raise();
    machine.softirq.open(Softirq.NET_RX, () => {});
    machine.softirq.raise(Softirq.NET_RX);
    sysrq.handle('t');
    expect(lines).toEqual([
      'sysrq: Show State',
      'task:ksoftirqd/0     state:R  running task    cpu:0 softirqs: none',
      'task:ksoftirqd/1     state:S cpu:1 softirqs: none',
      'task:kworker/u       state:S works:0',
      'irq 0: eth0 cpu:1 count:1',
      'added',
    ]);
  });

  it('p shows the CPU on which it is asked, l all that are not idle', () => {
    const { sysrq, lines, machine } = keyboard(1, { registers: (cpu) => [`pc: ${cpu.id}`] });
    const line = machine.requestIrq('key', machine.cpus[1]!, () => {
      sysrq.handle('p');
      sysrq.handle('l');
    });
    line.raise();
    const here = 'preempt_count: 00010000 (hardirq) irqs: off softirqs pending: none';
    expect(lines).toEqual([
      'sysrq: Show Regs',
      'CPU: 1 Not tainted netpoll localhost',
      here,
      'pc: 1',
      'sysrq: Show backtrace of all active CPUs',
      'sysrq: CPU0: backtrace skipped as idling',
      'sysrq: CPU1:',
      here,
    ]);
  });

  it('q shows the timers by deadline, and no more than 64', () => {
    const { sysrq, lines, machine, executive } = keyboard();
    executive.nowNs = 1000;
    for (let i = 100; i > 0; i--)
      machine.timers.mod(
        machine.timers.create(() => {}),
        1000 + i,
      );
    sysrq.handle('q');
    expect(lines.slice(1, 4)).toEqual([
      'now at 1000 nsecs, jiffies: 0, HZ: 250',
      'active timers:',
      ' #0: expires at 1001 nsecs [in 1 nsecs]',
    ]);
    expect([lines.length, lines.at(-1)]).toEqual([3 + 64 + 1, ' ... and 36 more']);
  });

  it('R shows the consoles again what the log holds', () => {
    const { sysrq, lines, machine } = keyboard();
    machine.printk.info('one');
    sysrq.handle('R');
    expect(lines).toEqual([
      'one',
      'sysrq: Replay kernel logs on consoles',
      'one',
      'sysrq: Replay kernel logs on consoles',
    ]);
  });
});

/** HELP as Debian's kernels printed it into a serial console: 6.1, and what 7.2 has more. */
const HELP_61 =
  'loglevel(0-9) reboot(b) crash(c) terminate-all-tasks(e) memory-full-oom-kill(f) kill-all-tasks(i) thaw-filesystems(j) ' +
  'sak(k) show-backtrace-all-active-cpus(l) show-memory-usage(m) nice-all-RT-tasks(n) poweroff(o) show-registers(p) ' +
  'show-all-timers(q) unraw(r) sync(s) show-task-states(t) unmount(u) show-blocked-tasks(w) dump-ftrace-buffer(z) ';
const HELP_72 = `${HELP_61}dump-sched-ext(D) replay-kernel-logs(R) reset-sched-ext(S) `;
/** Of things that our machines do not have: block layer, VT, ftrace, sched_ext. */
const NOT_OURS = ['thaw-filesystems(j)', 'sak(k)', 'dump-ftrace-buffer(z)', 'dump-sched-ext(D)', 'reset-sched-ext(S)'];
/** Headers that the same kernels printed. */
const RECORDED: readonly (readonly [key: string, line: string])[] = [
  ['l', 'Show backtrace of all active CPUs'],
  ['t', 'Show State'],
  ['m', 'Show Memory'],
  ['w', 'Show Blocked State'],
  ['9', 'Changing Loglevel'],
  ['q', 'Show clockevent devices & pending hrtimers (no others)'],
  ['o', 'Power Off'],
  ['c', 'Trigger a crash'],
];

describe('beside the words of real kernels', () => {
  it('has their help, but for what we do not have', () => {
    const { sysrq, lines } = keyboard();
    sysrq.handle('?');
    const theirs = HELP_72.trim()
      .split(' ')
      .filter((word) => !NOT_OURS.includes(word));
    expect(lines).toEqual([`sysrq: HELP : ${theirs.map((word) => `${word} `).join('')}`]);
  });

  it.each(RECORDED)('%s says %j', (key, line) => {
    const { sysrq, lines } = keyboard();
    sysrq.handle(key);
    expect(lines[0]).toBe(`sysrq: ${line}`);
  });
});

describe('registering a key', () => {
  const op = { run: () => {}, help: 'debug(g)', action: 'DEBUG', mask: 8 };

  it('puts it into the table and the help, until it is taken away', () => {
    const { sysrq, lines } = keyboard();
    expect(sysrq.registerSysrqKey('g', op)).toBe(0);
    sysrq.handle('g');
    sysrq.handle('h');
    expect(lines[0]).toBe('sysrq: DEBUG');
    expect(lines[1]).toContain('memory-full-oom-kill(f) debug(g) kill-all-tasks(i)');
    expect(sysrq.unregisterSysrqKey('g', op)).toBe(0);
    expect(sysrq.handle('g')).toBe('help');
  });

  it('is refused for what is no key, for one that is taken, and for help', () => {
    const { sysrq } = keyboard();
    expect(['?', '', 'ab', 'é', ' '].map((key) => sysrq.registerSysrqKey(key, op))).toEqual([-22, -22, -22, -22, -22]);
    expect(['t', '5', 'h'].map((key) => sysrq.registerSysrqKey(key, op))).toEqual([-16, -16, -16]);
    expect(['t', 'g', '?'].map((key) => sysrq.unregisterSysrqKey(key, op))).toEqual([-2, -2, -22]);
    expect([sysrq.registerSysrqKey('D', op), sysrq.registerSysrqKey('d', op)]).toEqual([0, 0]);
  });
});

describe('a bottom half', () => {
  it('runs once after the interrupt that raised it, and not on a dead machine', () => {
    const { sysrq, machine } = keyboard();
    const ran: string[] = [];
    const half = sysrq.bottomHalf(() => ran.push(machine.cpu.inHardirq ? 'hardirq' : 'softirq'));
    const line = machine.requestIrq('eth0', machine.cpu, () => {
      half.raise();
      half.raise();
    });
    line.raise();
    expect(ran).toEqual(['softirq']);
    machine.dead = true;
    half.raise();
    machine.turn();
    machine.dead = false;
    expect(ran).toEqual(['softirq']);
    half.remove();
    line.raise();
    expect(ran).toEqual(['softirq']);
  });
});
