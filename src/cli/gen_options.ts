/**
 * How netpoll gen reads numbers: ranges, and K, M, G behind a number.
 */
import { SetupError } from '../base/status.ts';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** `a-b`, or `a` for both ends. */
export function range(text: string): [min: string, max: string] {
  const [min = '', max = min, more] = text.split('-');
  if (min === '' || max === '' || more !== undefined) throw wrong(text, 'give one value, or two with - between them');
  return [min, max];
}

/** Frames a second: 1000, 1k, 2.5M. */
export function rate(text: string): number {
  const value = scaled('--rate', text);
  if (value <= 0 || value > 1e9) throw wrong(`--rate ${text}`, 'give frames a second, or max');
  return value;
}

/** A whole number above 0, with a unit or none. */
export function size(option: string, text: string): number {
  const value = Math.round(scaled(option, text));
  if (value < 1) throw wrong(`${option} ${text}`, 'give a number above 0');
  return value;
}

export function seconds(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 2 ** 31 / 1000)) throw wrong(`${option} ${text}`, 'give seconds, more than 0');
  return value;
}

export function dec(option: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw wrong(`${option} ${text}`, 'give a whole number');
  return Number(text);
}

function scaled(option: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kKmMgG]?)$/.exec(text);
  if (match === null) throw wrong(`${option} ${text}`, 'give a number, as 1000, 100k or 2.5M');
  return Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
}

function wrong(what: string, why: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', `${what}: ${why}`);
}
