/**
 * PACKET_FANOUT: the kernel deals an interface's frames out to the sockets of a group, one socket a frame.
 *
 *                        +--> member 0   ring, queue of a port or a port of its own in another thread
 *     eth0 --> group ----+--> member 1
 *                        +--> member 2
 *
 *     hash      by the flow's hash: frames of one flow stay together and in order
 *     lb        each to the next one in turn
 *     cpu       by the processor that received it          qm   by the card's queue
 *     rnd       by chance
 *     rollover  to the first until its ring is full, then to the next
 *
 * A socket joins once it is bound. Between the two it would get what the group's members get as well, so it is bound with a
 * filter that refuses all; only as a member it gets the real one. What is dealt to it in between (two system calls) is lost.
 *
 * What this host sends is left out by the group, where the kernel knows the flag: a member's own wish for that does not count.
 *
 * Answers to: Documentation/networking/packet_mmap.rst (AF_PACKET fanout mode), packet(7).
 */
import { SetupError } from '../../base/status.ts';
import { check } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { PACKET_FANOUT, PACKET_FANOUT_FLAG_IGNORE_OUTGOING, PACKET_FANOUT_FLAG_UNIQUEID } from '../sys/packet.ts';
import { getOption, SOL_PACKET } from '../sys/socket.ts';

const MODES = { hash: 0, lb: 1, cpu: 2, rollover: 3, rnd: 4, qm: 5 } as const;
/** How frames are dealt out. */
export type FanoutMode = keyof typeof MODES;
export const FANOUT_MODES = Object.keys(MODES) as readonly FanoutMode[];

/** Members of one group at most, in any thread or process. (`PACKET_FANOUT_MAX` before Linux 5.15) */
export const FANOUT_MEMBERS_MAX = 256;
const GROUP_MAX = 0xffff;

export interface Fanout {
  /** 'hash' if absent. All members have the same. */
  readonly mode?: FanoutMode;
  /** Number of the group, up to 65535, in this network namespace; if absent, one that is free. All members have the same interface. */
  readonly group?: number;
}

/** Throws SetupError `ERR_NETPOLL_FANOUT` for a mode that there is not, or a number that no group can have. */
export function checkFanout({ mode, group }: Fanout): void {
  if (mode !== undefined && !FANOUT_MODES.includes(mode)) {
    throw new SetupError('ERR_NETPOLL_FANOUT', `there is no fanout "${mode}"; give ${FANOUT_MODES.join(', ')}`);
  }
  if (group !== undefined && (!Number.isInteger(group) || group < 0 || group > GROUP_MAX)) {
    throw new SetupError('ERR_NETPOLL_FANOUT', `${group} is no fanout group: give 0 to ${GROUP_MAX}`);
  }
}

/**
 * Makes the bound socket `fd` a member, and gives the group's number. Throws SetupError: the group has another mode or interface,
 * or is full.
 */
export function joinFanout(fd: number, { mode = 'hash', group }: Fanout, what: string): number {
  const request = Buffer.alloc(4);
  request.writeUInt16LE(group ?? 0, 0);
  const flags = MODES[mode] | (group === undefined ? PACKET_FANOUT_FLAG_UNIQUEID : 0);
  const join = (more: number): number => {
    request.writeUInt16LE(flags | more, 2);
    return libc().setsockopt(fd, SOL_PACKET, PACKET_FANOUT, request, 4);
  };
  check(
    join(PACKET_FANOUT_FLAG_IGNORE_OUTGOING) === 0 ? 0 : join(0),
    'setsockopt',
    `${what}: join ${group === undefined ? 'a new fanout group' : `fanout group ${group}`} (${mode})`,
    'all members of a group have the same mode and interface',
  );
  if (group !== undefined) return group;
  const answer = Buffer.alloc(4);
  check(getOption(fd, SOL_PACKET, PACKET_FANOUT, answer), 'getsockopt', `${what}: ask for its fanout group`);
  return answer.readUInt16LE(0);
}
