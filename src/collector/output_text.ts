/**
 * Messages for people at a terminal: time, host, level, text.
 *
 *   03:12:45.123  10.77.0.42       warn   [   6.771386] Oops: 0000 [#1] PREEMPT SMP NOPTI
 *
 * No control character from the wire reaches the terminal (see printableText). Colours follow the level; a panic's block
 * has a bar at its left side and its title in reverse. Without colours (a pipe, NO_COLOR) the bar is there all the same.
 */

import pc from 'picocolors';
import { printableText } from '../wire/netconsole_text.ts';
import type { Message } from './message.ts';
import type { Block } from './panic.ts';

export const levelNames = ['emerg', 'alert', 'crit', 'err', 'warn', 'notice', 'info', 'debug'] as const;

/** Name of a level, or `-` where there is none. */
export function levelName(level: number | null): string {
  return level === null ? '-' : (levelNames[level] ?? `${level}`);
}

/** Gives the lines of a message, with their newlines. `block`: the report that it belongs to. */
export type TextOutput = (message: Message, block: Block | null) => string;

/** `color`: whether to write colours; default: what the terminal and NO_COLOR say. */
export function textOutput(color = pc.isColorSupported): TextOutput {
  const paint = pc.createColors(color);
  const byLevel = [paint.red, paint.red, paint.red, paint.red, paint.yellow, paint.bold, String, paint.dim];
  return (message, block) => {
    const time = message.received.slice(11, 23);
    const style = byLevel[message.level ?? 6] ?? String;
    // A warning's colour is for its level only: a report has dozens of such lines.
    const textStyle = message.level === 4 ? String : style;
    const inPanic = block !== null && block.kind !== 'warning';
    const bar = inPanic ? paint.red('┃') : ' ';
    const host = printableText(message.host).padEnd(15);
    const level = style(levelName(message.level).padEnd(6));
    const stamp = message.usec === null ? '' : `${paint.dim(bootTime(message.usec))} `;
    const isTitle = block !== null && block.title === message.text && inPanic;
    const lines = printableText(message.text, true).split('\n');
    const painted = lines.map((line) =>
      isTitle ? paint.inverse(paint.red(paint.bold(` ${line} `))) : textStyle(line),
    );
    return `${paint.dim(time)} ${bar} ${paint.cyan(host)} ${level} ${stamp}${painted.join(`\n${' '.repeat(13)}${bar} `)}\n`;
  };
}

/** `[    6.771386]`, exact for any u64 of microseconds. */
export function bootTime(usec: string): string {
  const digits = usec.padStart(7, '0');
  return `[${digits.slice(0, -6).padStart(5)}.${digits.slice(-6)}]`;
}
