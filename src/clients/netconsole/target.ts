/**
 * One receiver of the log: where it is, how it wants its messages, whether it gets any.
 *
 *     DISABLED --enable--> ENABLED --disable, joins a master, its bond lost a slave--> DISABLED
 *                            | device unregistered                                       ^  ^
 *                            v                                                           |  |
 *                        DEACTIVATED --device is back, set-up fails----------------------+  |
 *                            |    --device is back, set-up succeeds--> ENABLED              |
 *                            +--somebody writes to `enabled`--------------------------------+
 *
 * The addresses are the netpoll client's own fields; they may be changed while the target is not enabled.
 * Answers to struct netconsole_target and enum target_state.
 */
import { NET_XMIT_DROP } from '../../base/status.ts';
import { netifRunning } from '../../device/net_device.ts';
import type { LogRecord } from '../../machine/printk.ts';
import { Netpoll } from '../../netpoll/netpoll.ts';
import { type NetpollOptions, OPTION_DEFAULTS } from '../../netpoll/options.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { type IpAddress, printIp, printMac } from '../../wire/address.ts';
import type { EmitDatagram } from '../../wire/netconsole_emit.ts';
import { Extradata } from './extradata.ts';

export const STATE_DISABLED = 0;
export const STATE_ENABLED = 1;
export const STATE_DEACTIVATED = 2;
export type TargetState = typeof STATE_DISABLED | typeof STATE_ENABLED | typeof STATE_DEACTIVATED;

/** `0.0.0.0` and `::`: no address yet. */
export const UNSPECIFIED: Readonly<Record<4 | 6, IpAddress>> = {
  4: { family: 4, v4: 0 },
  6: { family: 6, v6: new Uint8Array(16) },
};

const NO_MAC = new Uint8Array(6);

export interface TargetOptions {
  readonly name: string;
  readonly extended?: boolean;
  readonly release?: boolean;
  /** What a target has that is made later: the defaults, and no address. */
  readonly options?: NetpollOptions;
  /** The system's release. */
  readonly uname: string;
  /** What the banner shows as the local hardware address. */
  readonly bannerMac?: Uint8Array;
}

export class NetconsoleTarget {
  readonly name: string;
  readonly np: Netpoll;
  /** Records with their numbers, instead of plain text. */
  extended: boolean;
  state: TargetState = STATE_DISABLED;
  /** Datagrams that were refused at once: device gone, or no memory. Those deferred and then dropped are netpoll's. */
  transmitErrors = 0;
  /** Messages for this target that were not sent because its device was down. */
  skippedDown = 0;
  readonly extradata: Extradata;
  /** Sends one datagram, and counts. */
  readonly send: EmitDatagram;
  readonly #releaseBytes: Uint8Array;
  readonly #bannerMac: Uint8Array;
  #release = false;

  constructor(options: TargetOptions) {
    this.name = options.name;
    this.extended = options.extended ?? false;
    this.#releaseBytes = new TextEncoder().encode(options.uname);
    this.#bannerMac = options.bannerMac ?? NO_MAC;
    this.extradata = new Extradata(options.uname);
    this.release = options.release ?? false;
    const np = new Netpoll(
      'netconsole',
      options.options ?? { ...OPTION_DEFAULTS, localIp: null, devMac: null, remoteIp: UNSPECIFIED[4] },
    );
    this.np = np;
    this.send = (bytes, offset, length) => {
      const status = netpollSendUdp(np, bytes, offset, length);
      if (status < 0 || status === NET_XMIT_DROP) this.transmitErrors++;
    };
  }

  /** The system's release stands in front of each header. */
  get release(): boolean {
    return this.#release;
  }

  set release(on: boolean) {
    this.#release = on;
    this.extradata.release = on ? this.#releaseBytes : undefined;
  }

  get enabled(): boolean {
    return this.state === STATE_ENABLED;
  }

  /** Is a message to be sent? If its device is down now, none is, and none is counted as an error. */
  wants(): boolean {
    const { dev } = this.np;
    if (this.state !== STATE_ENABLED || dev === null) return false;
    if (netifRunning(dev)) return true;
    this.skippedDown++;
    return false;
  }

  /** Another extended message goes out. */
  prepare(record: LogRecord): void {
    this.extradata.prepare(record);
  }

  /** The lines that tell how the target is set up. (`netconsole_print_banner`) */
  banner(): string[] {
    const { np } = this;
    const family = np.remoteIp.family;
    const lines = [
      `local port ${np.localPort}`,
      `local IPv${family} address ${printIp(np.localIp ?? UNSPECIFIED[family])}`,
      `interface name '${np.devName}'`,
      `local ethernet address '${printMac(np.devMac ?? this.#bannerMac)}'`,
      `remote port ${np.remotePort}`,
      `remote IPv${family} address ${printIp(np.remoteIp)}`,
      `remote ethernet address ${printMac(np.remoteMac)}`,
    ];
    return lines.map((line) => `netconsole: ${np.name}: ${line}`);
  }
}
