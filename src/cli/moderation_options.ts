/**
 * How interrupts come, for commands that open devices: `--coalesce` in ethtool's words, `--busy-poll` and `--share-softirqs`.
 *
 *     --coalesce off                             an interrupt as soon as there is a frame
 *     --coalesce adaptive                        by the rate: what a device has if nobody says anything
 *     --coalesce rx-usecs=50                     polled every 50 us while frames come
 *     --coalesce adaptive-rx=on,pkt-rate-high=50000,rx-usecs-high=1000
 *     --busy-poll [USECS]                        not interrupted at all: asked again and again, which takes a processor
 *     --share-softirqs                           the kernel's receive work takes turns with programs (sysctl net.core, while this runs)
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import type { CoalesceParams } from '../device/coalesce.ts';
import type { NetDevice } from '../device/net_device.ts';
import { BUSY_POLL_USECS, BusyPoll } from '../host/busy_poll.ts';
import type { HostMachine } from '../host/host_machine.ts';
import { printSoftirqShare, shareSoftirqs } from '../host/softirq_share.ts';

export interface ModerationFlags {
  readonly coalesce?: string;
  readonly busyPoll?: string | true;
  readonly shareSoftirqs?: boolean;
}

type UsecsName = 'rxUsecs' | 'rxUsecsLow' | 'rxUsecsHigh' | 'pktRateLow' | 'pktRateHigh';
const NUMBERS: Readonly<Record<string, UsecsName>> = {
  'rx-usecs': 'rxUsecs',
  'rx-usecs-low': 'rxUsecsLow',
  'rx-usecs-high': 'rxUsecsHigh',
  'pkt-rate-low': 'pktRateLow',
  'pkt-rate-high': 'pktRateHigh',
};
const WORDS = ['off', 'adaptive', 'adaptive-rx=on', ...Object.keys(NUMBERS).map((name) => `${name}=N`)].join(', ');

export function addModerationOptions(command: Command): Command {
  return command
    .option('--coalesce <words>', 'interrupt moderation, as ethtool -C: off, adaptive (the default), rx-usecs=50, ...')
    .option('--busy-poll [usecs]', `poll without interrupts, so long a turn (${BUSY_POLL_USECS}); takes a processor`)
    .option(
      '--share-softirqs',
      'have the kernel receive in turns with programs, for RPS under overload (root; sysctl)',
    );
}

/** What openDevice takes as `coalesce`. Throws SetupError `ERR_NETPOLL_OPTIONS`. */
export function parseCoalesce(text: string | undefined): Partial<CoalesceParams> {
  if (text === undefined || text === 'adaptive') return {};
  if (text === 'off') return { adaptiveRx: false, rxUsecs: 0 };
  const given: { -readonly [Name in keyof CoalesceParams]?: CoalesceParams[Name] } = {};
  for (const word of text.split(',')) {
    const [name = '', value = ''] = word.split('=', 2);
    const number = NUMBERS[name];
    if (name === 'adaptive-rx' && (value === 'on' || value === 'off')) given.adaptiveRx = value === 'on';
    else if (number !== undefined && /^\d{1,9}$/.test(value)) given[number] = Number(value);
    else throw new SetupError('ERR_NETPOLL_OPTIONS', `--coalesce ${text}: "${word}" is none of ${WORDS}`);
  }
  // As with ethtool, but for the default: a fixed time alone means that it is to be fixed.
  if (given.rxUsecs !== undefined && given.adaptiveRx === undefined) given.adaptiveRx = false;
  return given;
}

/**
 * Begins what was asked for; null: nothing was. `note` is told what that changed on this machine. Throws SetupError `ERR_NETPOLL_OPTIONS`.
 */
export function startModeration(
  host: HostMachine,
  devices: readonly NetDevice[],
  flags: ModerationFlags,
  note: (text: string) => void,
): { stop(): void } | null {
  const poll = busyPollOf(host, flags);
  if (poll === null && flags.shareSoftirqs !== true) return null;
  for (const dev of devices) poll?.add(dev);
  const shared = flags.shareSoftirqs === true ? shareSoftirqs() : null;
  if (shared !== null) note(printSoftirqShare(shared));
  return {
    stop() {
      poll?.stop();
      shared?.close();
    },
  };
}

function busyPollOf(host: HostMachine, flags: ModerationFlags): BusyPoll | null {
  if (flags.busyPoll === undefined) return null;
  const usecs = flags.busyPoll === true ? BUSY_POLL_USECS : Number(flags.busyPoll);
  if (!Number.isInteger(usecs) || usecs < 1 || usecs > 1_000_000) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `--busy-poll ${flags.busyPoll}: give microseconds, from 1 to 1000000`);
  }
  return new BusyPoll(host.net, usecs);
}
