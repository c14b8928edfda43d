/**
 * Addresses as text: MAC, IPv4, IPv6. Strict parsers (null for anything that is not wholly an address), printers in the
 * forms that the kernel prints (`%pM`, `%pI4`, `%pI6c`).
 *
 * In memory a MAC is 6 bytes, an IPv4 address an unsigned 32-bit integer in host order, an IPv6 address 16 bytes.
 */

/** `xx:xx:xx:xx:xx:xx`, hexadecimal, exactly. (`mac_pton`, without its tolerance for what follows) */
export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text)) return null;
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

export function printMac(bytes: Uint8Array, o = 0): string {
  let out = '';
  for (let i = 0; i < 6; i++) out += (i === 0 ? '' : ':') + (bytes[o + i] ?? 0).toString(16).padStart(2, '0');
  return out;
}

/** Four decimal numbers of at most three digits, 0 to 255 each. */
export function parseIpv4(text: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  let value = 0;
  for (let i = 1; i <= 4; i++) {
    const part = Number(match[i]);
    if (part > 255) return null;
    value = value * 256 + part;
  }
  return value;
}

export function printIpv4(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** RFC 4291 text: groups, one `::`, an IPv4 tail. No zone. */
export function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const front = parseGroups(halves[0]!, halves.length === 1);
  const back = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (front === null || back === null) return null;
  const missing = 8 - front.length - back.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...front, ...new Array<number>(missing).fill(0), ...back];
  const out = new Uint8Array(16);
  for (let i = 0; i < 8; i++) {
    out[2 * i] = groups[i]! >>> 8;
    out[2 * i + 1] = groups[i]! & 255;
  }
  return out;
}

function parseGroups(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (last && i === parts.length - 1 && part.includes('.')) {
      const tail = parseIpv4(part);
      if (tail === null) return null;
      groups.push(tail >>> 16, tail & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/**
 * RFC 5952: lower case, the longest run of two or more zero groups as `::`, the first of equals. An address that carries an
 * IPv4 address (mapped, or ISATAP) ends in its dotted form.
 */
export function printIpv6(bytes: Uint8Array, o = 0): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(((bytes[o + 2 * i] ?? 0) << 8) | (bytes[o + 2 * i + 1] ?? 0));
  const mapped = groups[5] === 0xffff && groups.every((group, i) => i >= 5 || group === 0);
  const isatap = (groups[4]! | 0x0200) === 0x0200 && groups[5] === 0x5efe;
  const size = mapped || isatap ? 6 : 8;
  let start = -1;
  let length = 1;
  for (let i = 0; i < size; i++) {
    let run = 0;
    while (i + run < size && groups[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
    if (run > 0) i += run - 1;
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  const text = start < 0 ? hex(0, size) : `${hex(0, start)}::${hex(start + length, size)}`;
  if (size === 8) return text;
  const tail = printIpv4(groups[6]! * 0x10000 + groups[7]!);
  return text.endsWith(':') ? text + tail : `${text}:${tail}`;
}

/** An IP address of either family. */
export type IpAddress = { readonly family: 4; readonly v4: number } | { readonly family: 6; readonly v6: Uint8Array };

/** IPv4 or IPv6 text; null for anything else. */
export function parseIp(text: string): IpAddress | null {
  const v4 = parseIpv4(text);
  if (v4 !== null) return { family: 4, v4 };
  const v6 = text.includes(':') ? parseIpv6(text) : null;
  return v6 === null ? null : { family: 6, v6 };
}

export function printIp(address: IpAddress): string {
  return address.family === 4 ? printIpv4(address.v4) : printIpv6(address.v6);
}
