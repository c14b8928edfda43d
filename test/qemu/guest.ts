/**
 * A real kernel in QEMU, on a TAP device in a namespace of the test.
 *
 *   test's namespace                            qemu -accel tcg
 *   +----------------------------+              +-----------------------------+
 *   | tap0  10.0.0.1/24          |<-- frames -->| eth0 (virtio-net)           |
 *   | collectors, socat, tcpdump |              | Debian's kernel, busybox    |
 *   +----------------------------+              +-----------------------------+
 *          ttyS0 console and ttyS2 kmsg to files, ttyS1 control on a unix socket, in a scratch folder
 *
 * 1. `bootGuest` makes the TAP device, the initramfs and the sockets, and starts qemu; about six seconds later the
 *    steps run.
 * 2. The test and the guest keep step with `hears` (the guest said a word) and `tell` (let it go on).
 * 3. The end is qemu's: a panic reboots after a second (`panic=1`; with a reboot at once, now and then the last dozen
 *    frames would still lie in the ring of the virtual NIC), and `-no-reboot` makes that an exit. `ended` waits for it,
 *    within a limit, and reads every port to its last byte. `remove` cleans up whatever happened.
 *
 * KVM is not used: emulation works the same on every machine.
 */
import { join } from 'node:path';
import type { Child } from '../netns/child.ts';
import { scratch } from '../netns/peers.ts';
import type { Namespace } from '../netns/rig.ts';
import { buildInitramfs, FAILURE_WORD, NETCONSOLE_MODULES } from './initramfs.ts';
import type { GuestKernel } from './kernel.ts';
import { FilePort, type Port, SocketPort } from './port.ts';
import type { SerialLog } from './serial.ts';

const BOOT_MS = 60_000;
const END_MS = 20_000;
const ALWAYS = [
  ...['console=ttyS0,115200', 'net.ifnames=0', 'ignore_loglevel', 'printk.devkmsg=on', 'log_buf_len=4M', 'panic=1'],
].join(' ');

/** One NIC of the guest and its end in the namespace. */
export interface Tap {
  readonly device: string;
  readonly guestMac: string;
}

/** One NIC of the guest whose other end is not a TAP device. */
export interface Netdev {
  /** What stands behind `-netdev`, for example `stream,id=net0,...`; its id is net0, net1, ... in order. */
  readonly netdev: string;
  readonly guestMac: string;
}

export interface GuestSpec {
  readonly kernel: GuestKernel;
  readonly space: Namespace;
  /** Lines of shell, made by the functions of initramfs.ts. */
  readonly steps: readonly string[];
  readonly modules?: readonly string[];
  /** The guest's NICs, each on a TAP device without an address; WIRE, with its addresses, if absent. */
  readonly taps?: readonly Tap[];
  /** NICs on other netdevs of qemu; then there are no TAP devices. */
  readonly netdevs?: readonly Netdev[];
  /** Put in /files of the guest. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Added to the kernel's command line. */
  readonly commandLine?: string;
  /** Where qemu writes every frame that it sends and receives. */
  readonly pcap?: string;
  readonly memoryMb?: number;
  readonly cpus?: number;
}

/** The host's side of the wire, the same in every namespace. */
export const WIRE = {
  device: 'tap0',
  hostAddress: '10.0.0.1',
  hostMac: '02:00:00:00:00:01',
  guestAddress: '10.0.0.2',
  guestMac: '02:00:00:00:00:02',
} as const;

export const GUEST_TOOLS = ['ip', 'sysctl', 'qemu-system-x86_64', 'cpio', 'apt-get', 'dpkg'] as const;
export const GUEST_PATHS = ['/dev/net/tun', '/bin/busybox'] as const;

interface Ports {
  readonly console: FilePort;
  readonly control: SocketPort;
  readonly kmsg: FilePort;
  readonly monitor: SocketPort;
}

export class Guest {
  readonly console: SerialLog;
  readonly control: SerialLog;
  readonly kmsg: SerialLog;
  readonly #qemu: Child;
  readonly #ports: Ports;
  readonly #discard: () => void;

  private constructor(qemu: Child, ports: Ports, discard: () => void) {
    this.#qemu = qemu;
    this.#ports = ports;
    this.#discard = discard;
    this.console = ports.console.log;
    this.control = ports.control.log;
    this.kmsg = ports.kmsg.log;
  }

  /** Start one; see `bootGuest`. */
  static async boot(spec: GuestSpec): Promise<Guest> {
    const { path: folder, discard } = scratch('guest');
    const ports: Ports = {
      console: new FilePort(join(folder, 'console')),
      control: await SocketPort.listen(join(folder, 'control')),
      kmsg: new FilePort(join(folder, 'kmsg')),
      monitor: await SocketPort.listen(join(folder, 'monitor')),
    };
    try {
      if (spec.taps === undefined && spec.netdevs === undefined) await makeWire(spec.space);
      for (const tap of spec.taps ?? []) await makeTap(spec.space, tap.device);
      const modules = spec.modules ?? NETCONSOLE_MODULES;
      const initramfs = await buildInitramfs(folder, spec.kernel, modules, spec.steps, spec.files);
      const qemu = await spec.space.start(
        commandLine(spec, initramfs, [ports.console, ports.control, ports.kmsg], ports.monitor),
      );
      return new Guest(qemu, ports, discard);
    } catch (error) {
      for (const port of Object.values(ports)) port.close();
      discard();
      throw error;
    }
  }

  /** Wait until the guest says `word` on its control port. Fails when its script failed or the machine ended. */
  async hears(word: string, limitMs = BOOT_MS): Promise<void> {
    const said = () => this.control.lines('\n').map((line) => line.text);
    await this.#until(`"${word}"`, () => said().includes(word) || said().some(isFailure), limitMs);
    const failure = said().find(isFailure);
    if (failure !== undefined) throw this.#failure(`the guest's script failed: ${said().join(' / ')}`);
  }

  /** Wait until a record whose text holds `words` has come through the guest's /dev/kmsg. */
  async recorded(words: string, limitMs = BOOT_MS): Promise<void> {
    await this.#until(`"${words}" in /dev/kmsg`, () => this.kmsg.text.includes(words), limitMs);
  }

  /** Let a guest that waits in `awaitHost` go on. */
  tell(line: string): void {
    this.#ports.control.write(`${line}\n`);
  }

  /** Has qemu pull the cable of NIC `index`, or plug it in again: the guest sees that, the TAP device does not. */
  setLink(index: number, up: boolean): void {
    this.#ports.monitor.write(`set_link net${index} ${up ? 'on' : 'off'}\n`);
  }

  /** Wait until the machine has ended by itself and all its ports are read to the end. */
  async ended(limitMs = END_MS): Promise<void> {
    await this.#until('the end of the machine', () => this.#qemu.end !== undefined, limitMs);
    for (const port of [this.#ports.console, this.#ports.kmsg]) port.drain();
  }

  /** End it if it still runs, and remove its files. The TAP device goes with its namespace. */
  async remove(): Promise<void> {
    await this.#qemu.stop();
    for (const port of Object.values(this.#ports)) port.close();
    this.#discard();
  }

  async #until(what: string, test: () => boolean, limitMs: number): Promise<void> {
    try {
      await this.#qemu.until(what, test, limitMs);
    } catch (error) {
      // The end of qemu may be what was waited for, or come right after it.
      if (!test()) throw this.#failure(error instanceof Error ? error.message : String(error));
    }
  }

  #failure(what: string): Error {
    return new Error(`${what}\nconsole, last lines:\n${this.console.transcript().split('\n').slice(-30).join('\n')}`);
  }
}

/** Boot `spec.kernel` in `spec.space`. The TAP device is up and addressed when this returns; the kernel just starts. */
export async function bootGuest(spec: GuestSpec): Promise<Guest> {
  return await Guest.boot(spec);
}

async function makeTap(space: Namespace, device: string): Promise<void> {
  await space.ip('tuntap', 'add', 'dev', device, 'mode', 'tap');
  await space.ip('link', 'set', device, 'up');
}

async function makeWire(space: Namespace): Promise<void> {
  await makeTap(space, WIRE.device);
  await space.ip('link', 'set', WIRE.device, 'address', WIRE.hostMac, 'up');
  await space.ip('addr', 'add', `${WIRE.hostAddress}/24`, 'dev', WIRE.device);
  await space.neighbour(WIRE.device, WIRE.guestAddress, WIRE.guestMac);
}

function commandLine(spec: GuestSpec, initramfs: string, ports: readonly Port[], monitor: Port): string[] {
  const serial = ports.flatMap((port, index) => [
    ...['-chardev', `${port.backend},id=serial${index},path=${port.path}`],
    ...['-serial', `chardev:serial${index}`],
  ]);
  const dump = spec.pcap === undefined ? [] : ['-object', `filter-dump,id=dump0,netdev=net0,file=${spec.pcap}`];
  // With virtio's own header on the TAP device, qemu writes it into the pcap file in front of each frame.
  const bare = spec.pcap === undefined ? '' : ',vnet_hdr=off';
  const taps: readonly Tap[] = spec.taps ?? [WIRE];
  const onTap = ({ device, guestMac }: Tap, index: number): Netdev => ({
    netdev: `tap,id=net${index},ifname=${device},script=no,downscript=no${bare}`,
    guestMac,
  });
  // Without a speed of its own a virtual NIC says that it has none, and LACP wants one.
  const nics = (spec.netdevs ?? taps.map(onTap)).flatMap(({ netdev, guestMac }, index) => [
    ...['-netdev', netdev],
    ...['-device', `virtio-net-pci,netdev=net${index},mac=${guestMac},speed=1000,duplex=full,romfile=`],
  ]);
  return [
    ...['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m', String(spec.memoryMb ?? 512)],
    ...['-smp', String(spec.cpus ?? 1), '-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-kernel', spec.kernel.image, '-initrd', initramfs, '-append', `${ALWAYS} ${spec.commandLine ?? ''}`.trim()],
    ...nics,
    ...dump,
    ...['-chardev', `socket,id=monitor0,path=${monitor.path}`, '-mon', 'chardev=monitor0,mode=readline'],
    ...serial,
  ];
}

function isFailure(line: string): boolean {
  return line.startsWith(FAILURE_WORD);
}
