/**
 * SysRq over netconsole: keys from the network for the machine that logs to it (the seeds' "Extending netconsole"), for those who
 * have its key, and for nobody else.
 *
 *     datagram --rxHook-->  1. form, host, boot, counter, age: compared     cheap; a wrong one ends here
 *                           2. the tag                                      one MAC
 *                           3. a place on a short list                      full: the sender comes again
 *     HI softirq, or poll() --> result sent, line in the log, sysrq.handle(key)
 *
 * A hook runs inside the device's poll, where what is printed could only be deferred. So it decides and writes down, and the bottom
 * half speaks and acts, outside of the poll: its output leaves at once. With interrupts off, or after a panic, poll() does both.
 *
 *  - accepted once: the counter has to be higher than the last one; the last command once more gets its old result once more
 *  - void after a reboot (boot id), and after `maxAgeNs` (somebody held it back)
 *  - questions and answers have one length; who does not have the key gets no answer at all
 *  - two lists of 8 are all that ever waits; refusals are counted and, at most every 5 s, logged
 *
 * `insecure` takes plain characters as well, as the seeds' sketch meant to: from whoever can send a datagram. It warns.
 * Frames stay netpoll's. One listener stands on one device; several may share a Sysrq.
 */
import { Errno, NET_XMIT_DROP } from '../../base/status.ts';
import type { Net } from '../../device/net.ts';
import { type BottomHalf, isSysrqKey, type Sysrq } from '../../machine/sysrq.ts';
import { Netpoll, type NetpollPeer, type RxDatagram } from '../../netpoll/netpoll.ts';
import type { NetpollOptions } from '../../netpoll/options.ts';
import { netpollPoll } from '../../netpoll/poll.ts';
import { netpollSendUdp } from '../../netpoll/send.ts';
import { netpollCleanup, netpollSetup } from '../../netpoll/setup.ts';
import {
  SYSRQ_BOOT_ID_LEN,
  SYSRQ_TAG_LEN,
  SysrqFrame,
  type SysrqMac,
  SysrqStatus,
  SysrqType,
  sysrqHostId,
} from '../../wire/sysrq_command.ts';
import { SysrqAudit, type SysrqRefusal } from './audit.ts';
import { PendingList, type PendingPlace } from './pending.ts';

export interface SysrqListenerOptions {
  /** The MAC under the host's key. Absent: no command is authenticated, so none is taken but with `insecure`. */
  readonly mac?: SysrqMac;
  /** 16 bytes that no earlier boot had: from a source of randomness. Wanted with `mac`. */
  readonly bootId?: Uint8Array;
  /** At most 32 bytes; the machine's name if absent, as much of it as fits. */
  readonly hostId?: string;
  /** A command is void so long after the answer that it refers to; 30 s if absent. */
  readonly maxAgeNs?: number;
  /** Commands that may come at once, and how many a second after that; 10 and 2 if absent. */
  readonly burst?: number;
  readonly perSecond?: number;
  /** Take plain characters, too. False if absent. */
  readonly insecure?: boolean;
  /** Listen to every address, not just to the target's. True if absent, but for `insecure`. */
  readonly anyRemote?: boolean;
}

const MAX_AGE_NS = 30e9;
const BURST = 10;
const PER_SECOND = 2;
/** May stand between plain characters. */
const BLANKS = ' \t\r\n';

/**
 * Starts to listen on the device, address and port of `options`. A negative errno, with the reason in the log: -EINVAL for
 * options that would let everybody in unasked or cannot work, or what netpollSetup says.
 */
export function createSysrqListener(
  net: Net,
  options: NetpollOptions,
  sysrq: Sysrq,
  listen: SysrqListenerOptions,
): SysrqListener | number {
  const { printk } = net.machine;
  const refuse = (why: string): number => {
    printk.err(`sysrq: netconsole: ${why}`);
    return -Errno.EINVAL;
  };
  if (listen.mac === undefined && listen.insecure !== true) return refuse('no key, aborting');
  if (listen.mac !== undefined && listen.bootId?.length !== SYSRQ_BOOT_ID_LEN) {
    return refuse(`the boot id has to have ${SYSRQ_BOOT_ID_LEN} random bytes, aborting`);
  }
  const hostId = sysrqHostId(listen.hostId ?? cutHostname(net.machine.hostname));
  if (hostId === null) return refuse('the host id has to have 1 to 32 bytes, aborting');
  if (listen.insecure === true) {
    printk.warn('sysrq: netconsole: INSECURE: plain characters are commands for whoever can send a datagram here');
  }
  const np = new Netpoll('sysrq', options);
  np.anyRemote = listen.anyRemote ?? listen.insecure !== true;
  const listener = new SysrqListener(np, sysrq, hostId, listen);
  const error = netpollSetup(net, np);
  if (error < 0) {
    listener.close();
    return error;
  }
  return listener;
}

/** Made by createSysrqListener. */
export class SysrqListener {
  readonly np: Netpoll;
  readonly audit: SysrqAudit;
  readonly #sysrq: Sysrq;
  readonly #options: SysrqListenerOptions;
  readonly #hostId: Uint8Array;
  readonly #bootId: Uint8Array;
  readonly #half: BottomHalf;
  readonly #frame = new SysrqFrame();
  readonly #commands = new PendingList();
  readonly #answers = new PendingList();
  /** The last command that was accepted, and its result. */
  #counter = 0;
  readonly #lastTag = new Uint8Array(SYSRQ_TAG_LEN);
  readonly #lastResult = new SysrqFrame();
  #againPending = false;
  #running = false;
  #tokens: number;
  #tokensAtNs = 0;

  constructor(np: Netpoll, sysrq: Sysrq, hostId: Uint8Array, options: SysrqListenerOptions) {
    this.np = np;
    this.#sysrq = sysrq;
    this.#options = options;
    this.#hostId = hostId;
    this.#bootId = options.bootId?.slice() ?? new Uint8Array(SYSRQ_BOOT_ID_LEN);
    this.#tokens = options.burst ?? BURST;
    this.audit = new SysrqAudit(sysrq.machine);
    this.#half = sysrq.bottomHalf(() => this.#run());
    np.rxHook = (_np, datagram) => this.#receive(datagram);
  }

  /** The counter of the last command that was accepted. */
  get counter(): number {
    return this.#counter;
  }

  /** Takes what has come in and does it, with interrupts off or after a panic. Returns how many frames came. */
  poll(): number {
    const work = netpollPoll(this.np);
    this.#run();
    return work;
  }

  /** Listens no more; what was accepted and has not run does not run. */
  close(): void {
    this.#half.remove();
    this.audit.close();
    netpollCleanup(this.np);
  }

  #receive(datagram: RxDatagram): void {
    this.audit.count('received');
    const { mac, insecure } = this.#options;
    const frame = this.#frame;
    let why: SysrqRefusal | null = 'malformed';
    if (mac !== undefined && frame.load(datagram.bytes, datagram.offset, datagram.len)) {
      if (frame.type === SysrqType.QUESTION) why = this.#question(datagram, mac);
      else if (frame.type === SysrqType.COMMAND) why = this.#command(datagram, mac);
    } else if (insecure === true) why = this.#characters(datagram);
    if (why !== null) this.audit.refused(why, datagram);
    if (this.#commands.length > 0 || this.#answers.length > 0) this.#half.raise();
  }

  #question(datagram: RxDatagram, mac: SysrqMac): SysrqRefusal | null {
    const frame = this.#frame;
    if (!frame.noHostId && !frame.sameHostId(this.#hostId)) return 'other_host';
    if (this.#answers.full) return 'busy';
    if (!frame.sealed(mac)) return 'forged';
    this.audit.count('questions');
    const place = this.#answers.take(datagram);
    place.frame.reset(SysrqType.ANSWER).copyNonce(frame);
    return null;
  }

  #command(datagram: RxDatagram, mac: SysrqMac): SysrqRefusal | null {
    const frame = this.#frame;
    if (!frame.sameHostId(this.#hostId)) return 'other_host';
    if (!frame.sameBootId(this.#bootId)) return 'other_boot';
    if (frame.counter <= this.#counter) return this.#stale(datagram) ? null : 'replayed';
    const ageNs = this.#nowMs() * 1e6 - frame.issuedMs * 1e6;
    if (ageNs < 0 || ageNs > (this.#options.maxAgeNs ?? MAX_AGE_NS)) return 'expired';
    if (this.#commands.full) return 'busy';
    if (!frame.sealed(mac)) return 'forged';
    this.#counter = frame.counter;
    frame.copyTag(this.#lastTag);
    const place = this.#commands.take(datagram);
    place.key = frame.key;
    place.status = this.#judge(frame.key, datagram);
    place.frame.reset(SysrqType.RESULT).copyNonce(frame);
    place.frame.counter = frame.counter;
    return null;
  }

  /** An old command. The very last one once more means that its result was lost on the way: true, it is sent again. */
  #stale(datagram: RxDatagram): boolean {
    const lost = this.#frame.counter === this.#counter && this.#counter > 0 && this.#frame.sameTag(this.#lastTag);
    if (!lost || this.#againPending || this.#answers.full) return false;
    this.audit.count('repeated');
    this.#againPending = true;
    this.#answers.take(datagram).again = true;
    return true;
  }

  /** Plain characters, with white space between them: one command after the other. A datagram with anything else is none. */
  #characters(datagram: RxDatagram): SysrqRefusal | null {
    const end = datagram.offset + datagram.len;
    for (let i = datagram.offset; i < end; i++) {
      const key = String.fromCharCode(datagram.bytes[i]!);
      if (!isSysrqKey(key) && !BLANKS.includes(key)) return 'malformed';
    }
    for (let i = datagram.offset; i < end; i++) {
      const key = String.fromCharCode(datagram.bytes[i]!);
      if (BLANKS.includes(key)) continue;
      if (this.#commands.full) return 'busy';
      const status = this.#judge(key, datagram);
      if (status === SysrqStatus.LIMITED) return null;
      const place = this.#commands.take(datagram);
      place.plain = true;
      place.key = key;
      place.status = status;
    }
    return null;
  }

  /** What becomes of a key that may be asked for. Takes a token. */
  #judge(key: string, datagram: RxDatagram): SysrqStatus {
    const nowNs = this.#sysrq.machine.executive.now();
    const filled = this.#tokens + ((nowNs - this.#tokensAtNs) / 1e9) * (this.#options.perSecond ?? PER_SECOND);
    this.#tokens = Math.min(filled, this.#options.burst ?? BURST);
    this.#tokensAtNs = nowNs;
    if (this.#tokens < 1) {
      this.audit.refused('limited', datagram);
      return SysrqStatus.LIMITED;
    }
    this.#tokens--;
    if (this.#sysrq.permits(key)) return SysrqStatus.ACCEPTED;
    this.audit.refused('disabled', datagram);
    return SysrqStatus.DISABLED;
  }

  /** The bottom half. Bound: what is on the lists when it begins. Commands first; a key that ends the machine leaves the rest. */
  #run(): void {
    if (this.#running) return;
    this.#running = true;
    const { machine } = this.#sysrq;
    const { dead } = machine;
    try {
      for (let left = this.#commands.length; left > 0 && machine.dead === dead; left--) {
        try {
          this.#obey(this.#commands.first);
        } finally {
          // Somebody's operation that throws is not run again.
          this.#commands.drop();
        }
      }
      for (let left = this.#answers.length; left > 0 && machine.dead === dead; left--) {
        this.#answer(this.#answers.first);
        this.#answers.drop();
      }
    } finally {
      this.#running = false;
    }
    if (this.#commands.length > 0 || this.#answers.length > 0) this.#half.raise();
  }

  #answer(place: PendingPlace): void {
    if (place.again) {
      this.#againPending = false;
      this.#send(this.#lastResult, place.peer);
      return;
    }
    place.frame.counter = this.#counter;
    this.#seal(place.frame);
    this.#send(place.frame, place.peer);
  }

  /** The result goes out first: some keys end everything. */
  #obey(place: PendingPlace): void {
    if (!place.plain) {
      place.frame.key = place.key;
      place.frame.status = place.status;
      this.#seal(place.frame);
      this.#lastResult.bytes.set(place.frame.bytes);
      this.#send(place.frame, place.peer);
    }
    if (place.status === SysrqStatus.LIMITED) return;
    if (place.status === SysrqStatus.ACCEPTED) {
      this.audit.count('accepted');
      this.audit.accepted(place.key, place.peer, place.plain ? 0 : place.frame.counter);
    }
    this.#sysrq.handle(place.key);
  }

  #seal(frame: SysrqFrame): void {
    frame.setBootId(this.#bootId);
    frame.setHostId(this.#hostId);
    frame.issuedMs = this.#nowMs();
    frame.seal(this.#options.mac!);
  }

  #send(frame: SysrqFrame, to: NetpollPeer): void {
    const status = netpollSendUdp(this.np, frame.bytes, 0, frame.bytes.length, to);
    if (status < 0 || status === NET_XMIT_DROP) this.audit.count('unanswered');
  }

  #nowMs(): number {
    return Math.floor(this.#sysrq.machine.executive.now() / 1e6);
  }
}

/** As much of a name as a host id holds. */
function cutHostname(name: string): string {
  let cut = name;
  while (new TextEncoder().encode(cut).length > 32) cut = [...cut].slice(0, -1).join('');
  return cut;
}
