/**
 * What a simulated machine prints when it follows a null pointer: the report of a page fault in kernel mode, in the shape
 * that Linux gives it on x86-64, and then the panic that follows a fault in an interrupt.
 */
import type { Machine } from '../machine/machine.ts';
import { panic } from '../machine/panic.ts';

/** Prints the oops of a null dereference in `symbol`, and panics. Made to be called from an interrupt handler. */
export function nullDereference(machine: Machine, symbol: string): void {
  const { printk } = machine;
  machine.oopsInProgress++;
  printk.printk(1, 'BUG: kernel NULL pointer dereference, address: 0000000000000038');
  printk.printk(1, '#PF: supervisor read access in kernel mode');
  printk.printk(1, '#PF: error_code(0x0000) - not-present page');
  printk.info('PGD 0 P4D 0 ');
  printk.warn('Oops: Oops: 0000 [#1] SMP NOPTI');
  printk.warn(`CPU: ${machine.cpu.id} UID: 0 PID: 0 Comm: swapper/${machine.cpu.id} Not tainted ${machine.release} #1`);
  printk.warn('Hardware name: netpoll simulated machine, BIOS 0.1');
  printk.warn(`RIP: 0010:${symbol}+0x1c4/0x690`);
  printk.warn('Code: 48 8b 47 10 48 85 c0 74 2b 8b 40 38 <48> 8b 58 38 4c 89 e7');
  printk.warn('RSP: 0018:ffffc90000003e70 EFLAGS: 00010246');
  printk.warn('RAX: 0000000000000000 RBX: ffff888103a44000 RCX: 0000000000000040');
  printk.warn('CR2: 0000000000000038 CR3: 000000010412c000 CR4: 00000000003506f0');
  panic(machine, 'Fatal exception in interrupt', {
    report: [
      'Call Trace:',
      ' <IRQ>',
      ' mlx5e_napi_poll+0x13e/0x6f0',
      ' __napi_poll.constprop.0+0x2b/0x1b0',
      ' net_rx_action+0x333/0x420',
      ' handle_softirqs+0xd4/0x340',
      ' __irq_exit_rcu+0x9b/0xc0',
      ' common_interrupt+0x7f/0xa0',
      ' </IRQ>',
      'Kernel Offset: disabled',
    ],
  });
}
