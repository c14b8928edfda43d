/**
 * What decides whether this host's kernel logs over the network: console level, the netconsole module, the kernel's age, and what
 * is set up already. Read from /proc, /sys and /lib/modules; what cannot be read is null, nothing throws.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Records of a level below this reach the consoles. */
export interface LogLevels {
  readonly console: number;
  /** Level of a record that has none. */
  readonly message: number;
  readonly minimum: number;
}

export interface ActiveTarget {
  readonly name: string;
  readonly enabled: boolean;
  readonly dev: string;
  readonly remote: string;
}

export interface KernelFacts {
  /** `uname -r`. */
  readonly release: string;
  /** Major and minor. */
  readonly version: readonly [major: number, minor: number];
  readonly levels: LogLevels | null;
  /** Everything is printed, whatever the level. */
  readonly ignoreLoglevel: boolean;
  /** absent: the kernel has been built without it, or its modules do not contain it. */
  readonly netconsole: 'loaded' | 'built-in' | 'module' | 'absent' | 'unknown';
  /** Targets can be made while it runs (CONFIG_NETCONSOLE_DYNAMIC). */
  readonly dynamic: boolean | null;
  /** No modules can be loaded. */
  readonly modulesForbidden: boolean;
  readonly targets: readonly ActiveTarget[];
  /** The value of `netconsole=` that the kernel was booted with. */
  readonly bootParameter: string | null;
  /** This process is not in the network namespace of init, where boot and module targets live. */
  readonly otherNamespace: boolean | null;
}

/** Where it is read from; a test has another place. */
export interface FactSource {
  readonly root: string;
  readonly release: string;
}

export function kernelFacts(from: FactSource = { root: '/', release: release() }): KernelFacts {
  const read = (path: string) => readText(join(from.root, path));
  const [major, minor] = from.release.split(/[.-]/).map(Number);
  const commandLine = read('proc/cmdline') ?? '';
  const config = kernelConfig(from);
  return {
    release: from.release,
    version: [major || 0, minor || 0],
    levels: logLevels(read('proc/sys/kernel/printk')),
    ignoreLoglevel: read('sys/module/printk/parameters/ignore_loglevel')?.startsWith('Y') ?? false,
    netconsole: netconsoleState(from, config),
    dynamic:
      existsSync(join(from.root, 'sys/kernel/config/netconsole')) ||
      (config === null ? null : /^CONFIG_NETCONSOLE_DYNAMIC=y$/m.test(config)),
    modulesForbidden:
      read('proc/sys/kernel/modules_disabled')?.trim() === '1' || /(^|\s)nomodule(\s|$)/.test(commandLine),
    targets: activeTargets(from),
    bootParameter: /(?:^|\s)netconsole=("[^"]*"|\S+)/.exec(commandLine)?.[1]?.replace(/"/g, '') ?? null,
    otherNamespace: otherNamespace(from),
  };
}

/** The driver behind an interface, and whether it is a module; nulls for a device without hardware, or one that /sys does not show. */
export function driverOf(
  dev: string,
  ifindex: number,
  root = '/',
): { driver: string | null; isModule: boolean | null } {
  const folder = join(root, 'sys/class/net', dev);
  // /sys may show another namespace's interfaces.
  if (Number(readText(join(folder, 'ifindex'))) !== ifindex) return { driver: null, isModule: null };
  const driver = linkName(join(folder, 'device/driver'));
  if (driver === null) return { driver: null, isModule: null };
  const module = linkName(join(folder, 'device/driver/module'));
  return { driver, isModule: module !== null && existsSync(join(root, 'sys/module', module, 'initstate')) };
}

/** True if /sys says that the interface is wireless. */
export function isWireless(dev: string, root = '/'): boolean {
  const folder = join(root, 'sys/class/net', dev);
  return existsSync(join(folder, 'wireless')) || existsSync(join(folder, 'phy80211'));
}

/** Null if the text has not the four numbers of /proc/sys/kernel/printk. */
export function logLevels(text: string | null): LogLevels | null {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+\d+\s*$/.exec(text ?? '');
  if (match === null) return null;
  return { console: Number(match[1]), message: Number(match[2]), minimum: Number(match[3]) };
}

function netconsoleState(from: FactSource, config: string | null): KernelFacts['netconsole'] {
  const modules = join(from.root, 'lib/modules', from.release);
  const builtIn = readText(join(modules, 'modules.builtin'));
  if (builtIn?.includes('/netconsole.ko') || /^CONFIG_NETCONSOLE=y$/m.test(config ?? '')) return 'built-in';
  if (existsSync(join(from.root, 'sys/module/netconsole'))) return 'loaded';
  const dependencies = readText(join(modules, 'modules.dep'));
  if (dependencies !== null) return /\/netconsole\.ko/.test(dependencies) ? 'module' : 'absent';
  if (config === null) return 'unknown';
  return /^CONFIG_NETCONSOLE=m$/m.test(config) ? 'module' : 'absent';
}

/** The kernel's configuration from /proc, or from /boot; null: nowhere. */
function kernelConfig(from: FactSource): string | null {
  try {
    return gunzipSync(readFileSync(join(from.root, 'proc/config.gz'))).toString('latin1');
  } catch {
    return readText(join(from.root, 'boot', `config-${from.release}`));
  }
}

function activeTargets(from: FactSource): ActiveTarget[] {
  const folder = join(from.root, 'sys/kernel/config/netconsole');
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  const value = (name: string, file: string) => readText(join(folder, name, file))?.trim() ?? '';
  return names.map((name) => ({
    name,
    enabled: value(name, 'enabled') === '1',
    dev: value(name, 'dev_name') || value(name, 'local_mac'),
    remote: `${value(name, 'remote_ip')}:${value(name, 'remote_port')}`,
  }));
}

function otherNamespace(from: FactSource): boolean | null {
  try {
    const of = (who: string) => readlinkSync(join(from.root, 'proc', who, 'ns/net'));
    return of('self') !== of('1');
  } catch {
    return null;
  }
}

function linkName(path: string): string | null {
  try {
    return basename(readlinkSync(path));
  } catch {
    return null;
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
