/**
 * Debian's own kernel, fetched once and kept under `.cache/qemu/` at the root of the repository.
 *
 *   apt-cache depends linux-image-amd64 -> linux-image-6.1.0-NN-amd64 -> apt-get download -> dpkg -x -> what we boot
 *
 * 1. A finished folder is used as it is; nothing asks the network again. Delete `.cache/qemu` to get a newer kernel.
 * 2. Otherwise one process at a time fetches (a lock file with its pid; a dead owner's lock is taken over) into a
 *    folder of its own, and renames it into place as the last step: a folder with its final name is complete.
 * 3. Only what a guest can need is kept of the 400 MB: the kernel, virtio, network and configfs modules.
 *
 * Nothing is installed, and no hook of the package runs.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The package that always depends on Debian's current kernel. */
const META_PACKAGE = 'linux-image-amd64';
const CACHE = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '.cache', 'qemu');
const KEPT_MODULES = ['drivers/virtio', 'drivers/net', 'fs/configfs', 'net', 'lib', 'crypto'];
const DROPPED_MODULES = ['drivers/net/ethernet', 'drivers/net/wireless', 'drivers/net/usb', 'drivers/net/can'];
const FETCH_MS = 300_000;
const LOCK_POLL_MS = 200;

/** Why there is no kernel to boot. `code`: NOT_DEBIAN, NO_PACKAGE, NO_NETWORK, BAD_PACKAGE, NO_MODULE, LOCKED. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  readonly code: string;

  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

export interface GuestKernel {
  /** As `uname -r` says inside, for example `6.1.0-56-amd64`. */
  readonly release: string;
  /** The bootable image. */
  readonly image: string;
  /** Path of a module's file (.ko, .ko.xz or .ko.zst), or undefined where it is built into the image. */
  module(name: string): string | undefined;
}

/** The kernel to boot: from the cache, or fetched now. Safe to call from several processes at once. */
export async function fetchKernel(cache = CACHE): Promise<GuestKernel> {
  const ready = () => readdirIfAny(cache).find((name) => name.startsWith('linux-'));
  mkdirSync(cache, { recursive: true });
  let folder = ready();
  if (folder === undefined) {
    const unlock = await lock(join(cache, 'fetch.lock'));
    try {
      folder = ready() ?? (await fetchInto(cache));
    } finally {
      unlock();
    }
  }
  return describeKernel(join(cache, folder));
}

async function fetchInto(cache: string): Promise<string> {
  if (!existsSync('/etc/debian_version'))
    throw new KernelError('NOT_DEBIAN', 'the guest kernel comes from apt: not Debian');
  if (process.arch !== 'x64')
    throw new KernelError('NOT_DEBIAN', `the guest kernel is amd64, this machine is ${process.arch}`);
  const work = join(cache, `fetching-${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work);
  try {
    const name = await concretePackage();
    await apt(['download', name], work);
    const archive = readdirSync(work).find((file) => file.endsWith('.deb'));
    if (archive === undefined) throw new KernelError('BAD_PACKAGE', `apt-get download ${name} left no archive`);
    await run('dpkg', ['-x', join(work, archive), join(work, 'unpacked')]);
    return keep(join(work, 'unpacked'), work, cache);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Ask apt which package the meta package stands for today; fresh containers need their package lists first. */
async function concretePackage(): Promise<string> {
  const ask = async () => {
    const { stdout } = await run('apt-cache', ['depends', META_PACKAGE]).catch(() => ({ stdout: '' }));
    return /Depends:\s+(linux-image-\S+-amd64)\b/.exec(stdout)?.[1];
  };
  const known = await ask();
  if (known !== undefined) return known;
  await apt(['update']);
  const fresh = await ask();
  if (fresh === undefined)
    throw new KernelError('NO_PACKAGE', `apt knows no ${META_PACKAGE}: check /etc/apt/sources.list`);
  return fresh;
}

async function apt(words: string[], cwd = '/'): Promise<void> {
  try {
    await run('apt-get', ['-q', '-o', 'APT::Sandbox::User=root', ...words], { cwd, timeout: FETCH_MS });
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new KernelError('NO_NETWORK', `apt-get ${words.join(' ')} failed: ${detail}`, error);
  }
}

/** Move what a guest needs into its final folder, whose name says the release. */
function keep(unpacked: string, work: string, cache: string): string {
  const image = readdirIfAny(join(unpacked, 'boot')).find((file) => file.startsWith('vmlinuz-'));
  if (image === undefined) throw new KernelError('BAD_PACKAGE', 'the kernel package holds no boot/vmlinuz-*');
  const release = image.slice('vmlinuz-'.length);
  const roots = ['lib/modules', 'usr/lib/modules'].map((root) => join(unpacked, root, release));
  const modules = roots.find((root) => existsSync(root));
  if (modules === undefined) throw new KernelError('BAD_PACKAGE', `the kernel package holds no modules of ${release}`);
  const kept = join(work, 'kept');
  mkdirSync(join(kept, 'modules'), { recursive: true });
  renameSync(join(unpacked, 'boot', image), join(kept, image));
  for (const dropped of DROPPED_MODULES) rmSync(join(modules, 'kernel', dropped), { recursive: true, force: true });
  for (const part of KEPT_MODULES.filter((part) => existsSync(join(modules, 'kernel', part)))) {
    cpSync(join(modules, 'kernel', part), join(kept, 'modules', part), { recursive: true });
  }
  const builtin = join(modules, 'modules.builtin');
  writeFileSync(join(kept, 'modules.builtin'), existsSync(builtin) ? readFileSync(builtin) : '');
  const folder = `linux-${release}`;
  // It is there already where two processes took over the same dead owner's lock; theirs is as good.
  if (!existsSync(join(cache, folder))) renameSync(kept, join(cache, folder));
  return folder;
}

function describeKernel(folder: string): GuestKernel {
  const release = basename(folder).slice('linux-'.length);
  const files = readdirSync(join(folder, 'modules'), { recursive: true, encoding: 'utf8' });
  const paths = new Map<string, string>();
  for (const file of files.filter((file) => /\.ko(\.\w+)?$/.test(file)))
    paths.set(moduleName(file), join(folder, 'modules', file));
  const builtin = new Set(readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(moduleName));
  return {
    release,
    image: join(folder, `vmlinuz-${release}`),
    module: (name) => {
      const path = paths.get(moduleName(name));
      if (path !== undefined || builtin.has(moduleName(name))) return path;
      throw new KernelError('NO_MODULE', `${release} has no module ${name}, neither as a file nor built in`);
    },
  };
}

/** Modules are named with underscores in some places and with dashes in others. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

function readdirIfAny(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** One owner at a time, across processes; returns the release. */
async function lock(file: string): Promise<() => void> {
  const deadline = performance.now() + FETCH_MS;
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(readIfAny(file));
    // An empty file is a lock between its creation and its first write: leave it time.
    if (owner > 0 && !existsSync(`/proc/${owner}`)) rmSync(file, { force: true });
    if (performance.now() > deadline) throw new KernelError('LOCKED', `process ${owner} keeps ${file}`);
    await sleep(LOCK_POLL_MS);
  }
}

function readIfAny(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
