/**
 * What all commands share towards the person at the terminal: errors in one form, the end by Ctrl-C.
 *
 * stdout carries results, stderr everything else. Exit codes: 0 done, 1 it went wrong, 2 the command line is wrong.
 */
import pc from 'picocolors';
import { SetupError } from '../base/status.ts';
import type { Machine } from '../machine/machine.ts';
import { Loglevel } from '../machine/printk.ts';

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Codes of errors that are about what was typed. */
const USAGE_CODES: readonly string[] = ['ERR_NETPOLL_LISTEN', 'ERR_NETPOLL_OPTIONS', 'ERR_NETPOLL_SPEC'];

/** A line on stderr. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Shows what the machine's log says of real interfaces: set down, deleted, back, with what is to be done about it. */
export function showNetLog(machine: Machine): void {
  const decoder = new TextDecoder();
  machine.printk.registerConsole({
    name: 'stderr',
    write: ({ dict, level, text }) => {
      if (dict.subsystem !== 'net') return;
      const line = decoder.decode(text);
      note(level <= Loglevel.WARNING ? pc.yellow(line) : line);
    },
  });
}

/** Prints what went wrong and ends the process: a sentence for a SetupError, the whole stack for what we did not expect. */
export function die(error: unknown): never {
  if (error instanceof SetupError) {
    note(`${pc.red('netpoll:')} ${error.message}`);
    process.exit(USAGE_CODES.includes(error.code) ? EXIT_USAGE : EXIT_FAILED);
  }
  note(`${pc.red('netpoll:')} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(EXIT_FAILED);
}

/** Runs `stop` once, at the first SIGINT or SIGTERM; a second one ends the process at once. */
export function onStop(stop: () => void): void {
  let stopping = false;
  const handler = () => {
    if (stopping) process.exit(EXIT_FAILED);
    stopping = true;
    stop();
  };
  process.on('SIGINT', handler);
  process.on('SIGTERM', handler);
}

/** A reader that went away (`| head`) is the end, not an error. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
