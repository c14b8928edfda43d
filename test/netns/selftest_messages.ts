/** What the kernel's netconsole self-tests send, and how their check of fragments reads a file of glued datagrams. */

export const BASE_MESSAGE = 'netconsole selftest';

/** userdata of netcons_fragmented_msg.sh, 171 characters. */
export const LONG_VALUE = Array.from({ length: 60 }, (_, i) => `${i + 1}-`).join('');

/** Its two messages, too long for one datagram with that. */
export const LONG_MESSAGES = [
  Array.from({ length: 150 }, (_, i) => `MSG${i + 1}=`).join(''),
  Array.from({ length: 100 }, (_, i) => `FOOBAR${i + 1}=`).join(''),
] as const;

/** The datagrams of a file without the headers of fragments; a header is what stands in front of a record's first one. */
export function fragmentsText(file: string): string {
  let text = file;
  for (const [, header] of file.matchAll(/^([^\n;]*,)ncfrag=0\//gm)) {
    text = text
      .split(header!)
      .map((part) => part.replace(/^ncfrag=\d+\/\d+;/, ''))
      .join('');
  }
  return text;
}
