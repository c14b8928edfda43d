/**
 * Words and signs of a filter expression, and the error that points at one of them.
 */

export interface FilterToken {
  readonly text: string;
  /** Position in the expression. */
  readonly at: number;
  /** A number or a name; else an operator or a bracket. */
  readonly word: boolean;
}

/** An expression that cannot be compiled; `at` is where. */
export class FilterError extends Error {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.name = 'FilterError';
    this.at = at;
  }
}

const SIGNS = /^(?:&&|\|\||<<|>>|<=|>=|==|!=|[()[\]<>=!+\-*/%&|^:])/;
/** Names, numbers, addresses, ranges: 10.0.0.1, fe80::1, 02:00:00:00:00:01, 6000-6010, tcp-syn, \udp. */
const WORD = /^(?:[0-9A-Za-z\\_]|::)[0-9A-Za-z_.:-]*/;
/** Inside [ ] a colon divides offset and size. */
const INDEX_WORD = /^(?:0x[0-9A-Fa-f]+|[0-9]+|[A-Za-z][0-9A-Za-z-]*)/;

/** Throws FilterError at a character that begins nothing. */
export function filterTokens(text: string): FilterToken[] {
  const tokens: FilterToken[] = [];
  let brackets = 0;
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const space = /^\s+/.exec(rest);
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    const word = (brackets > 0 ? INDEX_WORD : WORD).exec(rest);
    const found = word ?? SIGNS.exec(rest);
    if (found === null) throw new FilterError(`"${rest[0]}" means nothing here`, at);
    if (found[0] === '[') brackets++;
    if (found[0] === ']') brackets--;
    tokens.push({ text: found[0], at, word: word !== null });
    at += found[0].length;
  }
  return tokens;
}
