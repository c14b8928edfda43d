/**
 * What the stack counts, by the names that nstat prints: `inet.snmp.get('IpInReceives')`, and by position where a frame
 * passes: `inet.snmp.add(Snmp.IpInReceives)`.
 */

/** The names of /proc/net/snmp, as nstat prints them. */
export const SNMP_NAMES = [
  'IpInReceives',
  'IpInHdrErrors',
  'IpInAddrErrors',
  'IpInTruncatedPkts',
  'IpInUnknownProtos',
  'IpInDelivers',
  'IpReasmFails',
  'Ip6InReceives',
  'Ip6InHdrErrors',
  'Ip6InTruncatedPkts',
  'Ip6InUnknownProtos',
  'Ip6InDelivers',
  'UdpInDatagrams',
  'UdpNoPorts',
  'UdpInErrors',
  'UdpInCsumErrors',
] as const;
export type SnmpName = (typeof SNMP_NAMES)[number];

/** Name to position in `snmp`. Looking three names up a frame was a twentieth of the way from the ring to a socket. */
export const Snmp = Object.fromEntries(SNMP_NAMES.map((name, at) => [name, at])) as {
  readonly [Name in SnmpName]: number;
};
