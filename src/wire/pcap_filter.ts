/**
 * Filter expressions as tcpdump's users write them (pcap-filter(7)), compiled to a function over a frame.
 *
 *     expression   term { (and | or) term }                     equal precedence, from left to right
 *     term         not term | ( expression ) | relation | primitive
 *     primitive    [protocol] [src | dst | src or dst | src and dst] [host | net | port | portrange | proto] value
 *                  | protocol | vlan [id] | [ether | ip6 | ip] broadcast | multicast | less n | greater n
 *
 * A value alone has the qualifiers of the one before it: `port 80 or 443`. `vlan` moves everything behind it by a tag. Names of hosts
 * are not looked up. Not here: gateway, protochain, 802.11, MPLS, PPPoE, and what a capture file cannot tell (inbound, ifname).
 */

import { ETH_P_IP, ETH_P_IPV6 } from './eth.ts';
import { Arithmetic } from './filter_arithmetic.ts';
import { CONSTANTS, ETHER_NAMES, IP_NAMES } from './filter_names.ts';
import {
  allOf,
  anyOf,
  bytesAt,
  etherType,
  FIRST_NET,
  type FilterDir,
  FilterFrame,
  type FilterTest,
  ip6Protocol,
  ipProtocol,
  vlanTag,
} from './filter_tests.ts';
import { FilterError, type FilterToken, filterTokens } from './filter_tokens.ts';
import { number, type Qualifiers, valueTest } from './filter_value.ts';
import { VLAN_HLEN } from './vlan.ts';

export { FilterError } from './filter_tokens.ts';

/** True for the frame of `captured` bytes at `start`, which had `wireLen` bytes on the wire. */
export type PcapFilter = (view: DataView, start: number, captured: number, wireLen: number) => boolean;

const TYPES = ['host', 'net', 'port', 'portrange', 'proto'] as const;
const AND = ['and', '&&'];
const OR = ['or', '||'];
const NOT = ['not', '!'];
const DEPTH_MAX = 128;
const BROADCAST = new Uint8Array(6).fill(0xff);

/** Compiles; an empty expression takes everything. Throws FilterError, with the place. (`pcap_compile`) */
export function compilePcapFilter(text: string): PcapFilter {
  const tokens = filterTokens(text);
  if (tokens.length === 0) return () => true;
  const test = new Parser(tokens, text.length).parse();
  const frame = new FilterFrame();
  return (view, start, captured, wireLen) => {
    frame.view = view;
    frame.start = start;
    frame.captured = captured;
    frame.wireLen = wireLen;
    frame.failed = false;
    return test(frame) && !frame.failed;
  };
}

class Parser {
  readonly #tokens: readonly FilterToken[];
  readonly #length: number;
  #at = 0;
  #depth = 0;
  #net = FIRST_NET;
  #last: Qualifiers | null = null;

  constructor(tokens: readonly FilterToken[], length: number) {
    this.#tokens = tokens;
    this.#length = length;
  }

  parse(): FilterTest {
    const test = this.#expression();
    if (this.#at < this.#tokens.length) this.#fail(`"${this.#text()}" is one too many`);
    return test;
  }

  #text(ahead = 0): string {
    return this.#tokens[this.#at + ahead]?.text ?? '';
  }

  #accept(...texts: readonly string[]): boolean {
    if (!texts.includes(this.#text()) || this.#at >= this.#tokens.length) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(`expected "${text}"`);
  }

  #fail(message: string): never {
    throw new FilterError(message, this.#tokens[this.#at]?.at ?? this.#length);
  }

  #expression(): FilterTest {
    if (++this.#depth > DEPTH_MAX) this.#fail('too many brackets');
    let left = this.#term();
    for (;;) {
      if (this.#accept(...AND)) left = allOf(left, this.#term());
      else if (this.#accept(...OR)) left = anyOf(left, this.#term());
      else break;
    }
    this.#depth--;
    return left;
  }

  #term(): FilterTest {
    let inverted = false;
    while (this.#accept(...NOT)) inverted = !inverted;
    const test = this.#positive();
    return inverted ? (frame) => !test(frame) : test;
  }

  #positive(): FilterTest {
    if (this.#at >= this.#tokens.length) this.#fail('the expression ends too early');
    const relation = this.#relation();
    if (relation !== null) return relation;
    if (this.#accept('(')) {
      const inner = this.#expression();
      this.#expect(')');
      return inner;
    }
    return this.#primitive();
  }

  /** Arithmetic, if that is what stands here. */
  #relation(): FilterTest | null {
    const text = this.#text();
    const next = this.#text(1);
    const begins = text === 'len' || text === '-' || next === '[' || CONSTANTS.has(text);
    const bare = number(text) !== null && /^(?:[=<>!+\-*/%&|^]|==|!=|<=|>=|<<|>>)$/.test(next);
    if (!begins && !bare && text !== '(') return null;
    const arithmetic = new Arithmetic(this.#tokens, this.#at, this.#net);
    try {
      const test = arithmetic.relation();
      this.#at = arithmetic.at;
      return test;
    } catch (error) {
      if (text !== '(') throw error;
      return null;
    }
  }

  #primitive(): FilterTest {
    const text = this.#text();
    if (this.#accept('vlan')) return this.#vlan();
    if (this.#accept('less', 'greater')) {
      const limit = number(this.#text()) ?? this.#fail(`${text} wants a number`);
      this.#at++;
      return text === 'less' ? (frame) => frame.wireLen <= limit : (frame) => frame.wireLen >= limit;
    }
    const q = this.#qualifiers();
    if (this.#accept('broadcast', 'multicast')) return this.#group(q, this.#text(-1));
    if (q !== null && q.type === null && q.proto !== null && q.proto !== 'ether' && !this.#hasDir && !this.#isValue()) {
      this.#last = q;
      return this.#protocol(q.proto);
    }
    const used = q ?? this.#last ?? { proto: null, dir: 'either' as const, type: null };
    this.#last = used;
    if (q !== null && this.#accept('(')) return this.#values(used);
    return this.#value(used);
  }

  #hasDir = false;

  /** Null: there are none. */
  #qualifiers(): Qualifiers | null {
    const from = this.#at;
    let proto: string | null = null;
    const text = this.#text();
    if (text === 'ether' || ETHER_NAMES.has(text) || IP_NAMES.has(text)) {
      proto = text;
      this.#at++;
    }
    const dir = this.#dir();
    this.#hasDir = dir !== null;
    const type = TYPES.find((name) => name === this.#text()) ?? null;
    if (type !== null) this.#at++;
    return this.#at === from ? null : { proto, dir: dir ?? 'either', type };
  }

  #dir(): FilterDir | null {
    const text = this.#text();
    if (text !== 'src' && text !== 'dst') return null;
    this.#at++;
    const other = text === 'src' ? 'dst' : 'src';
    if (this.#text(1) !== other) return text;
    const both = AND.includes(this.#text());
    if (!both && !OR.includes(this.#text())) return text;
    this.#at += 2;
    return both ? 'both' : 'either';
  }

  /** What stands here can be a value: a word that means nothing else. */
  #isValue(): boolean {
    const token = this.#tokens[this.#at];
    return token?.word === true && ![...AND, ...OR, ...NOT].includes(token.text);
  }

  #values(q: Qualifiers): FilterTest {
    let left = this.#value(q);
    for (;;) {
      if (this.#accept(...AND)) left = allOf(left, this.#value(q));
      else if (this.#accept(...OR)) left = anyOf(left, this.#value(q));
      else break;
    }
    this.#expect(')');
    return left;
  }

  #value(q: Qualifiers): FilterTest {
    if (!this.#isValue()) this.#fail('expected a value');
    const token = this.#tokens[this.#at++]!;
    let mask: FilterToken | null = null;
    if (this.#accept('/', 'mask')) mask = this.#tokens[this.#at++] ?? this.#fail('expected a mask');
    const asNet = mask !== null && q.type === null ? { ...q, type: 'net' as const } : q;
    return valueTest(this.#net, asNet, token, mask);
  }

  #protocol(name: string): FilterTest {
    const type = ETHER_NAMES.get(name);
    if (type !== undefined) return etherType(this.#net, type);
    const [protocol, families] = IP_NAMES.get(name)!;
    if (families === '4') return ipProtocol(this.#net, protocol);
    const six = ip6Protocol(this.#net, protocol);
    return families === '6' ? six : anyOf(ipProtocol(this.#net, protocol), six);
  }

  #group(q: Qualifiers | null, kind: string): FilterTest {
    const net = this.#net;
    const proto = q?.proto ?? 'ether';
    if (proto === 'ether')
      return kind === 'broadcast' ? bytesAt(0, BROADCAST) : (frame) => (frame.load(0, 1) & 1) !== 0;
    if (kind === 'multicast' && proto === 'ip') {
      return allOf(etherType(net, ETH_P_IP), (frame) => frame.load(net + 16, 1) >= 224);
    }
    if (kind === 'multicast' && proto === 'ip6') {
      return allOf(etherType(net, ETH_P_IPV6), (frame) => frame.load(net + 24, 1) === 0xff);
    }
    this.#at--;
    return this.#fail(`${proto} ${kind} is not known here`);
  }

  #vlan(): FilterTest {
    const id = number(this.#text());
    if (id !== null) {
      if (id > 0xfff) this.#fail(`${id} is no VLAN id`);
      this.#at++;
    }
    const test = vlanTag(this.#net, id);
    this.#net += VLAN_HLEN;
    return test;
  }
}
