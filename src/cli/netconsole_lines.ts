/**
 * Lines of text as records of a log.
 *
 *     hello                             what a user writes: priority <12> (user, warning), printed now
 *     <6>hello                          with a priority, as /dev/kmsg takes it: user's facility unless another is given
 *     <6>[   12.345678] eth0: link up   a line of a log (`dmesg --raw`, /proc/kmsg): taken as it is, time and facility too
 */
import type { Printk } from '../machine/printk.ts';
import { parseBasicLine } from '../wire/netconsole_parse.ts';
import { encodeText } from '../wire/netconsole_text.ts';

const FACILITY_USER = 1;

/** Prints one line, without its newline. (devkmsg_write) */
export function printLine(printk: Printk, line: string): void {
  const read = parseBasicLine(line);
  if (read.usec !== null) {
    printk.printk(read.level ?? printk.defaultMessageLoglevel, encodeText(`${read.text}\n`), {
      facility: read.facility ?? 0,
      tsUs: Number(read.usec),
      ...(read.caller === null ? {} : { caller: read.caller }),
    });
    return;
  }
  const match = /^<(\d{1,9})>/.exec(line);
  const prio = match === null ? printk.defaultMessageLoglevel : Number(match[1]);
  printk.printk(prio & 7, encodeText(`${line.slice(match?.[0].length ?? 0)}\n`), {
    facility: (prio >>> 3) & 255 || FACILITY_USER,
  });
}
