/**
 * Interfaces in the words of iproute2: `ip link`, `ip -d -s link`, and their JSON. One look for devices of ours (ls_link.ts) and for
 * the kernel's (link_kernel.ts); each fills in what it knows.
 *
 *     2: eth0@eth1: <BROADCAST,UP> mtu 1500 qdisc noqueue master br0 state UP mode DEFAULT group default qlen 1000
 *         link/ether MAC brd MAC link-netns x promiscuity 0  allmulti 0 minmtu 68 maxmtu 65535
 *         kind and its figures
 *         kind of the device on top, and what this one is to it; IPv6, queues, sizes
 *         RX: ...                                                                                     link_stats_look.ts
 */
import { type StatsLook, statsJson, statsText } from './link_stats_look.ts';

/** A word of iproute2 and its value: as text, and under its name in JSON, which is sometimes another one. */
export interface Fact {
  readonly text: string;
  readonly key: string;
  readonly value: string | number | boolean | readonly string[];
}

/** What a kind of interface has of its own; `facts` with other than an empty text are shown. */
export interface KindLook {
  readonly kind: string;
  readonly facts: readonly Fact[];
}

export interface LinkDetails {
  readonly promiscuity: number | null;
  readonly allmulti: number | null;
  readonly minMtu: number | null;
  readonly maxMtu: number | null;
  readonly kind: KindLook | null;
  readonly slave: KindLook | null;
  readonly addrGenMode: string | null;
  /** numtxqueues and what follows it, by JSON's names. */
  readonly sizes: readonly (readonly [text: string, key: string, value: number | null])[];
}

export interface LinkLook {
  readonly ifindex: number;
  readonly name: string;
  /** The device below, or at the other end: by name, by number in another namespace, or none although it belongs to one. */
  readonly lower: { readonly name: string } | { readonly ifindex: number } | 'none' | null;
  readonly flags: readonly string[];
  readonly mtu: number;
  /** `xdp`, `xdpgeneric`, and the program's number. */
  readonly xdp: { readonly word: string; readonly mode: number; readonly program: number } | null;
  readonly qdisc: string | null;
  readonly master: string | null;
  readonly operstate: string;
  readonly mode: string;
  readonly group: string;
  readonly txQueueLen: number | null;
  readonly type: string;
  readonly address: string | null;
  readonly broadcast: string | null;
  readonly permanent: string | null;
  /** Of the device at the other end: number and, if it has one, name of its namespace. */
  readonly netns: { readonly id: number; readonly name: string | null } | null;
  readonly alias: string | null;
  readonly details: LinkDetails | null;
  readonly stats: StatsLook | null;
}

export interface LookOptions {
  readonly details: boolean;
  /** 1: counters; 2: errors by kind too. */
  readonly stats: number;
}

/** One interface as `ip link show` prints it. */
export function lookText(look: LinkLook, options: LookOptions): string {
  const { lower, xdp } = look;
  const at =
    lower === null ? '' : lower === 'none' ? '@NONE' : 'name' in lower ? `@${lower.name}` : `@if${lower.ifindex}`;
  const head = [`${look.ifindex}: ${look.name}${at}: <${look.flags.join(',')}> mtu ${look.mtu}`];
  if (xdp !== null) head.push(xdp.word);
  if (look.qdisc !== null) head.push(`qdisc ${look.qdisc}`);
  if (look.master !== null) head.push(`master ${look.master}`);
  head.push(`state ${look.operstate} mode ${look.mode} group ${look.group}`);
  if (look.txQueueLen !== null && look.txQueueLen > 0) head.push(`qlen ${look.txQueueLen}`);
  let text = `${head.join(' ')}\n    link/${look.type}`;
  if (look.address !== null) text += ` ${look.address}`;
  if (look.broadcast !== null) text += `${look.flags.includes('POINTOPOINT') ? ' peer' : ' brd'} ${look.broadcast}`;
  if (look.permanent !== null) text += ` permaddr ${look.permanent}`;
  if (look.netns !== null)
    text += ` link-netns${look.netns.name === null ? `id ${look.netns.id}` : ` ${look.netns.name}`}`;
  // Where nothing follows the hardware type, iproute2 leaves its space behind.
  if (look.address === null && look.netns === null) text += ' ';
  if (options.details && look.details !== null) text += detailsText(look.details);
  if (look.alias !== null) text += `\n    alias ${look.alias}`;
  if (xdp !== null) text += `\n    prog/xdp id ${xdp.program} `;
  text += '\n';
  if (options.stats > 0 && look.stats !== null) text += statsText(look.stats, options.stats > 1);
  return text;
}

function detailsText({ promiscuity, allmulti, minMtu, maxMtu, kind, slave, addrGenMode, sizes }: LinkDetails): string {
  let text = '';
  if (promiscuity !== null) text += ` promiscuity ${promiscuity} `;
  if (allmulti !== null) text += ` allmulti ${allmulti} `;
  if (minMtu !== null) text += `minmtu ${minMtu} `;
  if (maxMtu !== null) text += `maxmtu ${maxMtu} `;
  const facts = (look: KindLook): string =>
    look.facts.map((fact) => (fact.text === '' ? '' : `${fact.text} `)).join('');
  if (kind !== null) text += `\n    ${kind.kind} ${facts(kind)}`;
  if (slave !== null) text += `\n    ${slave.kind}_slave ${facts(slave)}`;
  if (addrGenMode !== null) text += `addrgenmode ${addrGenMode} `;
  for (const [word, , value] of sizes) if (value !== null) text += `${word} ${value} `;
  return text;
}

/** One interface as an object of `ip -j link show`. */
export function lookJson(look: LinkLook, options: LookOptions): object {
  const { lower, xdp } = look;
  const below =
    lower === null
      ? {}
      : lower === 'none'
        ? { link: null }
        : 'name' in lower
          ? { link: lower.name }
          : { link_index: lower.ifindex };
  return {
    ifindex: look.ifindex,
    ...below,
    ifname: look.name,
    flags: look.flags,
    mtu: look.mtu,
    ...(xdp === null ? {} : { xdp: xdpJson(xdp) }),
    ...(look.qdisc === null ? {} : { qdisc: look.qdisc }),
    ...(look.master === null ? {} : { master: look.master }),
    operstate: look.operstate,
    linkmode: look.mode,
    group: look.group,
    ...(look.txQueueLen === null || look.txQueueLen === 0 ? {} : { txqlen: look.txQueueLen }),
    link_type: look.type,
    ...(look.address === null ? {} : { address: look.address }),
    ...(look.broadcast === null ? {} : { broadcast: look.broadcast }),
    ...(look.permanent === null ? {} : { permaddr: look.permanent }),
    ...(look.netns === null ? {} : { link_netnsid: look.netns.id }),
    ...(options.details && look.details !== null ? detailsJson(look.details) : {}),
    ...(look.alias === null ? {} : { ifalias: look.alias }),
    ...(options.stats > 0 && look.stats !== null ? { stats64: statsJson(look.stats, options.stats > 1) } : {}),
  };
}

/** iproute2 names a program twice, the second time in the list of all. */
function xdpJson({ mode, program }: NonNullable<LinkLook['xdp']>): object {
  const prog = { id: program };
  return { mode, prog, attached: [{ mode, prog }] };
}

function detailsJson({ kind, slave, sizes, ...details }: LinkDetails): object {
  const data = ({ facts }: KindLook): object => Object.fromEntries(facts.map(({ key, value }) => [key, value]));
  const info = {
    ...(kind === null ? {} : { info_kind: kind.kind }),
    ...(kind === null || kind.facts.length === 0 ? {} : { info_data: data(kind) }),
    ...(slave === null ? {} : { info_slave_kind: slave.kind }),
    ...(slave === null || slave.facts.length === 0 ? {} : { info_slave_data: data(slave) }),
  };
  const some = (key: string, value: string | number | null): object => (value === null ? {} : { [key]: value });
  return {
    ...some('promiscuity', details.promiscuity),
    ...some('allmulti', details.allmulti),
    ...some('min_mtu', details.minMtu),
    ...some('max_mtu', details.maxMtu),
    ...(Object.keys(info).length === 0 ? {} : { linkinfo: info }),
    ...some('inet6_addr_gen_mode', details.addrGenMode),
    ...Object.assign({}, ...sizes.map(([, key, value]) => some(key, value))),
  };
}
