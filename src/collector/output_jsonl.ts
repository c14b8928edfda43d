/** One JSON object a line, exactly the fields of `Message`: for programs. */

import type { Message } from './message.ts';

/** The line, with its newline. Lone surrogates (bytes that were no UTF-8) come out as `\udcXX`, so the line is ASCII-safe. */
export function jsonLine(message: Message): string {
  const { host, received, seq, level, facility, usec, cont, release, text, dict, format } = message;
  return `${JSON.stringify({ host, received, seq, level, facility, usec, cont, release, text, dict, format })}\n`;
}
