/**
 * netpoll sysrq --list: the keys that a machine of ours has, by themselves, and what allows them.
 */
import { addSysrqNet } from '../clients/sysrq/net.ts';
import { Net } from '../device/net.ts';
import { Machine } from '../machine/machine.ts';
import { Sysrq } from '../machine/sysrq.ts';
import { createArena } from '../skb/arena.ts';

export interface SysrqKeyRow {
  readonly key: string;
  readonly help: string;
  readonly action: string;
  /** 0: only a mask of 1. */
  readonly mask: number;
}

/** The table of a machine with a network and nothing else. */
export function sysrqKeyTable(): SysrqKeyRow[] {
  const clock = { now: () => 0, readClock() {}, clockNs: 0, wallUs: () => 0 };
  const still = { ...clock, requestTurn() {}, requestTurnAt() {}, spin() {} };
  const machine = new Machine({ executive: still, arena: createArena(1) });
  const sysrq = new Sysrq(machine, { reboot() {}, powerOff() {} });
  addSysrqNet(new Net(machine), sysrq);
  return sysrq.keys.map(([key, { help, action, mask }]) => ({ key, help, action, mask }));
}

export function printKeyTable(json: boolean): void {
  const rows = sysrqKeyTable();
  if (json) {
    process.stdout.write(`${JSON.stringify(rows)}\n`);
    return;
  }
  process.stdout.write('KEY  MASK  WHAT\n');
  for (const { key, action, mask } of rows.filter(({ key }) => !/[1-9]/.test(key))) {
    process.stdout.write(
      `${(key === '0' ? '0-9' : key).padEnd(5)}${(mask === 0 ? '1' : String(mask)).padEnd(6)}${action}\n`,
    );
  }
  process.stdout.write('h    -     help: the machine prints its own list\n\n');
  process.stdout.write(
    '--sysrq-mask of a machine is a sum of MASK, or 1 for everything; 10 (log level, reports, crash) if it is not given.\n',
  );
}
