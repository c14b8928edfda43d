/**
 * /proc/net/bonding/bond0: what administrators read of a bond, to the byte as Linux prints it (6.x).
 *
 *     Ethernet Channel Bonding Driver: v6.1.0                      the machine's release
 *     Bonding Mode: ...        options, carrier, active slave       802.3ad: the active aggregator
 *     Slave Interface: eth0    link, speed, failures                802.3ad: its port, our and the partner's side
 *
 * Answers to bond_info_seq_show.
 */
import { netifCarrierOk } from '../../device/net_device.ts';
import { printIpv4, printIpv6, printMac } from '../../wire/address.ts';
import type { LacpParty } from '../../wire/lacp.ts';
import { ad3GetActiveAggInfo } from './ad_carrier.ts';
import { AD_CHURN_NAMES, type AdPort } from './ad_port.ts';
import {
  AD_LACP_FAST,
  BOND_FOM_NONE,
  BOND_LINK_BACK,
  BOND_LINK_DOWN,
  BOND_LINK_FAIL,
  BOND_LINK_UP,
  BOND_MODE_8023AD,
  BOND_MODE_ACTIVEBACKUP,
  BOND_MODE_NAMES,
  type Bonding,
  bondModeUsesXmitHash,
  bondUsesPrimary,
  DUPLEX_FULL,
  DUPLEX_UNKNOWN,
  type Slave,
  SPEED_UNKNOWN,
} from './bond.ts';
import { bondOptName } from './option_table.ts';

const LINK_NAMES: Readonly<Record<number, string>> = {
  [BOND_LINK_UP]: 'up',
  [BOND_LINK_FAIL]: 'going down',
  [BOND_LINK_DOWN]: 'down',
  [BOND_LINK_BACK]: 'going back',
};

export interface BondReportOptions {
  /** Without the system's and the ports' details, as for users without CAP_NET_ADMIN. */
  readonly unprivileged?: boolean;
}

/** The whole report, each line with its end. */
export function bondReport(bond: Bonding, options: BondReportOptions = {}): string {
  const root = options.unprivileged !== true;
  const lines = [`Ethernet Channel Bonding Driver: v${bond.net.machine.release}`, ''];
  lines.push(...masterLines(bond));
  if (bond.params.mode === BOND_MODE_8023AD) lines.push(...adLines(bond, root));
  for (const slave of bond.slaves) lines.push(...slaveLines(slave, root));
  return `${lines.join('\n')}\n`;
}

/** (`bond_info_show_master`) */
function masterLines(bond: Bonding): string[] {
  const { params } = bond;
  const followed = params.mode === BOND_MODE_ACTIVEBACKUP && params.failOverMac !== BOND_FOM_NONE;
  const fom = followed ? ` (fail_over_mac ${bondOptName('fail_over_mac', params.failOverMac)})` : '';
  const lines = [`Bonding Mode: ${BOND_MODE_NAMES[params.mode] ?? 'unknown'}${fom}`];
  if (bondModeUsesXmitHash(bond)) {
    const policy = bondOptName('xmit_hash_policy', params.xmitPolicy);
    lines.push(`Transmit Hash Policy: ${policy} (${params.xmitPolicy})`);
  }
  if (bondUsesPrimary(bond)) {
    const primary = bond.primarySlave;
    const reselect = bondOptName('primary_reselect', params.primaryReselect);
    lines.push(`Primary Slave: ${primary === null ? 'None' : `${primary.dev.name} (primary_reselect ${reselect})`}`);
    lines.push(`Currently Active Slave: ${bond.currActiveSlave?.dev.name ?? 'None'}`);
  }
  lines.push(
    `MII Status: ${netifCarrierOk(bond.dev) ? 'up' : 'down'}`,
    `MII Polling Interval (ms): ${params.miimon}`,
    `Up Delay (ms): ${params.updelay * params.miimon}`,
    `Down Delay (ms): ${params.downdelay * params.miimon}`,
    `Peer Notification Delay (ms): ${params.peerNotifDelay * params.miimon}`,
  );
  if (params.arpInterval === 0) return lines;
  return lines.concat(
    `ARP Polling Interval (ms): ${params.arpInterval}`,
    `ARP Missed Max: ${params.missedMax}`,
    `ARP IP target/s (n.n.n.n form):${list(params.arpTargets.map(printIpv4))}`,
    `NS IPv6 target/s (xx::xx form):${list(params.nsTargets.map((target) => printIpv6(target)))}`,
  );
}

function list(targets: readonly string[]): string {
  return targets.map((target) => ` ${target}`).join(',');
}

function adLines(bond: Bonding, root: boolean): string[] {
  const { params, ad } = bond;
  const lines = [
    '',
    '802.3ad info',
    `LACP active: ${params.lacpActive ? 'on' : 'off'}`,
    `LACP rate: ${params.lacpRate === AD_LACP_FAST ? 'fast' : 'slow'}`,
    `Min links: ${params.minLinks}`,
    `Aggregator selection policy (ad_select): ${bondOptName('ad_select', params.adSelect)}`,
  ];
  if (!root) return lines;
  lines.push(
    `System priority: ${ad?.systemPriority ?? 0}`,
    `System MAC address: ${printMac(ad?.system ?? new Uint8Array(6))}`,
  );
  const info = ad3GetActiveAggInfo(bond);
  if (info === null) return lines.concat(`bond ${bond.dev.name} has no active aggregator`);
  return lines.concat(
    'Active Aggregator Info:',
    `\tAggregator ID: ${info.aggregatorId}`,
    `\tNumber of ports: ${info.ports}`,
    `\tActor Key: ${info.actorKey}`,
    `\tPartner Key: ${info.partnerKey}`,
    `\tPartner Mac Address: ${printMac(info.partnerSystem)}`,
  );
}

/** (`bond_info_show_slave`) */
function slaveLines(slave: Slave, root: boolean): string[] {
  const { bond, speed, duplex } = slave;
  const lines = [
    '',
    `Slave Interface: ${slave.dev.name}`,
    `MII Status: ${LINK_NAMES[slave.link] ?? 'unknown'}`,
    `Speed: ${speed === SPEED_UNKNOWN ? 'Unknown' : `${speed} Mbps`}`,
    `Duplex: ${duplex === DUPLEX_UNKNOWN ? 'Unknown' : duplex === DUPLEX_FULL ? 'full' : 'half'}`,
    `Link Failure Count: ${slave.linkFailureCount}`,
    `Permanent HW addr: ${printMac(slave.permHwaddr)}`,
    `Slave queue ID: ${slave.queueId}`,
  ];
  if (bond.params.mode !== BOND_MODE_8023AD) return lines;
  const port = slave.ad;
  if (port === null || port.aggregator === null) return lines.concat('Aggregator ID: N/A');
  return lines.concat(portLines(port, port.aggregator.id), root ? detailLines(port) : []);
}

function portLines(port: AdPort, aggregatorId: number): string[] {
  return [
    `Aggregator ID: ${aggregatorId}`,
    `Actor Churn State: ${AD_CHURN_NAMES[port.churnActorState]}`,
    `Partner Churn State: ${AD_CHURN_NAMES[port.churnPartnerState]}`,
    `Actor Churned Count: ${port.churnActorCount}`,
    `Partner Churned Count: ${port.churnPartnerCount}`,
  ];
}

function detailLines(port: AdPort): string[] {
  const { actor, partner } = port;
  return [
    'details actor lacp pdu:',
    ...partyLines(actor, 'port key'),
    'details partner lacp pdu:',
    ...partyLines(partner, 'oper key'),
  ];
}

function partyLines(party: LacpParty, key: string): string[] {
  return [
    `    system priority: ${party.systemPriority}`,
    `    system mac address: ${printMac(party.system)}`,
    `    ${key}: ${party.key}`,
    `    port priority: ${party.portPriority}`,
    `    port number: ${party.port}`,
    `    port state: ${party.state}`,
  ];
}
