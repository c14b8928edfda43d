/**
 * A processor's softirqs as a task among others, sooner: what receivers under RPS want when more comes than they can serve.
 *
 *     as it is        frame --> interrupt from another processor --> backlog: all that is there --> empty: unscheduled --> frame --> ...
 *                     a flood of interrupts before anybody else; the program gets what is left between them
 *     with this       frame --> interrupt --> backlog: a frame, ten times --> not empty: to ksoftirqd, which waits for its turn
 *                     scheduled it stays meanwhile, so no interrupt is sent; at `netdev_max_backlog` the sender's processor drops
 *
 * net.core.dev_weight (frames of one poll of the backlog) and netdev_budget (of one run of softirqs) become 1. Drivers poll in their own
 * weights of 64 all the same, and what a qdisc sends at once is kept by dev_weight_tx_bias. The machine's settings, for everybody on it:
 * under load the network waits for its turn like any task, and a receiver that makes no system calls (packet:, xdp:) has it wait longer.
 * Answers to: Documentation/admin-guide/sysctl/net.rst.
 */
import { readFileSync } from 'node:fs';
import { KeptSettings } from './kept_settings.ts';

const CORE = '/proc/sys/net/core';

/** From now until it is closed, or this process ends in whatever way. It says in `refused` what could not be set, and why. */
export function shareSoftirqs(core = CORE): KeptSettings {
  return new KeptSettings([
    {
      path: `${core}/dev_weight_tx_bias`,
      value: String(numberIn(core, 'dev_weight') * numberIn(core, 'dev_weight_tx_bias')),
    },
    { path: `${core}/dev_weight`, value: '1' },
    { path: `${core}/netdev_budget`, value: '1' },
  ]);
}

function numberIn(core: string, name: string): number {
  try {
    return Number(readFileSync(`${core}/${name}`, 'latin1'));
  } catch {
    return 1;
  }
}

/** What was set, for who asked for it. */
export function printSoftirqShare({ before, refused }: KeptSettings): string {
  const done = before.map(({ path, value }) => `net.core.${path.slice(path.lastIndexOf('/') + 1)} (was ${value})`);
  const said = [...(done.length === 0 ? [] : [`set ${done.join(', ')} until this ends`]), ...refused];
  return `softirqs share the processor: ${said.length === 0 ? 'so they did' : said.join('; ')}`;
}
