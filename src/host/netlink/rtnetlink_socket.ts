/**
 * Questions to the kernel over a netlink socket, answered before the call returns.
 *
 *     sendto(request) --> the kernel answers at once --> recv ... recv until DONE, an error, or the answer of a plain request
 *
 * rtnetlink works on a request inside sendto, and on a dump inside each recv, so a non-blocking socket never waits in vain: EAGAIN
 * means that nothing more will come. Bounded by DUMP_RECVS. No privileges are needed.
 */
import { check, EAGAIN, EINTR, errnoName, systemError } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { AF_NETLINK, openSocket, SOCK_RAW, SOL_NETLINK, setInt } from '../sys/socket.ts';
import { NLM_F_MULTI, NLMSG_DONE, NLMSG_ERROR, type NlMessage, nlErrno, nlMessages, nlReason } from './nlmsg.ts';

export const NETLINK_ROUTE = 0;
export const NETLINK_GENERIC = 16;
const NETLINK_EXT_ACK = 11;
/** The kernel's own pieces have at most 32 KiB. */
const RECV_SIZE = 1 << 16;
/** Pieces of a dump that are read at most: millions of entries. */
const DUMP_RECVS = 4096;
const NOT_FINISHED = -1;

/** What came back: the messages, or the kernel's errno. */
export interface NlAnswer {
  readonly messages: readonly NlMessage[];
  /** 0, or the errno that the kernel refused with. */
  readonly errno: number;
  /** The kernel's sentence about it; empty: it has none. */
  readonly reason: string;
}

export class RtnetlinkSocket {
  readonly #fd: number;
  readonly #buffer = Buffer.allocUnsafeSlow(RECV_SIZE);
  #seq = 0;
  #reason = '';

  /** `protocol`: NETLINK_ROUTE if absent. Throws SetupError: no koffi, or no netlink here. */
  constructor(protocol = NETLINK_ROUTE) {
    this.#fd = openSocket(AF_NETLINK, SOCK_RAW, protocol, 'ask the kernel for its routes', '');
    // Since Linux 4.12; before, a refusal is an errno alone.
    setInt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  }

  /** Sends what `make` builds with the number that it is given. Throws SetupError if that fails, not if the kernel refuses. */
  ask(make: (seq: number) => Uint8Array): NlAnswer {
    const seq = ++this.#seq;
    const request = make(seq);
    check(libc().sendto(this.#fd, request, request.length, 0, null, 0), 'sendto', 'ask the kernel over netlink');
    const messages: NlMessage[] = [];
    this.#reason = '';
    for (let i = 0; i < DUMP_RECVS; i++) {
      const n = libc().recv(this.#fd, this.#buffer, RECV_SIZE, 0);
      if (n < 0) {
        const errno = libc().errno();
        if (errno === EINTR) continue;
        if (errno === EAGAIN) return { messages, errno: 0, reason: '' };
        throw systemError('recv', `read the kernel's answer (${errnoName(errno)})`);
      }
      const end = this.#take(Uint8Array.from(this.#buffer.subarray(0, n)), seq, messages);
      if (end !== NOT_FINISHED) return { messages, errno: end, reason: this.#reason };
    }
    return { messages, errno: 0, reason: '' };
  }

  close(): void {
    libc().close(this.#fd);
  }

  /** Adds what belongs to the request; an errno (0: done) ends it. */
  #take(bytes: Uint8Array, seq: number, messages: NlMessage[]): number {
    let end = NOT_FINISHED;
    for (const message of nlMessages(bytes)) {
      if (message.seq !== seq) continue;
      if (message.type === NLMSG_DONE) return 0;
      if (message.type === NLMSG_ERROR) {
        this.#reason = nlReason(message);
        return Math.max(0, nlErrno(message));
      }
      messages.push(message);
      if ((message.flags & NLM_F_MULTI) === 0) end = 0;
    }
    return end;
  }
}
