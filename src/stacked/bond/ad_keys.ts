/**
 * A port's key: ports with the same key may share an aggregator.
 *
 *     15            6 5          1  0
 *     | user's key   | speed code | full duplex |
 *
 * A port without a link has speed 0 and no duplex; one that is not full duplex takes no part in LACP.
 */
import { Loglevel } from '../../machine/printk.ts';
import { AD_DUPLEX_KEY_MASK, AD_PORT_BEGIN, AD_PORT_LACP_ENABLED, type AdPort } from './ad_port.ts';
import { BOND_LINK_UP, DUPLEX_FULL, type Slave } from './bond.ts';
import { slavePrintk } from './slave_state.ts';

const USER_SHIFT = 6;
const SPEED_SHIFT = 1;
const SPEED_KEY_MASK = 0x3e;

/** Mb/s, and the code of each: its place here, from 1. */
const SPEEDS = [
  1, 10, 100, 1000, 2500, 5000, 10_000, 14_000, 20_000, 25_000, 40_000, 50_000, 56_000, 100_000, 200_000, 400_000,
  800_000,
] as const;

/** 0: no link, or nobody knows. (`__get_link_speed`) */
export function adLinkSpeed(slave: Slave): number {
  if (slave.link !== BOND_LINK_UP) return 0;
  return (SPEEDS as readonly number[]).indexOf(slave.speed) + 1;
}

/** 1: full. (`__get_duplex`) */
export function adDuplex(slave: Slave): number {
  return slave.link === BOND_LINK_UP && slave.duplex === DUPLEX_FULL ? 1 : 0;
}

/**
 * The key of what the slave's link is now, or, with `reset`, of no link. A port with another speed begins anew.
 * (`ad_update_actor_keys`)
 */
export function adUpdateActorKeys(port: AdPort, reset: boolean): void {
  const { slave, actor } = port;
  const old = actor.key;
  const duplex = reset ? 0 : adDuplex(slave);
  const speed = reset ? 0 : adLinkSpeed(slave);
  actor.key = ((slave.bond.params.adUserPortKey << USER_SHIFT) | (speed << SPEED_SHIFT) | duplex) & 0xffff;
  if (actor.key === old) return;
  if (duplex !== 0) port.vars |= AD_PORT_LACP_ENABLED;
  else port.vars &= ~AD_PORT_LACP_ENABLED;
  if (reset) return;
  if (speed === 0) {
    const text = `speed changed to 0 on port ${actor.port}`;
    slavePrintk(slave.bond, slave.dev, Loglevel.ERR, text);
  } else if (duplex === AD_DUPLEX_KEY_MASK && (old & SPEED_KEY_MASK) >> SPEED_SHIFT !== speed) {
    port.vars |= AD_PORT_BEGIN;
  }
}
