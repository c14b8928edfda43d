/**
 * Options that name a slave: `slaves` (+eth0, -eth0), `active_slave`, `primary`, and what each slave has of its own: `prio`
 * (eth0:10), `queue_id` (eth0:2), `actor_port_prio` (eth0:1000).
 */
import { Errno } from '../../base/status.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { devValidName } from '../../device/register.ts';
import { Loglevel } from '../../machine/printk.ts';
import { ad3UpdatePortPriority } from './ad_3ad.ts';
import { BOND_LINK_UP, type Bonding, bondGetSlaveByDev, bondSlaveIsUp, type Slave } from './bond.ts';
import { bondEnslave } from './enslave.ts';
import { bondRelease } from './release.ts';
import { bondChangeActiveSlave, bondSelectActiveSlave } from './select_active.ts';
import { bondPrintk, slaveInfo, slavePrintk } from './slave_state.ts';

/** `+name` or `-name`. (`bond_option_slaves_set`) */
function setSlaves(bond: Bonding, text: string): number {
  const word = text.trim();
  const name = word.slice(1);
  if ((word[0] !== '+' && word[0] !== '-') || !devValidName(name)) {
    bondPrintk(bond, Loglevel.ERR, 'no command found in slaves file - use +ifname or -ifname');
    return -Errno.EPERM;
  }
  const dev = bond.net.byName(name);
  if (dev === undefined) return noSuch(bond, name);
  return word[0] === '+' ? bondEnslave(bond, dev) : bondRelease(bond, dev);
}

function noSuch(bond: Bonding, name: string): number {
  bondPrintk(bond, Loglevel.DEBUG, `interface ${name} does not exist!`);
  return -Errno.ENODEV;
}

/** Netpoll is kept out while `change` runs. */
function blocked(bond: Bonding, change: () => number): number {
  bond.blockNetpollTx++;
  try {
    return change();
  } finally {
    bond.blockNetpollTx--;
  }
}

/** Empty: whoever is best. (`bond_option_active_slave_set`) */
function setActiveSlave(bond: Bonding, text: string): number {
  const name = text.trim();
  if (name === '') {
    bondPrintk(bond, Loglevel.DEBUG, 'Clearing current active slave');
    return blocked(bond, () => {
      bondChangeActiveSlave(bond, null);
      bondSelectActiveSlave(bond);
      return 0;
    });
  }
  const dev = bond.net.byName(name);
  if (dev === undefined) return noSuch(bond, name);
  const slave = bondGetSlaveByDev(bond, dev);
  if (slave === undefined) return notOurs(bond, dev);
  if (slave === bond.currActiveSlave) return 0;
  const possible = bond.currActiveSlave !== null && slave.link === BOND_LINK_UP && bondSlaveIsUp(slave);
  if (!possible) {
    const why = 'Could not set as active slave; either the interface or its link is down, or there is no active slave';
    slavePrintk(bond, dev, Loglevel.ERR, why);
    return -Errno.EINVAL;
  }
  slaveInfo(slave, 'Setting as active slave');
  return blocked(bond, () => {
    bondChangeActiveSlave(bond, slave);
    return 0;
  });
}

function notOurs(bond: Bonding, dev: NetDevice): number {
  slavePrintk(bond, dev, Loglevel.ERR, dev.master === null ? 'Device is not bonding slave' : 'Device is not our slave');
  return -Errno.EINVAL;
}

/** Empty: none. A name that nobody has yet is remembered. (`bond_option_primary_set`) */
function setPrimary(bond: Bonding, text: string): number {
  const name = text.trim();
  return blocked(bond, () => {
    const { params } = bond;
    params.primary = name === 'None' ? '' : name;
    const slave = bond.slaves.find((each) => each.dev.name === params.primary);
    if (slave !== undefined) {
      slavePrintk(bond, slave.dev, Loglevel.DEBUG, 'Setting as primary slave');
      bond.primarySlave = slave;
      bond.forcePrimary = true;
      bondSelectActiveSlave(bond);
      return 0;
    }
    if (bond.primarySlave !== null || params.primary === '') {
      bondPrintk(bond, Loglevel.DEBUG, 'Setting primary slave to None');
      bond.primarySlave = null;
      bondSelectActiveSlave(bond);
    }
    if (params.primary !== '') {
      const why = `Recording ${params.primary} as primary, but it has not been enslaved yet`;
      bondPrintk(bond, Loglevel.DEBUG, why);
    }
    return 0;
  });
}

/** `name:number`, in [min, max]; null: something else. */
function slaveAndNumber(bond: Bonding, text: string, min: number, max: number): [Slave, number] | null {
  const match = /^([^:\s]+):(-?\d+)\s*$/.exec(text.trim());
  if (match === null) return null;
  const slave = bond.slaves.find((each) => each.dev.name === match[1]);
  const value = Number(match[2]);
  return slave === undefined || value < min || value > max ? null : [slave, value];
}

/** (`bond_option_prio_set`) */
function setPrio(bond: Bonding, text: string): number {
  const pair = slaveAndNumber(bond, text, -0x80000000, 0x7fffffff);
  if (pair === null) return -Errno.EINVAL;
  const [slave, prio] = pair;
  slave.prio = prio;
  if (bond.primarySlave !== null) {
    const why = 'prio updated, but will not affect failover re-selection as primary slave have been set';
    slavePrintk(bond, slave.dev, Loglevel.WARNING, why);
    return 0;
  }
  return blocked(bond, () => {
    bondSelectActiveSlave(bond);
    return 0;
  });
}

/** Frames of one of the bond's queues go to that slave; no two slaves have the same. (`bond_option_queue_id_set`) */
function setQueueId(bond: Bonding, text: string): number {
  const pair = slaveAndNumber(bond, text, 0, bond.dev.realNumTxQueues);
  if (pair === null || (pair[1] !== 0 && bond.slaves.some((each) => each !== pair[0] && each.queueId === pair[1]))) {
    bondPrintk(bond, Loglevel.ERR, 'invalid input for queue_id set');
    return -Errno.EPERM;
  }
  pair[0].queueId = pair[1];
  return 0;
}

/** (`bond_option_actor_port_prio_set`) */
function setActorPortPrio(bond: Bonding, text: string): number {
  const pair = slaveAndNumber(bond, text, 0, 65535);
  if (pair === null) return -Errno.EINVAL;
  pair[0].portPriority = pair[1];
  ad3UpdatePortPriority(pair[0]);
  return 0;
}

/** By the option's name. */
export const BOND_SLAVE_SETTERS: Readonly<Record<string, (bond: Bonding, text: string) => number>> = {
  slaves: setSlaves,
  active_slave: setActiveSlave,
  primary: setPrimary,
  prio: setPrio,
  queue_id: setQueueId,
  actor_port_prio: setActorPortPrio,
};
