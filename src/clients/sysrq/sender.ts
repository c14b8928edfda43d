/**
 * The other end of SysRq over netconsole: asks a machine where its counter stands, and makes commands that it accepts.
 *
 *     question() --> ... --> hear(): 'answer'     boot id, counter and clock of the machine are known now
 *     command(key) --> ... --> hear(): 'result'   what became of it; the same bytes again until then are safe
 *
 * No I/O and no time: who uses it sends, waits and repeats. A command that has been sent may have been obeyed: after it the counter
 * is used up, unless an answer says that the machine has not come so far.
 */
import {
  SYSRQ_NONCE_LEN,
  SysrqFrame,
  type SysrqMac,
  type SysrqStatus,
  SysrqType,
  sysrqHostId,
} from '../../wire/sysrq_command.ts';

export interface SysrqSenderOptions {
  readonly mac: SysrqMac;
  /** Fills its argument with random bytes. */
  readonly random: (out: Uint8Array) => void;
  /** The host that is meant; absent: whoever answers and has the key. */
  readonly hostId?: string;
}

/** What a machine said about itself. */
export interface SysrqMachine {
  readonly hostId: string;
  /** The last command that it accepted. */
  readonly counter: number;
  /** Milliseconds since it started. */
  readonly uptimeMs: number;
}

export interface SysrqResult {
  readonly key: string;
  readonly status: SysrqStatus;
  readonly command: number;
}

export class SysrqSender {
  /** What is known; null before the first answer. */
  machine: SysrqMachine | null = null;
  /** The last result; null before it, and again from the next command on. */
  result: SysrqResult | null = null;
  readonly #options: SysrqSenderOptions;
  readonly #hostId: Uint8Array | null;
  readonly #nonce = new Uint8Array(SYSRQ_NONCE_LEN);
  readonly #out = new SysrqFrame();
  readonly #in = new SysrqFrame();
  /** The last frame that was believed: boot id and host id. */
  readonly #known = new SysrqFrame();

  /** Throws RangeError for a host id that no host can have. */
  constructor(options: SysrqSenderOptions) {
    this.#options = options;
    this.#hostId = options.hostId === undefined ? null : sysrqHostId(options.hostId);
    if (options.hostId !== undefined && this.#hostId === null) throw new RangeError('a host id has 1 to 32 bytes');
  }

  /** The bytes of a question; valid until the next call. */
  question(): Uint8Array {
    this.#options.random(this.#nonce);
    const frame = this.#out.reset(SysrqType.QUESTION);
    frame.setNonce(this.#nonce);
    if (this.#hostId !== null) frame.setHostId(this.#hostId);
    frame.seal(this.#options.mac);
    return frame.bytes;
  }

  /** The bytes of the next command; valid until the next call. An answer must have been heard. */
  command(key: string): Uint8Array {
    if (this.machine === null) throw new RangeError('the machine has not answered yet');
    this.#options.random(this.#nonce);
    this.result = null;
    const frame = this.#out.reset(SysrqType.COMMAND);
    frame.setNonce(this.#nonce);
    frame.copyBoot(this.#known);
    frame.counter = this.machine.counter + 1;
    frame.issuedMs = this.machine.uptimeMs;
    frame.key = key;
    frame.seal(this.#options.mac);
    return frame.bytes;
  }

  /** Looks at a datagram. Null: not an answer to what was said last, or not from who has the key. */
  hear(bytes: Uint8Array, offset = 0, len = bytes.length - offset): 'answer' | 'result' | null {
    const frame = this.#in;
    if (!frame.load(bytes, offset, len)) return null;
    const wanted = this.#out.type === SysrqType.QUESTION ? SysrqType.ANSWER : SysrqType.RESULT;
    if (frame.type !== wanted || !frame.sameNonce(this.#nonce)) return null;
    if (this.#hostId !== null && !frame.sameHostId(this.#hostId)) return null;
    if (!frame.sealed(this.#options.mac)) return null;
    this.#known.bytes.set(frame.bytes);
    this.machine = { hostId: frame.hostId, counter: frame.counter, uptimeMs: frame.issuedMs };
    if (frame.type === SysrqType.ANSWER) return 'answer';
    this.result = { key: frame.key, status: frame.status as SysrqStatus, command: frame.counter };
    return 'result';
  }
}
