// docs/linux-names.md: every name on the right is really exported by the file beside it, and every kernel name that the seeds
// use has a line.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const page = readFileSync(join(root, 'docs/linux-names.md'), 'utf8');

interface Row {
  readonly kernel: string;
  readonly here: string;
  readonly files: readonly string[];
}

/** Rows of the tables with three columns. A second file of a row is in the first one's folder. */
const rows: Row[] = page.split('\n').flatMap((line) => {
  const cells = line.split('|').map((cell) => cell.trim());
  if (cells.length !== 5 || !cells[3]!.startsWith('src/')) return [];
  const [first, ...more] = cells[3]!.split(', ');
  const files = [first!, ...more.map((name) => (name.startsWith('src/') ? name : join(dirname(first!), name)))];
  return [{ kernel: cells[1]!, here: cells[2]!, files }];
});

const quoted = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
const camel = (name: string): string =>
  /^[A-Z_0-9]+$/.test(name) ? name : name.replace(/_([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());

/** `Class.member`, a member of the class named before it, or an export. */
function exists(name: string, texts: readonly string[]): boolean {
  const [owner, member] = name.split('.');
  const exported = (each: string) =>
    texts.some((text) =>
      new RegExp(
        `export (abstract |async )?(class|function|const|let|interface|type) ${each}\\b|export \\{[^}]*\\b${each}\\b`,
      ).test(text),
    );
  const declared = (each: string) =>
    texts.some((text) => new RegExp(`^  (readonly |get |static )*${each}\\??[\\s:(=;<]`, 'm').test(text));
  if (member !== undefined) return exported(owner!) && declared(member);
  return exported(name) || declared(name);
}

/** What the five seed documents name, each once. */
const SEED_NAMES = `
hard_start_xmit hard_xmit xmit_lock netif_queue_stopped netif_stop_queue netif_wake_queue net_rx_action poll_controller netdev_priv
tg3_poll_controller poll_napi netpoll_send_udp netpoll_queue rx_hook drop netpoll_parse_options netpoll_setup dev_name local_ip
remote_ip local_port remote_port local_mac remote_mac netconsole_rx handle_sysrq netdump netlog netconsole kgdb
rx_ring netif_rx_schedule netif_rx_complete netdev_budget_usecs ksoftirqd netif_napi_add netif_napi_del napi_schedule
napi_schedule_prep __napi_schedule napi_complete napi_enable napi_disable napi_struct poll_list softnet_data napi_hash
NAPI_STATE_SCHED open_softirq NET_RX_SOFTIRQ net_poll timer_limit napi_by_id netif_start_queue register_netdev dev->init
__LINK_STATE_START __LINK_STATE_XOFF __LINK_STATE_NOCARRIER dev_open dev_close IF_UP e1000_intr dev_alloc_skb netif_rx
netif_receive_skb ptype->prev panic netpoll_send_skb release_console_sem write_msg netpoll_poll bond_3ad_xmit_xor
bond_dev_queue_xmit dev_queue_xmit npinfo rx_flags sk_buff alloc_skb netdev_alloc_skb kfree_skb dev_kfree_skb skb_put skb_push
skb_pull skb_headroom skb_tailroom skb_reserve skb_orphan net_device features stats netdev_ops ethtool_ops header_ops flags mtu
type hard_header_len alloc_netdev ether_setup alloc_etherdev unregister_netdev free_netdev net_device_ops ndo_init ndo_open
ndo_stop dev_addr random_ether_addr ndo_set_mac_address eth_mac_addr ndo_start_xmit watchdog_timeo ndo_tx_timeout eth_type_trans
netdev_tx_t NETDEV_TX_OK NETDEV_TX_BUSY NETDEV_TX_LOCKED netdev_queue
`
  .trim()
  .split(/\s+/);

describe('docs/linux-names.md', () => {
  it('has rows', () => {
    expect(rows.length).toBeGreaterThan(80);
  });

  it.each(rows.map((row) => [`${row.kernel} -> ${row.here}`, row] as const))(
    '%s',
    (_title, { kernel, here, files }) => {
      for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
      const texts = files.map((file) => readFileSync(join(root, file), 'utf8'));
      const names = here.startsWith('the same')
        ? quoted(kernel).map((name) => camel(name.replace(/^struct /, '')))
        : quoted(here);
      expect(names.length).toBeGreaterThan(0);
      expect(names.filter((name) => !exists(name, texts))).toEqual([]);
    },
  );

  it('names every kernel name of the seeds', () => {
    const escaped = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const missing = SEED_NAMES.filter((name) => !new RegExp(`(?<![\\w>])${escaped(name)}(?!\\w)`).test(page));
    expect(missing).toEqual([]);
  });

  it('does not take a name for another', () => {
    expect(exists('NoSuchName', ['export const Other = 1;'])).toBe(false);
    expect(exists('Other.none', ['export class Other {\n  some = 1;\n}'])).toBe(false);
    expect(exists('Other.some', ['export class Other {\n  some = 1;\n}'])).toBe(true);
  });
});
