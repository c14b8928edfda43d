/**
 * What stands in the way of netconsole on this host, one finding a question. Pure: facts in, findings out.
 *
 *     route -> source address -> next hop's hardware address -> device (kind, master, state, mtu) -> console level -> module
 */
import type { KernelFacts } from '../host/kernel_facts.ts';
import { isLinkLocal, type NextHop, type NoRoute } from '../host/netlink/next_hop.ts';
import type { Link } from '../host/netlink/rtnetlink.ts';
import { ARPHRD_ETHER, IFF_UP } from '../host/sys/interface.ts';
import { printIp, printMac } from '../wire/address.ts';
import { DATAGRAM_MAX } from '../wire/netconsole_record.ts';

export type Verdict = 'ok' | 'note' | 'warn' | 'fail';

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly text: string;
  /** What to do about it. */
  readonly mend?: string;
}

export interface DoctorFacts {
  readonly hop: NextHop | NoRoute;
  readonly links: readonly Link[];
  readonly kernel: KernelFacts;
  readonly driver: string | null;
  readonly driverIsModule: boolean | null;
  readonly wireless: boolean;
  readonly extended: boolean;
  readonly release: boolean;
}

/** Kinds of device that refuse netpoll, and since when. */
const REFUSING: Readonly<Record<string, readonly [major: number, minor: number]>> = {
  veth: [6, 12],
  netkit: [6, 7],
  hsr: [3, 13],
};
/** What netconsole learnt when. */
const SINCE = { extended: [4, 2], release: [6, 6], ipv6: [3, 9] } as const;
/** Headers of a datagram on the wire behind the Ethernet header. */
const HEADERS = { 4: 28, 6: 48 } as const;

export function findings(facts: DoctorFacts): Finding[] {
  const { hop } = facts;
  if ('reason' in hop) {
    const mend = 'name the interface with --dev, or add a route';
    return [{ check: 'route', verdict: 'fail', text: hop.reason, mend }, ...kernelFindings(facts)];
  }
  const way = route(hop);
  if (way.verdict === 'fail') return [way, ...kernelFindings(facts)];
  return [way, source(hop), nextHop(hop), ...device(facts, hop), mtu(hop), ...kernelFindings(facts)];
}

function route({ route, link, target }: NextHop): Finding {
  const check = 'route';
  if (route.type === 'local') {
    const text = `${printIp(target)} is this host itself`;
    return { check, verdict: 'fail', text, mend: 'what netpoll sends leaves by the wire: name another host' };
  }
  if (route.type !== 'unicast' && route.type !== 'multicast' && route.type !== 'broadcast') {
    return { check, verdict: 'fail', text: `the route to ${printIp(target)} is of type ${route.type}` };
  }
  const way = route.gateway === null ? 'on the link' : `through the gateway ${printIp(route.gateway)}`;
  return { check, verdict: 'ok', text: `${printIp(target)} is ${way}, interface ${link.name}` };
}

function source({ source, link, target }: NextHop): Finding {
  const check = 'source';
  if (source !== null) return { check, verdict: 'ok', text: `${printIp(source)} on ${link.name}` };
  const wanted = target.family === 4 ? 'IPv4' : isLinkLocal(target) ? 'link-local IPv6' : 'global IPv6';
  const mend = `ip address add ADDRESS/PREFIX dev ${link.name}`;
  return { check, verdict: 'fail', text: `${link.name} has no ${wanted} address: the kernel would refuse`, mend };
}

function nextHop({ hop, mac, state, route, link }: NextHop): Finding {
  const check = 'next hop';
  const who = `${printIp(hop)}${route.gateway === null ? '' : ' (gateway)'}`;
  if (state === 'RULE') return { check, verdict: 'ok', text: `${printMac(mac!)}, by the rule for ${printIp(hop)}` };
  if (mac !== null) {
    const text = `${who} has hardware address ${printMac(mac)}, ${state}`;
    return { check, verdict: 'ok', text };
  }
  const asked = state === 'UNSEEN' ? 'this host does not show its neighbours without koffi' : `its entry is ${state}`;
  if (route.gateway === null) {
    const mend = `ping ${printIp(hop)}, or look on that host for the address of its interface`;
    const text = `${who} has not answered (${asked}): broadcast is used instead, which every host on ${link.name} gets`;
    return { check, verdict: 'warn', text, mend };
  }
  return { check, verdict: 'fail', text: `${who} has not answered (${asked}): nothing would leave this network` };
}

function device(facts: DoctorFacts, { link }: NextHop): Finding[] {
  const { kernel, links, driver, wireless } = facts;
  const check = 'device';
  const found: Finding[] = [];
  const master = links.find((each) => each.ifindex === link.master);
  const below = links.filter((each) => each.master === link.ifindex);
  if (link.hardware !== ARPHRD_ETHER) {
    const text = `${link.name} is no Ethernet device (type ${link.hardware}): netpoll writes Ethernet headers`;
    return [{ check, verdict: 'fail', text, mend: 'a target that is reached through an Ethernet device' }];
  }
  if (link.master !== 0) {
    const over = master?.name ?? `interface ${link.master}`;
    const kind = link.slaveKind ?? master?.kind ?? 'another device';
    const text = `${link.name} is part of ${over} (${kind}): the kernel says "is a slave device, aborting"`;
    found.push({ check: 'master', verdict: 'fail', text, mend: `use --dev ${over}` });
  }
  for (const each of [link, ...below]) {
    if (!refuses(each, kernel)) continue;
    const text = `${each.name} is a ${each.kind}: this kernel says "doesn't support polling, aborting"`;
    const mend = each === link ? 'netconsole needs another interface' : `${link.name} can not be used with it`;
    found.push({ check, verdict: 'fail', text, mend });
  }
  if (wireless) {
    const text = `${link.name} is wireless: frames go out as long as it is associated, seldom after a crash`;
    found.push({ check, verdict: 'warn', text });
  }
  if ((link.flags & IFF_UP) === 0) {
    found.push({
      check,
      verdict: 'warn',
      text: `${link.name} is down: the kernel will force it up and wait for a carrier`,
    });
  } else if (link.carrier === false) {
    found.push({ check, verdict: 'warn', text: `${link.name} has no carrier: nothing leaves it now` });
  }
  if (found.length > 0) return found;
  const parts = below.length > 0 ? ` over ${below.map((each) => each.name).join(', ')}` : '';
  const what = [link.kind === null ? 'Ethernet' : `${link.kind}${parts}`, driver].filter((each) => each !== null);
  return [{ check, verdict: 'ok', text: `${link.name}: ${what.join(', ')}, up` }];
}

function refuses(link: Link, kernel: KernelFacts): boolean {
  const since = link.kind === null ? undefined : REFUSING[link.kind];
  return since !== undefined && isSince(kernel, since);
}

function mtu({ link, route, target }: NextHop): Finding {
  const check = 'mtu';
  const needed = DATAGRAM_MAX + HEADERS[target.family];
  const least = Math.min(link.mtu, route.mtu ?? link.mtu);
  if (least >= needed) return { check, verdict: 'ok', text: `${least}; a datagram has ${needed} at most` };
  const text = `${least}, a datagram may have ${needed}, and netpoll does not cut packets: long records are lost`;
  return { check, verdict: 'warn', text, mend: `ip link set ${link.name} mtu ${needed}` };
}

function kernelFindings({ kernel, hop, extended, release, driver, driverIsModule }: DoctorFacts): Finding[] {
  const found: Finding[] = [level(kernel), module(kernel)];
  const target = 'reason' in hop ? null : hop.target;
  const needs: [wanted: boolean, since: readonly [number, number], what: string][] = [
    [extended, SINCE.extended, 'the extended format (+); use --basic'],
    [release, SINCE.release, 'the release in front (r)'],
    [target?.family === 6, SINCE.ipv6, 'IPv6'],
  ];
  for (const [wanted, since, what] of needs) {
    if (!wanted || isSince(kernel, since)) continue;
    found.push({ check: 'kernel', verdict: 'fail', text: `${kernel.release} is too old for ${what}` });
  }
  if (driverIsModule === true && driver !== null) {
    const text = `${driver} is a module: it is not there yet when a boot parameter is read, so load netconsole later`;
    found.push({ check: 'boot', verdict: 'note', text });
  }
  for (const { name, enabled, dev, remote } of kernel.targets) {
    const text = `target ${name} ${enabled ? 'logs' : 'is switched off'}: ${dev} to ${remote}`;
    found.push({ check: 'active', verdict: 'note', text });
  }
  if (kernel.bootParameter !== null) {
    found.push({ check: 'active', verdict: 'note', text: `booted with netconsole=${kernel.bootParameter}` });
  }
  if (kernel.otherNamespace === true) {
    const text = 'this is not the network namespace of init: boot and module targets use the interfaces there';
    found.push({ check: 'namespace', verdict: 'warn', text, mend: 'run netpoll doctor on the host itself' });
  }
  return found;
}

const LEVELS = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'];

function level({ levels, ignoreLoglevel }: KernelFacts): Finding {
  const check = 'log level';
  const mend = 'dmesg -n 8 now; kernel.printk = 8 4 1 7 in /etc/sysctl.d, or loglevel=8 at boot, for good';
  if (ignoreLoglevel) return { check, verdict: 'ok', text: 'ignore_loglevel: every record is sent' };
  if (levels === null) return { check, verdict: 'warn', text: '/proc/sys/kernel/printk cannot be read', mend };
  if (levels.console > 7) return { check, verdict: 'ok', text: `${levels.console}: every record is sent` };
  const missing = LEVELS.slice(levels.console).join(', ');
  const trace = levels.message >= levels.console ? `; call traces are of level ${levels.message}` : '';
  const text = `${levels.console}: records of level ${levels.console} and above (${missing}) are not sent${trace}`;
  return { check, verdict: levels.console > 6 ? 'ok' : 'warn', text, ...(levels.console <= 6 && { mend }) };
}

function module(kernel: KernelFacts): Finding {
  const check = 'netconsole';
  const dynamic = kernel.dynamic === true ? '; targets can be made while it runs' : '';
  switch (kernel.netconsole) {
    case 'built-in':
      return { check, verdict: 'ok', text: `built into ${kernel.release}, so modprobe does nothing${dynamic}` };
    case 'loaded':
      return { check, verdict: 'ok', text: `loaded already, so modprobe works after rmmod only${dynamic}` };
    case 'module':
      if (kernel.modulesForbidden)
        return { check, verdict: 'fail', text: 'a module, and this kernel loads no modules' };
      return { check, verdict: 'ok', text: `a module of ${kernel.release}${dynamic}` };
    case 'absent':
      return {
        check,
        verdict: 'fail',
        text: `${kernel.release} has no netconsole (CONFIG_NETCONSOLE)`,
        mend: 'a kernel that has it takes these lines with the same interface and addresses; or netpoll send, as below',
      };
    case 'unknown': {
      const text = `cannot tell whether ${kernel.release} has netconsole`;
      return { check, verdict: 'warn', text, mend: 'modinfo netconsole' };
    }
  }
}

function isSince({ version }: KernelFacts, [major, minor]: readonly [number, number]): boolean {
  return version[0] > major || (version[0] === major && version[1] >= minor);
}
