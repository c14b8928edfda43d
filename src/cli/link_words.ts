/**
 * The words behind `netpoll link set` and `netpoll link add`, which are those of `ip link`: a word, and its value where it has one.
 *
 *     set DEV   up | down | mtu N | address MAC | broadcast MAC | name NAME | alias TEXT | txqueuelen N | promisc on|off | ...
 *     add       [link DEV] [name] NAME [the same words] type veth [peer [name] NAME [the same words]] | vlan id N [protocol P]
 *               | dummy | bridge [stp_state 0|1] [vlan_filtering 0|1] | tap [multi_queue] [vnet_hdr]
 */
import { SetupError } from '../base/status.ts';
import type { LinkChange, LinkKind, NewLink, NewTap } from '../host/netlink/link_change.ts';
import { parseMac } from '../wire/address.ts';

/** Mutable while it is read. */
type Change = { -readonly [Word in keyof LinkChange]: LinkChange[Word] };
type Queues = { txQueues?: number; rxQueues?: number };

/** Looks up an interface's number by its name; throws if there is none. */
export type IndexOf = (name: string) => number;

/** What `set` is to change. Throws SetupError `ERR_NETPOLL_OPTIONS` that names the word. */
export function parseChange(words: readonly string[], indexOf: IndexOf): LinkChange {
  const change: Change = {};
  const rest = new Words(words);
  while (rest.more) if (!takeWord(rest, change, indexOf)) throw unknown(rest.peek(), 'set');
  if (Object.keys(change).length === 0) throw refusal('nothing to set; see netpoll link --help');
  return change;
}

/** What `add` is to make. Throws SetupError `ERR_NETPOLL_OPTIONS`. */
export function parseNewLink(
  words: readonly string[],
  indexOf: IndexOf,
): (NewLink | NewTap) & { readonly name: string } {
  const change: Change & Queues = {};
  const rest = new Words(words);
  let link: string | null = null;
  let name: string | null = null;
  while (rest.more && rest.peek() !== 'type') {
    if (rest.take('link')) link = rest.value('link');
    else if (rest.take('name') || rest.take('dev')) name = rest.value('name');
    else if (rest.take('numtxqueues')) change.txQueues = rest.number('numtxqueues', 1, 65535);
    else if (rest.take('numrxqueues')) change.rxQueues = rest.number('numrxqueues', 1, 65535);
    else if (takeWord(rest, change, indexOf)) continue;
    else if (name === null) name = rest.next();
    else throw unknown(rest.peek(), 'add');
  }
  if (!rest.take('type')) throw refusal('not enough information: "type" argument is required');
  if (name === null) throw refusal('not enough information: a name is required');
  const kind = parseKind(rest, link, indexOf);
  if (rest.more) throw unknown(rest.peek(), kind.kind);
  return { ...change, name, ...kind };
}

function parseKind(rest: Words, link: string | null, indexOf: IndexOf): LinkKind | NewTap {
  const kind = rest.value('type');
  switch (kind) {
    case 'dummy':
      return { kind };
    case 'veth':
      return { kind, peer: rest.take('peer') ? parsePeer(rest, indexOf) : {} };
    case 'vlan': {
      if (link === null) throw refusal('a vlan stands on a device: link DEV');
      let id = -1;
      let protocol: 0x8100 | 0x88a8 | undefined;
      while (rest.more) {
        if (rest.take('id')) id = rest.number('id', 0, 4095);
        else if (rest.take('protocol')) protocol = rest.oneOf('protocol', { '802.1q': 0x8100, '802.1ad': 0x88a8 });
        else break;
      }
      if (id < 0) throw refusal('a vlan needs its number: id N');
      return { kind, link: indexOf(link), id, ...(protocol === undefined ? {} : { protocol }) };
    }
    case 'bridge': {
      const found: { stp?: boolean; vlanFiltering?: boolean } = {};
      while (rest.more) {
        if (rest.take('stp_state')) found.stp = rest.number('stp_state', 0, 1) === 1;
        else if (rest.take('vlan_filtering')) found.vlanFiltering = rest.number('vlan_filtering', 0, 1) === 1;
        else break;
      }
      return { kind, ...found };
    }
    case 'tap': {
      const found: { multiQueue?: boolean; vnetHeader?: boolean } = {};
      while (rest.more) {
        if (rest.take('multi_queue')) found.multiQueue = true;
        else if (rest.take('vnet_hdr')) found.vnetHeader = true;
        else break;
      }
      return { kind, ...found };
    }
    default:
      throw refusal(`type ${kind}: there are veth, dummy, vlan, bridge and tap`);
  }
}

function parsePeer(rest: Words, indexOf: IndexOf): LinkChange {
  const peer: Change = {};
  while (rest.more) {
    if (rest.take('name')) peer.name = rest.value('name');
    else if (takeWord(rest, peer, indexOf)) continue;
    else if (peer.name === undefined) peer.name = rest.next();
    else break;
  }
  return peer;
}

/** Takes one word of `set` with its value. False: it is none. */
function takeWord(rest: Words, change: Change, indexOf: IndexOf): boolean {
  const word = rest.peek();
  const onOff = (): boolean => rest.oneOf(word, { on: true, off: false });
  const u32 = (): number => rest.number(word, 0, 0xffffffff);
  const known: Readonly<Record<string, () => void>> = {
    up: () => (change.up = true),
    down: () => (change.up = false),
    mtu: () => (change.mtu = u32()),
    address: () => (change.address = rest.mac(word)),
    broadcast: () => (change.broadcast = rest.mac(word)),
    name: () => (change.name = rest.value(word)),
    alias: () => (change.alias = rest.value(word)),
    txqueuelen: () => (change.txQueueLen = u32()),
    gso_max_size: () => (change.gsoMaxSize = u32()),
    gso_max_segs: () => (change.gsoMaxSegs = u32()),
    group: () => (change.group = u32()),
    promisc: () => (change.promisc = onOff()),
    allmulticast: () => (change.allmulticast = onOff()),
    multicast: () => (change.multicast = onOff()),
    arp: () => (change.arp = onOff()),
    master: () => (change.master = indexOf(rest.value(word))),
    nomaster: () => (change.master = 0),
    netns: () => (change.netnsPid = rest.number(word, 1, 0x7fffffff)),
  };
  const synonyms: Readonly<Record<string, string>> = { brd: 'broadcast', txqlen: 'txqueuelen', qlen: 'txqueuelen' };
  const take = known[synonyms[word] ?? word];
  if (take === undefined || !rest.take(word)) return false;
  take();
  return true;
}

/** What is left of the command line. */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get more(): boolean {
    return this.#at < this.#words.length;
  }

  peek(): string {
    return this.#words[this.#at] ?? '';
  }

  next(): string {
    return this.#words[this.#at++] ?? '';
  }

  /** True: it was this word, and is taken. */
  take(word: string): boolean {
    if (!this.more || this.peek() !== word) return false;
    this.#at++;
    return true;
  }

  value(word: string): string {
    if (!this.more) throw refusal(`${word}: a value is missing`);
    return this.next();
  }

  number(word: string, least: number, most: number): number {
    const text = this.value(word);
    const value = Number(text);
    if (/^(\d+|0x[0-9a-f]+)$/i.test(text) && value >= least && value <= most) return value;
    throw refusal(`${word} ${text}: give a whole number from ${least} to ${most}`);
  }

  mac(word: string): Uint8Array {
    const text = this.value(word);
    const mac = parseMac(text);
    if (mac === null) throw refusal(`${word} ${text}: give six bytes, 02:00:00:00:00:01`);
    return mac;
  }

  oneOf<T>(word: string, values: Readonly<Record<string, T>>): T {
    const text = this.value(word);
    const value = Object.entries(values).find(([name]) => name === text.toLowerCase())?.[1];
    if (value === undefined) throw refusal(`${word} ${text}: give ${Object.keys(values).join(' or ')}`);
    return value;
  }
}

function unknown(word: string, where: string): SetupError {
  return refusal(`${where}: "${word}" is no word of it; see netpoll link --help`);
}

function refusal(why: string): SetupError {
  return new SetupError('ERR_NETPOLL_OPTIONS', `link: ${why}`);
}
