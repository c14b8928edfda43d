/**
 * The targets as a tree of attributes, as under /sys/kernel/config/netconsole.
 *
 *     TARGET/                         mkdir makes one (disabled), rmdir takes it away
 *       enabled extended release dev_name local_port remote_port local_ip remote_ip local_mac remote_mac transmit_errors
 *       userdata/
 *         cpu_nr_enabled taskname_enabled release_enabled msgid_enabled
 *         KEY/value                   mkdir makes a key, rmdir takes it away; at any time
 *
 * Paths are relative to the tree's root and have no slash at either end. Every operation answers as the kernel does: a
 * result, or a negative errno. A write of no bytes is no write. Targets of `netconsole=` are there from the start as cmdlineN;
 * mkdir of one succeeds once, so that scripts for the kernel, where only that makes it visible, run here.
 */
import { Errno } from '../../base/status.ts';
import { decodeText, encodeText } from '../../wire/netconsole_text.ts';
import { ATTRIBUTES, kstrtobool } from './attributes.ts';
import { SYSDATA_NAMES, type SysdataName } from './extradata.ts';
import type { Netconsole } from './netconsole.ts';
import type { NetconsoleTarget } from './target.ts';

/** Longest name of a folder. */
const NAME_MAX = 255;
const USERDATA = 'userdata';

/** What a path leads to. */
type Node =
  | { kind: 'root' }
  | { kind: 'target'; target: NetconsoleTarget }
  | { kind: 'attribute'; target: NetconsoleTarget; name: string }
  | { kind: 'userdata'; target: NetconsoleTarget }
  | { kind: 'sysdata'; target: NetconsoleTarget; name: SysdataName }
  | { kind: 'key'; target: NetconsoleTarget; key: string }
  | { kind: 'value'; target: NetconsoleTarget; key: string };

export class NetconsoleConfigfs {
  readonly #netconsole: Netconsole;
  readonly #attached = new Set<string>();

  constructor(netconsole: Netconsole) {
    this.#netconsole = netconsole;
  }

  /** Names in a folder, folders with a slash behind; -ENOENT, -ENOTDIR. */
  list(path: string): string[] | number {
    const node = this.#resolve(path);
    if (typeof node === 'number') return node;
    switch (node.kind) {
      case 'root':
        return this.#netconsole.targets.map((target) => `${target.name}/`).reverse();
      case 'target':
        return [...Object.keys(ATTRIBUTES), `${USERDATA}/`];
      case 'userdata':
        return [...SYSDATA_NAMES, ...node.target.extradata.items.map((item) => `${item.key}/`)];
      case 'key':
        return ['value'];
      default:
        return -Errno.ENOTDIR;
    }
  }

  /** The text of an attribute, its newline included (see decodeText for bytes that are no UTF-8); -ENOENT, -EISDIR. */
  read(path: string): string | number {
    const node = this.#resolve(path);
    if (typeof node === 'number') return node;
    switch (node.kind) {
      case 'attribute':
        return `${ATTRIBUTES[node.name]!.show(node.target)}\n`;
      case 'sysdata':
        return node.target.extradata.enabled[node.name] ? '1\n' : '0\n';
      case 'value':
        return `${decodeText(itemOf(node.target, node.key).value)}\n`;
      default:
        return -Errno.EISDIR;
    }
  }

  /** One write() of an attribute: the number of bytes, or a negative errno. */
  write(path: string, data: string | Uint8Array): number {
    const bytes = typeof data === 'string' ? encodeText(data) : data;
    const node = this.#resolve(path);
    if (typeof node === 'number') return node;
    let error: number;
    switch (node.kind) {
      case 'attribute': {
        const { store, always } = ATTRIBUTES[node.name]!;
        if (store === undefined) return -Errno.EACCES;
        if (bytes.length === 0) return 0;
        error = always === true ? 0 : this.#locked(node.target);
        if (error === 0) error = store(node.target, decodeText(bytes), this.#netconsole);
        break;
      }
      case 'sysdata': {
        if (bytes.length === 0) return 0;
        const on = kstrtobool(decodeText(bytes));
        error = on === null ? -Errno.EINVAL : 0;
        if (on !== null) node.target.extradata.enabled[node.name] = on;
        break;
      }
      case 'value':
        if (bytes.length === 0) return 0;
        error = node.target.extradata.setValue(node.key, bytes);
        break;
      default:
        return -Errno.EISDIR;
    }
    return error < 0 ? error : bytes.length;
  }

  /** Makes a target, or a key; 0, or a negative errno. */
  mkdir(path: string): number {
    const { parent, name } = split(path);
    const there = this.#resolve(path);
    if (typeof there !== 'number') {
      const cmdline = there.kind === 'target' && /^cmdline\d+$/.test(name) && !this.#attached.has(name);
      if (cmdline) this.#attached.add(name);
      return cmdline ? 0 : -Errno.EEXIST;
    }
    const node = this.#resolve(parent);
    if (typeof node === 'number') return node;
    if (name === '' || name === '.' || name === '..') return -Errno.EINVAL;
    if (encodeText(name).length > NAME_MAX) return -Errno.ENAMETOOLONG;
    switch (node.kind) {
      case 'root':
        this.#netconsole.add(name);
        this.#attached.add(name);
        return 0;
      case 'userdata':
        return node.target.extradata.addItem(name);
      case 'target':
      case 'key':
        return -Errno.EPERM;
      default:
        return -Errno.ENOTDIR;
    }
  }

  /** Takes a target (without keys), or a key, away; 0, or a negative errno. */
  rmdir(path: string): number {
    const node = this.#resolve(path);
    if (typeof node === 'number') return node;
    switch (node.kind) {
      case 'target':
        if (node.target.extradata.items.length > 0) return -Errno.ENOTEMPTY;
        this.#attached.delete(node.target.name);
        this.#netconsole.remove(node.target);
        return 0;
      case 'key':
        return node.target.extradata.removeItem(node.key);
      case 'root':
      case 'userdata':
        return -Errno.EPERM;
      default:
        return -Errno.ENOTDIR;
    }
  }

  #locked(target: NetconsoleTarget): number {
    if (!target.enabled) return 0;
    this.#netconsole.net.machine.printk.err(
      `netconsole: target (${target.name}) is enabled, disable to update parameters`,
    );
    return -Errno.EINVAL;
  }

  #resolve(path: string): Node | number {
    if (path === '') return { kind: 'root' };
    const parts = path.split('/');
    const target = this.#netconsole.find(parts[0]!);
    if (target === undefined) return -Errno.ENOENT;
    if (parts.length === 1) return { kind: 'target', target };
    const name = parts[1]!;
    if (Object.hasOwn(ATTRIBUTES, name))
      return parts.length === 2 ? { kind: 'attribute', target, name } : -Errno.ENOTDIR;
    if (name !== USERDATA) return -Errno.ENOENT;
    return parts.length === 2 ? { kind: 'userdata', target } : resolveUserdata(target, parts.slice(2));
  }
}

function resolveUserdata(target: NetconsoleTarget, [name = '', file, ...rest]: string[]): Node | number {
  const sysdata = SYSDATA_NAMES.find((each) => each === name);
  if (sysdata !== undefined) return file === undefined ? { kind: 'sysdata', target, name: sysdata } : -Errno.ENOTDIR;
  if (!target.extradata.items.some((item) => item.key === name)) return -Errno.ENOENT;
  if (file === undefined) return { kind: 'key', target, key: name };
  if (file !== 'value') return -Errno.ENOENT;
  return rest.length === 0 ? { kind: 'value', target, key: name } : -Errno.ENOTDIR;
}

function itemOf(target: NetconsoleTarget, key: string): { readonly value: Uint8Array } {
  return target.extradata.items.find((item) => item.key === key)!;
}

function split(path: string): { parent: string; name: string } {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? { parent: '', name: path } : { parent: path.slice(0, slash), name: path.slice(slash + 1) };
}
