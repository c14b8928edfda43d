/**
 * Arithmetic of filters: `tcp[13] & 2 != 0`, `ip[2:2] - 20 > 100`, `len >= 64`. Numbers are unsigned, 32 bits.
 *
 *     relation   sum (= | == | != | < | > | <= | >=) sum
 *     sum        by precedence, lowest first:  | & ^     << >>     + -     * / %
 *     atom       number | name | len | protocol [ sum : 1|2|4 ] | ( sum ) | - atom
 *
 * A protocol in it is a question too: the relation is false for frames that do not have it.
 */
import { ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { CONSTANTS, ETHER_NAMES, IP_NAMES } from './filter_names.ts';
import {
  aboveIp,
  allOf,
  etherType,
  type FilterTest,
  type FilterValue,
  firstFragment,
  ipProtocol,
} from './filter_tests.ts';
import { FilterError, type FilterToken } from './filter_tokens.ts';
import { number } from './filter_value.ts';

const LEVELS: readonly (readonly string[])[] = [
  ['|', '&', '^'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];
const RELATIONS = ['=', '==', '!=', '<', '>', '<=', '>='];
/** Brackets inside brackets. */
const DEPTH_MAX = 64;

export class Arithmetic {
  readonly #tokens: readonly FilterToken[];
  readonly #net: number;
  readonly #needs: FilterTest[] = [];
  /** Next token. */
  at: number;
  #depth = 0;

  /** Reads from token `at`; `net` is where the network header starts. */
  constructor(tokens: readonly FilterToken[], at: number, net: number) {
    this.#tokens = tokens;
    this.#net = net;
    this.at = at;
  }

  /** The relation that starts here; throws FilterError where there is none. */
  relation(): FilterTest {
    const left = this.#sum(0);
    const sign = this.#text();
    if (!RELATIONS.includes(sign)) this.#fail('expected a comparison');
    this.at++;
    const right = this.#sum(0);
    return allOf(...this.#needs, (frame) => compare(sign, left(frame), right(frame)));
  }

  #text(): string {
    return this.#tokens[this.at]?.text ?? '';
  }

  #fail(message: string): never {
    const token = this.#tokens[this.at] ?? this.#tokens.at(-1);
    throw new FilterError(message, token?.at ?? 0);
  }

  #expect(text: string): void {
    if (this.#text() !== text) this.#fail(`expected "${text}"`);
    this.at++;
  }

  #sum(level: number): FilterValue {
    const signs = LEVELS[level];
    if (signs === undefined) return this.#atom();
    let left = this.#sum(level + 1);
    while (signs.includes(this.#text())) {
      const sign = this.#text();
      this.at++;
      left = operation(sign, left, this.#sum(level + 1));
    }
    return left;
  }

  #atom(): FilterValue {
    if (++this.#depth > DEPTH_MAX) this.#fail('too many brackets');
    const value = this.#primary();
    this.#depth--;
    return value;
  }

  #primary(): FilterValue {
    const text = this.#text();
    this.at++;
    if (text === '(') {
      const inner = this.#sum(0);
      this.#expect(')');
      return inner;
    }
    if (text === '-') {
      const inner = this.#atom();
      return (frame) => -inner(frame) >>> 0;
    }
    if (text === 'len') return (frame) => frame.wireLen;
    const value = number(text) ?? CONSTANTS.get(text);
    if (value !== undefined) return () => value;
    if (this.#text() === '[') return this.#bytes(text);
    this.at--;
    return this.#fail(`expected a number, len or a protocol with [offset], not "${text}"`);
  }

  #bytes(protocol: string): FilterValue {
    const base = this.#base(protocol);
    this.at++;
    const offset = this.#sum(0);
    let size = 1;
    if (this.#text() === ':') {
      this.at++;
      size = number(this.#text()) ?? 0;
      if (size !== 1 && size !== 2 && size !== 4) this.#fail('a size is 1, 2 or 4');
      this.at++;
    }
    this.#expect(']');
    return (frame) => frame.load(base(frame) + offset(frame), size);
  }

  /** Where the protocol's header starts; adds what must be true for it to be there. */
  #base(protocol: string): FilterValue {
    const net = this.#net;
    if (protocol === 'ether' || protocol === 'link') return () => 0;
    const type = ETHER_NAMES.get(protocol);
    if (type !== undefined) {
      this.#needs.push(etherType(net, type));
      return () => net;
    }
    if (protocol === 'icmp6') {
      this.#needs.push(etherType(net, ETH_P_IPV6), (frame) => frame.load(net + 6, 1) === 58);
      return () => net + 40;
    }
    const above = IP_NAMES.get(protocol);
    if (above === undefined) {
      this.at--;
      this.#fail(`unknown protocol "${protocol}"`);
    }
    this.#needs.push(etherType(net, ETH_P_IP), ipProtocol(net, above[0]), firstFragment(net));
    return aboveIp(net);
  }
}

function operation(sign: string, left: FilterValue, right: FilterValue): FilterValue {
  return (frame) => {
    const a = left(frame);
    const b = right(frame);
    switch (sign) {
      case '|':
        return (a | b) >>> 0;
      case '&':
        return (a & b) >>> 0;
      case '^':
        return (a ^ b) >>> 0;
      case '<<':
        return b > 31 ? 0 : (a << b) >>> 0;
      case '>>':
        return b > 31 ? 0 : a >>> b;
      case '+':
        return (a + b) >>> 0;
      case '-':
        return (a - b) >>> 0;
      case '*':
        return Math.imul(a, b) >>> 0;
      default:
        if (b === 0) {
          frame.failed = true;
          return 0;
        }
        return sign === '/' ? Math.floor(a / b) : a % b;
    }
  };
}

function compare(sign: string, a: number, b: number): boolean {
  switch (sign) {
    case '=':
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '>':
      return a > b;
    case '<=':
      return a <= b;
    default:
      return a >= b;
  }
}
