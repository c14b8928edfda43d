/**
 * What netpoll gen was not told of addresses, from this host's routes and neighbours.
 *
 *     source address    the route's                  hardware address    the next hop's, asked for if need be
 */
import { SetupError } from '../base/status.ts';
import { hasFlag, type PktgenParams } from '../clients/pktgen/params.ts';
import { openNetTables } from '../host/netlink/net_tables.ts';
import { resolveNextHop } from '../host/netlink/next_hop.ts';
import { probe } from '../host/netlink/probe.ts';
import type { IpAddress } from '../wire/address.ts';
import { printIp } from '../wire/address.ts';
import type { GenFlags } from './gen.ts';

/** Fills `params` in. Throws SetupError `ERR_NETPOLL_ROUTE`: not known, and what to give. */
export async function missingAddresses(spec: string, params: PktgenParams, flags: GenFlags): Promise<void> {
  const udp = spec.startsWith('udp:');
  if (flags.dst === undefined && !params.dst6Max.some((byte) => byte !== 0) && params.dstMin === 0) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${spec}: say where to: --dst ADDRESS`);
  }
  // A socket has addresses of its own, and its kernel knows the way.
  const macKnown = udp || flags.dstMac !== undefined || params.dstMac.some((byte) => byte !== 0);
  const sourceKnown = udp || flags.src !== undefined || params.srcMin !== 0;
  if (macKnown && sourceKnown) return;
  const target: IpAddress = hasFlag(params, 'IPV6')
    ? { family: 6, v6: params.dst6Min }
    : { family: 4, v4: params.dstMin };
  const dev = spec.replace(/^(packet|xdp):/, '').replace(/[,/].*$/, '');
  const tables = openNetTables();
  try {
    const hop = await resolveNextHop(tables, target, macKnown ? { dev } : { dev, probe });
    const known = !('reason' in hop);
    if (!macKnown) {
      if (!known || hop.mac === null) {
        const why = known ? 'its neighbour does not answer' : hop.reason;
        throw new SetupError('ERR_NETPOLL_ROUTE', `${printIp(target)} through ${dev}: ${why}; give --dst-mac`);
      }
      params.dstMac.set(hop.mac);
    }
    if (sourceKnown || !known || hop.source === null) return;
    if (hop.source.family === 6) params.src6 = hop.source.v6;
    else params.srcMin = params.srcMax = hop.source.v4;
  } finally {
    tables.close();
  }
}
