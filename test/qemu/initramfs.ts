/**
 * The guest's whole disk: busybox, a few modules, and a script that is process 1.
 *
 *   /init           prelude below, then the steps of the test
 *   /bin/...        busybox-static and a link for each of its applets
 *   /modules/N.ko   unpacked already, in the order in which they are loaded
 *   /files/...      whatever else the test hands over
 *
 * The script talks over three serial ports, each with one purpose, so that nothing is ever mixed into the console:
 *
 *   ttyS0  the kernel's console, which no process holds open: what the screen of a dying machine shows
 *   ttyS1  the wire to the test: `say WORD` out, `await_host` in
 *   ttyS2  a copy of /dev/kmsg from the first record on: the kernel's own level, sequence number and time of each record
 *
 * Steps are shell lines, made by the functions here. A step that fails is told over ttyS1 by `set -e` and the trap.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, gzipSync } from 'node:zlib';
import { type GuestKernel, KernelError } from './kernel.ts';

const run = promisify(execFile);

/** In this order they load without depmod and modprobe; netconsole's own options come with its step. */
export const NETCONSOLE_MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci'],
  ...['failover', 'net_failover', 'virtio_net', 'configfs', 'netconsole'],
] as const;

/** Said over ttyS1 when process 1 meets an error; the number is the exit status. */
export const FAILURE_WORD = 'init-failed';

const BUSYBOX = '/bin/busybox';
const BIGGEST_RECORD = 16_384;
/** What the shell's printf takes as itself, quoted, anywhere in its format; the rest goes in octal. */
const PLAIN = /[\w <>=:;,./()]/;
const PRELUDE = `#!/bin/sh
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
exec </dev/ttyS1 >/dev/ttyS1 2>&1
say() { echo "$*"; }
await_host() { read -r HOST_SAID; }
trap 'say ${FAILURE_WORD} $?; sleep 1; poweroff -f' EXIT
dd if=/dev/kmsg of=/dev/ttyS2 bs=${BIGGEST_RECORD} 2>/dev/null &
`;

/** Load a module that is in the image; `parameters` as insmod takes them, one word each. */
export function loadModule(kernel: GuestKernel, name: string, ...parameters: string[]): string {
  if (kernel.module(name) === undefined) return `: ${name} is built in`;
  return ['insmod', `/modules/${name}.ko`, ...parameters.map(quoted)].join(' ');
}

/** One record, with one write, through /dev/kmsg. A refusal by the kernel is told over ttyS1 and ends the guest. */
export function writeKmsg(record: string | Uint8Array): string {
  const octal = [...Buffer.from(record)].map((byte) =>
    PLAIN.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, '0')}`,
  );
  return `printf '${octal.join('')}' > /dev/kmsg`;
}

/** Tell the test that the guest has come this far. */
export function say(words: string): string {
  return `say ${quoted(words)}`;
}

/** Wait for a line from the test. */
export function awaitHost(): string {
  return 'await_host';
}

/** A magic system request, as the keyboard or an operator would give it: `c` crashes, `h` helps. */
export function sysrq(key: string): string {
  return `echo ${quoted(key)} > /proc/sysrq-trigger`;
}

/** Write the image for `kernel` with `modules` and `steps` as `folder`/initramfs.gz and return its path. */
export async function buildInitramfs(
  folder: string,
  kernel: GuestKernel,
  modules: readonly string[],
  steps: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>> = {},
): Promise<string> {
  const root = join(folder, 'root');
  for (const part of ['bin', 'proc', 'sys', 'dev', 'modules', 'files', 'tmp'])
    mkdirSync(join(root, part), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin', 'busybox'));
  const { stdout: applets } = await run(BUSYBOX, ['--list']);
  for (const applet of applets.split('\n').filter((name) => name !== '' && name !== 'busybox')) {
    symlinkSync('busybox', join(root, 'bin', applet));
  }
  for (const name of modules) await placeModule(kernel, name, join(root, 'modules', `${name}.ko`));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, 'files', name)), { recursive: true });
    writeFileSync(join(root, 'files', name), content);
  }
  writeFileSync(join(root, 'init'), `${PRELUDE}${steps.join('\n')}\ntrap - EXIT\nsay done\npoweroff -f\n`, {
    mode: 0o755,
  });
  const plain = join(folder, 'initramfs');
  await run('sh', ['-c', 'find . | cpio -o -H newc -R 0:0 --quiet > "$0"', plain], { cwd: root });
  writeFileSync(`${plain}.gz`, gzipSync(readFileSync(plain), { level: constants.Z_BEST_SPEED }));
  rmSync(plain);
  rmSync(root, { recursive: true });
  return `${plain}.gz`;
}

/** Modules go in unpacked: whether the guest's insmod and kernel can unpack them differs by release. */
async function placeModule(kernel: GuestKernel, name: string, target: string): Promise<void> {
  const source = kernel.module(name);
  if (source === undefined) return;
  if (source.endsWith('.ko')) return copyFileSync(source, target);
  const unpacker = { xz: 'xz', zst: 'zstd', gz: 'gzip' }[source.slice(source.lastIndexOf('.') + 1)];
  if (unpacker === undefined) throw new KernelError('NO_MODULE', `cannot unpack ${source}`);
  const { stdout } = await run(unpacker, ['-dc', source], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 });
  writeFileSync(target, stdout);
}

/** One word for the guest's shell, whatever it holds. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
