/**
 * This process takes SysRq commands: options for commands that log or send over netpoll, and what the keys mean to a process.
 *
 *     b   ends it with exit code 75 (EX_TEMPFAIL): whoever supervises it starts it again
 *     o   ends it with exit code 0            c   panics, then ends it with exit code 1
 *     e   SIGTERM to itself                   i   SIGKILL to itself
 *     r   gives a terminal in raw mode back   s, u, n, f   nothing of theirs is here
 *     l   the stack of this thread            m, t         memory and open resources of the process as well
 *
 * Off unless a key file is given (or plain characters are asked for).
 */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import { createSysrqListener, type SysrqListener } from '../clients/sysrq/listener.ts';
import { addSysrqNet } from '../clients/sysrq/net.ts';
import type { HostMachine } from '../host/host_machine.ts';
import { hmacSha256, randomFill } from '../host/sysrq_mac.ts';
import { Sysrq } from '../machine/sysrq.ts';
import { parseSysrqMask, SYSRQ_ENABLE_DUMP, SYSRQ_ENABLE_LOG } from '../machine/sysrq_mask.ts';
import type { SysrqWorld } from '../machine/sysrq_world.ts';
import type { NetpollOptions } from '../netpoll/options.ts';
import { SYSRQ_BOOT_ID_LEN, type SysrqMac } from '../wire/sysrq_command.ts';
import { lastComplaint } from './netpoll_client.ts';
import { readSysrqKeys, sysrqKeyOf } from './sysrq_keys.ts';
import { EXIT_FAILED, note } from './terminal.ts';

/** What the options of addSysrqOptions leave behind. */
export interface SysrqFlags {
  readonly sysrqKeyFile?: string;
  readonly sysrqMask?: string;
  readonly sysrqInsecure?: boolean;
}

/** Log level and reports, as little as is of use. */
export const SYSRQ_MASK_DEFAULT: number = SYSRQ_ENABLE_LOG | SYSRQ_ENABLE_DUMP;
/** "Try again": for a supervisor. */
const EXIT_REBOOT = 75;

/** Adds the options to a command. */
export function addSysrqOptions(command: Command): Command {
  return addSysrqKeyOptions(command).option(
    '--sysrq-insecure',
    'take plain characters from the target’s address as well: anybody can forge them',
  );
}

/** Those of authenticated commands alone. */
export function addSysrqKeyOptions(command: Command): Command {
  return command
    .option(
      '--sysrq-key-file <file>',
      'take SysRq commands (netpoll sysrq) that are authenticated with this host’s key',
    )
    .option(
      '--sysrq-mask <mask>',
      `what they may do, as kernel.sysrq; ${SYSRQ_MASK_DEFAULT} if absent (netpoll sysrq --list)`,
    );
}

/** What may be done. Throws SetupError for what is no number, and for a mask of nothing. */
export function sysrqMask({ sysrqKeyFile, sysrqMask: text, sysrqInsecure }: SysrqFlags): number {
  if (text === undefined) return SYSRQ_MASK_DEFAULT;
  const mask = parseSysrqMask(text);
  if (mask === null) throw new SetupError('ERR_NETPOLL_OPTIONS', `--sysrq-mask ${text}: give a whole number`);
  if (sysrqKeyFile === undefined && sysrqInsecure !== true) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', '--sysrq-mask wants --sysrq-key-file');
  }
  return mask;
}

/** What the flags ask for: null if nothing is to be taken. Throws SetupError for flags and files that are wrong. */
export function sysrqSecrets(flags: SysrqFlags): { mask: number; mac: SysrqMac | undefined; insecure: boolean } | null {
  const { sysrqKeyFile: file, sysrqInsecure: insecure = false } = flags;
  const mask = sysrqMask(flags);
  if (file === undefined && !insecure) return null;
  if (insecure) note(pc.yellow('insecure: whoever can send a datagram here can give SysRq commands'));
  const mac = file === undefined ? undefined : hmacSha256(sysrqKeyOf(readSysrqKeys(file), hostname(), file).key);
  return { mask, mac, insecure };
}

/** A boot id that no other boot has. */
export function newBootId(): Uint8Array {
  const id = new Uint8Array(SYSRQ_BOOT_ID_LEN);
  randomFill(id);
  return id;
}

/** Listeners of a process. */
export interface SysrqAcceptance {
  readonly listeners: readonly SysrqListener[];
  /** Before the machine is closed. */
  close(): void;
}

/**
 * Listens on the device, address and port of each of `targets`, if the flags say so; null if they do not. A machine is asked once.
 * Throws SetupError.
 */
export function acceptSysrq(
  host: HostMachine,
  targets: readonly NetpollOptions[],
  flags: SysrqFlags,
): SysrqAcceptance | null {
  const secrets = sysrqSecrets(flags);
  if (secrets === null) return null;
  const sysrq = new Sysrq(host.machine, processWorld());
  sysrq.mask = secrets.mask;
  addSysrqNet(host.net, sysrq);
  addProcessReports(sysrq);
  const listeners: SysrqListener[] = [];
  const taken = new Set<string>();
  for (const options of targets) {
    // Two targets of one device and port have one ear.
    const ear = `${options.devName} ${options.localPort}`;
    if (taken.has(ear)) continue;
    taken.add(ear);
    const made = createSysrqListener(host.net, options, sysrq, {
      ...(secrets.mac === undefined ? {} : { mac: secrets.mac, bootId: newBootId() }),
      insecure: secrets.insecure,
    });
    if (typeof made === 'number') throw new SetupError('ERR_NETPOLL_SETUP', lastComplaint(host));
    listeners.push(made);
  }
  return { listeners, close: () => closeAll(listeners) };
}

function closeAll(listeners: readonly SysrqListener[]): void {
  for (const listener of listeners) listener.close();
}

/** A process of the operating system as the world of a machine. */
export function processWorld(): SysrqWorld {
  return {
    reboot: () => process.exit(EXIT_REBOOT),
    powerOff: () => process.exit(0),
    // The panic goes on printing after its notifiers; the end is for when it has finished.
    panicNotifiers: [() => void setImmediate(() => process.exit(EXIT_FAILED))],
    signalAll: (signal) => process.kill(process.pid, signal),
    unraw: () => {
      if (process.stdin.isTTY) process.stdin.setRawMode(false);
    },
    backtrace: () =>
      (new Error('here').stack ?? '')
        .split('\n')
        .slice(1)
        .map((line) => line.trim()),
  };
}

function addProcessReports(sysrq: Sysrq): void {
  sysrq.addReport('m', (print) => {
    const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
    const kB = (bytes: number): number => Math.round(bytes / 1024);
    print(
      `process ${process.pid}: rss:${kB(rss)}kB heap:${kB(heapUsed)}kB of ${kB(heapTotal)}kB external:${kB(external)}kB`,
    );
  });
  sysrq.addReport('t', (print) => {
    const counts = new Map<string, number>();
    for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1);
    const resources = [...counts].map(([name, count]) => `${name}:${count}`).join(' ');
    print(
      `process ${process.pid}: up ${Math.round(process.uptime())} s; waits for: ${resources === '' ? 'nothing' : resources}`,
    );
  });
}
