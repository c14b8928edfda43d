/**
 * The operations of SysRq that every machine has. Names, masks and words are those of today's kernels, so that whoever knows
 * them from a keyboard finds them here.
 *
 * Keys of things that we do not have (VT, block layer, ftrace, sched_ext, frame buffers) have no operation, as in a kernel built
 * without them; whoever brings such a thing along registers its key: locks (d) in clients/sysrq/net.ts, a debugger's g.
 */
import { panic } from './panic.ts';
import type { Sysrq } from './sysrq.ts';
import {
  SYSRQ_ENABLE_BOOT,
  SYSRQ_ENABLE_DUMP,
  SYSRQ_ENABLE_KEYBOARD,
  SYSRQ_ENABLE_LOG,
  SYSRQ_ENABLE_REMOUNT,
  SYSRQ_ENABLE_RTNICE,
  SYSRQ_ENABLE_SIGNAL,
  SYSRQ_ENABLE_SYNC,
} from './sysrq_mask.ts';
import { showBacktraces, showMemory, showRegisters, showState, showTimers } from './sysrq_show.ts';
import { Work } from './timer.ts';

/** What a key does (`struct sysrq_key_op`). */
export interface SysrqOp {
  readonly run: (key: string) => void;
  /** Its word in the HELP line. */
  readonly help: string;
  /** The line that is printed before it runs. */
  readonly action: string;
  /** One of SYSRQ_ENABLE_*; 0: only where everything is allowed. */
  readonly mask: number;
}

const LOGLEVEL_DEBUG = 10;

/** Set-up: key -> operation, for one machine. */
export function builtinSysrqKeys(sysrq: Sysrq): [string, SysrqOp][] {
  const { machine, world } = sysrq;
  const { printk } = machine;
  const print = (line: string): void => printk.info(line);
  const loglevel: SysrqOp = {
    run(key) {
      sysrq.sayForced(`Loglevel set to ${key}`);
      printk.consoleLoglevel = Number(key);
    },
    help: 'loglevel(0-9)',
    action: 'Changing Loglevel',
    mask: SYSRQ_ENABLE_LOG,
  };
  /** What has to wait for process context, and says when it is over; on a machine that hangs it never is. */
  const later = (run: (() => void) | undefined, end: string): (() => void) => {
    const work = new Work(machine, () => {
      run?.call(world);
      print(end);
    });
    return () => work.schedule();
  };
  const signal = (name: 'SIGTERM' | 'SIGKILL') => (): void => {
    world.signalAll?.(name);
    printk.consoleLoglevel = LOGLEVEL_DEBUG;
  };
  const showing = (key: string, show: (sysrq: Sysrq, print: (line: string) => void) => void) => (): void => {
    show(sysrq, print);
    sysrq.report(key, print);
  };
  const op = (help: string, action: string, mask: number, run: () => void): SysrqOp => ({ help, action, mask, run });
  const oom = (): void => {
    const killed = world.oomKill?.() ?? null;
    if (killed === null) sysrq.say('OOM request ignored. No task eligible');
    else printk.err(`Out of memory: Killed process ${killed}`);
  };
  const crash = (): void => {
    const notifiers = world.panicNotifiers ?? [];
    panic(machine, 'sysrq triggered crash', { notifiers, report: world.backtrace?.(machine.cpu) ?? [] });
  };
  const { BOOT, DUMP, SIGNAL } = { BOOT: SYSRQ_ENABLE_BOOT, DUMP: SYSRQ_ENABLE_DUMP, SIGNAL: SYSRQ_ENABLE_SIGNAL };
  return [
    ...[...'0123456789'].map((key): [string, SysrqOp] => [key, loglevel]),
    ['b', op('reboot(b)', 'Resetting', BOOT, () => world.reboot())],
    ['c', op('crash(c)', 'Trigger a crash', DUMP, crash)],
    ['e', op('terminate-all-tasks(e)', 'Terminate All Tasks', SIGNAL, signal('SIGTERM'))],
    ['f', op('memory-full-oom-kill(f)', 'Manual OOM execution', SIGNAL, oom)],
    ['i', op('kill-all-tasks(i)', 'Kill All Tasks', SIGNAL, signal('SIGKILL'))],
    ['l', op('show-backtrace-all-active-cpus(l)', BACKTRACE, DUMP, showing('l', showBacktraces))],
    ['m', op('show-memory-usage(m)', 'Show Memory', DUMP, showing('m', showMemory))],
    ['n', op('nice-all-RT-tasks(n)', 'Nice All RT Tasks', SYSRQ_ENABLE_RTNICE, () => world.niceAll?.())],
    ['o', op('poweroff(o)', 'Power Off', BOOT, () => world.powerOff())],
    ['p', op('show-registers(p)', 'Show Regs', DUMP, showing('p', showRegisters))],
    ['q', op('show-all-timers(q)', TIMERS, 0, showing('q', showTimers))],
    ['r', op('unraw(r)', 'Keyboard mode set to system default', SYSRQ_ENABLE_KEYBOARD, () => world.unraw?.())],
    ['s', op('sync(s)', 'Emergency Sync', SYSRQ_ENABLE_SYNC, later(world.sync, 'Emergency Sync complete'))],
    ['t', op('show-task-states(t)', 'Show State', DUMP, showing('t', showState))],
    ['u', op('unmount(u)', REMOUNT, SYSRQ_ENABLE_REMOUNT, later(world.remountReadOnly, 'Emergency Remount complete'))],
    ['R', op('replay-kernel-logs(R)', 'Replay kernel logs on consoles', DUMP, () => printk.replay())],
    ['w', op('show-blocked-tasks(w)', 'Show Blocked State', DUMP, () => sysrq.report('w', print))],
  ];
}

const BACKTRACE = 'Show backtrace of all active CPUs';
const TIMERS = 'Show clockevent devices & pending hrtimers (no others)';
const REMOUNT = 'Emergency Remount R/O';
