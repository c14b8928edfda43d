/**
 * The addresses that a device takes frames for: its own (`devAddrs`, the first of which is `devAddr` itself), further unicast ones
 * (`uc`) and multicast groups (`mc`). Everybody who wants one adds it; it goes when the last one has deleted it.
 *
 *     vlan0.mc --devMcSync--> eth0.mc --setRxMode, hwAddrSyncDev--> the card's filter
 *
 *     | count      | who                                                                              |
 *     |------------|----------------------------------------------------------------------------------|
 *     | refcount   | everybody together; at 0 the entry goes                                           |
 *     | synced     | devices above that have put it here                                               |
 *     | syncCount  | devices below, or the hardware, that have been given it; each holds a reference   |
 *
 * Process context, or softirqs off. 0, or a negative errno. Answers to net/core/dev_addr_lists.c.
 */
import { Errno } from '../base/status.ts';

export class HwAddr {
  readonly addr: Uint8Array;
  refcount = 1;
  synced = 0;
  syncCount = 0;
  /** One reference is a user's who adds it as often as he likes. */
  globalUse: boolean;

  constructor(addr: Uint8Array, globalUse: boolean) {
    this.addr = addr;
    this.globalUse = globalUse;
  }
}

/** How an address is added or deleted. */
interface Mode {
  /** For ever so many adds one delete (`ip maddr add`). */
  readonly global?: boolean;
  /** From a device above. */
  readonly sync?: boolean;
  /** Refused where it is there already. */
  readonly exclusive?: boolean;
}

export class HwAddrList implements Iterable<HwAddr> {
  readonly #entries: HwAddr[] = [];

  /** With `first`, its entry is this very array: an address that is changed in place. */
  constructor(first?: Uint8Array) {
    if (first !== undefined) this.#entries.push(new HwAddr(first, false));
  }

  get count(): number {
    return this.#entries.length;
  }

  /** In the order in which they were added. */
  [Symbol.iterator](): Iterator<HwAddr> {
    return [...this.#entries][Symbol.iterator]();
  }

  find(addr: Uint8Array): HwAddr | undefined {
    return this.#entries.find((each) => sameAddr(each.addr, addr));
  }

  /** -EEXIST: exclusive, or a device below has it already and it is synced from another one. (`__hw_addr_add_ex`) */
  add(addr: Uint8Array, mode: Mode = {}, syncCount = 0): number {
    const there = this.find(addr);
    if (there === undefined) {
      const entry = new HwAddr(addr.slice(), mode.global ?? false);
      entry.synced = mode.sync === true ? 1 : 0;
      this.#entries.push(entry);
      return 0;
    }
    if (mode.exclusive === true) return -Errno.EEXIST;
    if (mode.global === true) {
      if (there.globalUse) return 0;
      there.globalUse = true;
    }
    if (mode.sync === true) {
      if (there.synced > 0 && syncCount > 0) return -Errno.EEXIST;
      there.synced++;
    }
    there.refcount++;
    return 0;
  }

  /** -ENOENT: nobody of this kind has added it. (`__hw_addr_del_ex`) */
  del(addr: Uint8Array, mode: Mode = {}): number {
    const entry = this.find(addr);
    return entry === undefined ? -Errno.ENOENT : this.delEntry(entry, mode);
  }

  /** (`__hw_addr_del_entry`) */
  delEntry(entry: HwAddr, mode: Mode = {}): number {
    if (mode.global === true && !entry.globalUse) return -Errno.ENOENT;
    if (mode.sync === true && entry.synced === 0) return -Errno.ENOENT;
    if (mode.global === true) entry.globalUse = false;
    if (mode.sync === true) entry.synced--;
    if (--entry.refcount === 0) this.#entries.splice(this.#entries.indexOf(entry), 1);
    return 0;
  }

  /** Nothing is left. (`__hw_addr_flush`) */
  flush(): void {
    this.#entries.length = 0;
  }

  /** The first entry is this address and only the device itself holds it. */
  isMain(addr: Uint8Array): boolean {
    const first = this.#entries[0];
    return first !== undefined && sameAddr(first.addr, addr) && first.refcount === 1;
  }
}

/** A piece of hardware is given what it lacks and told what is gone; a negative errno from `sync` ends it. (`__hw_addr_sync_dev`) */
export function hwAddrSyncDev(
  list: HwAddrList,
  sync: (addr: Uint8Array) => number,
  unsync: ((addr: Uint8Array) => number) | null = null,
): number {
  for (const entry of list) {
    // The hardware's own reference is the last one: nobody wants it any more.
    if (entry.syncCount === 0 || entry.refcount !== 1) continue;
    if (unsync !== null && unsync(entry.addr) !== 0) continue;
    entry.syncCount--;
    list.delEntry(entry);
  }
  for (const entry of list) {
    if (entry.syncCount > 0) continue;
    const error = sync(entry.addr);
    if (error !== 0) return error;
    entry.syncCount++;
    entry.refcount++;
  }
  return 0;
}

/** The hardware has forgotten everything. (`__hw_addr_unsync_dev`) */
export function hwAddrUnsyncDev(list: HwAddrList, unsync: ((addr: Uint8Array) => number) | null = null): void {
  for (const entry of list) {
    if (entry.syncCount === 0 || (unsync !== null && unsync(entry.addr) !== 0)) continue;
    entry.syncCount--;
    list.delEntry(entry);
  }
}

/** `to`, of the device below, gets what `from` has, and loses what it has no more. (`__hw_addr_sync`) */
export function hwAddrSync(to: HwAddrList, from: HwAddrList): number {
  for (const entry of from) {
    if (entry.syncCount === 0) {
      const error = to.add(entry.addr, { sync: true }, entry.syncCount);
      if (error === -Errno.EEXIST) continue;
      if (error !== 0) return error;
      entry.syncCount++;
      entry.refcount++;
    } else if (entry.refcount === 1) {
      unsyncOne(to, from, entry);
    }
  }
  return 0;
}

/** `to` loses what `from` has given it. (`__hw_addr_unsync`) */
export function hwAddrUnsync(to: HwAddrList, from: HwAddrList): void {
  for (const entry of from) if (entry.syncCount > 0) unsyncOne(to, from, entry);
}

function unsyncOne(to: HwAddrList, from: HwAddrList, entry: HwAddr): void {
  if (to.del(entry.addr, { sync: true }) !== 0) return;
  entry.syncCount--;
  from.delEntry(entry);
}

function sameAddr(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
