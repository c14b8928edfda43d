/**
 * Our program on an interface: loaded, attached by a link, and gone with the last descriptor of that link.
 *
 *     map (queue -> socket) <-- program <-- link --> interface
 *              ours                ours       ours: close(), exit or SIGKILL detach it
 *
 *   1. An interface has one XDP program. If it is one of ours, from another port in this process or another one (a thread
 *      or a process for each queue), we join: our sockets go into its map, and its link lives for as long as either of us.
 *      Joining takes CAP_SYS_ADMIN.
 *   2. Any other program stays where it is: ERR_NETPOLL_EBUSY.
 *   3. Native (in the driver) is tried first; then generic, which any interface has.
 *
 * The program's name tells ours, and which filter it has: a port with another filter cannot join.
 */
import { SetupError } from '../../base/status.ts';
import { linkFacts } from '../netlink/link_facts.ts';
import { RtnetlinkSocket } from '../netlink/rtnetlink_socket.ts';
import {
  createXdpLink,
  createXskMap,
  findXdpLink,
  loadXdpProgram,
  mapById,
  setXskMap,
  XDP_FLAGS_DRV_MODE,
  XDP_FLAGS_SKB_MODE,
} from '../sys/bpf.ts';
import { EBUSY, EPERM, errnoName } from '../sys/errno.ts';
import { libc } from '../sys/libc.ts';
import { notPermitted, schemeInstead } from '../sys/privilege.ts';
import { redirectProgram } from './redirect_program.ts';

const QUEUES_MAX = 256;

export interface Attachment {
  readonly joined: boolean;
  /** Detaches, if nobody else has joined. */
  close(): void;
}

export interface AttachOptions {
  readonly name: string;
  readonly ifindex: number;
  readonly native: boolean;
  readonly udpPort: number | undefined;
  /** Sockets by queue number. */
  readonly sockets: ReadonlyMap<number, number>;
}

/**
 * From now on the interface's frames come to the sockets. Throws SetupError: ERR_NETPOLL_EPERM, ERR_NETPOLL_EBUSY,
 * ERR_NETPOLL_XDP_MODE where this mode is not to be had.
 */
export function attachXdp(options: AttachOptions): Attachment {
  const { name, ifindex, native, udpPort, sockets } = options;
  const what = `xdp on ${name}`;
  let map = -1;
  let program = -1;
  try {
    map = createXskMap('netpoll_xsks', QUEUES_MAX, what);
    program = loadXdpProgram(programName(udpPort), redirectProgram({ map, udpPort }), what);
    for (const [queue, fd] of sockets) setXskMap(map, queue, fd, what);
    const link = createXdpLink(program, ifindex, native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);
    // The link holds the program, which holds the map, which holds the sockets until they are closed.
    if (link >= 0) return { joined: false, close: () => libc().close(link) };
    const errno = libc().errno();
    if (errno === EBUSY) return { joined: true, close: join(options, what) };
    if (errno === EPERM) throw notPermitted('xdp', name, what);
    const mode = native ? 'native' : 'generic';
    throw new SetupError('ERR_NETPOLL_XDP_MODE', `${what}: no ${mode} XDP (${errnoName(errno)})`);
  } catch (error) {
    throw explained(error, name, what);
  } finally {
    if (program >= 0) libc().close(program);
    if (map >= 0) libc().close(map);
  }
}

/** Gives what closes the link again. */
function join({ name, ifindex, udpPort, sockets }: AttachOptions, what: string): () => void {
  const programId = attachedProgram(ifindex);
  const found = programId === undefined ? null : findXdpLink(ifindex, programId);
  const ours = found !== null && found.name === programName(udpPort).slice(0, 15) && found.mapIds.length === 1;
  const map = ours ? mapById(found.mapIds[0]!) : -1;
  try {
    if (map < 0) {
      const whose = found === null ? 'another XDP program' : `the XDP program "${found.name}"`;
      const own = found === null ? ' (if it is ours, joining it takes CAP_SYS_ADMIN)' : '';
      const hint = `see "ip link show ${name}", "bpftool net"${own}; packet:${name} goes beside it`;
      throw new SetupError('ERR_NETPOLL_EBUSY', `${what}: ${whose} is attached already; ${hint}`);
    }
    for (const [queue, fd] of sockets) setXskMap(map, queue, fd, what);
    const { link } = found!;
    return () => libc().close(link);
  } catch (error) {
    if (found !== null) libc().close(found.link);
    throw error;
  } finally {
    if (found !== null) libc().close(found.program);
    if (map >= 0) libc().close(map);
  }
}

/** The number of the program on an interface of this network namespace. */
function attachedProgram(ifindex: number): number | undefined {
  const socket = new RtnetlinkSocket();
  try {
    return linkFacts(socket).find((each) => each.ifindex === ifindex)?.xdp?.program;
  } finally {
    socket.close();
  }
}

/** What bpf() says, which does not know for whom it was called. */
function explained(error: unknown, name: string, what: string): unknown {
  if (!(error instanceof SetupError) || !error.message.includes('bpf(')) return error;
  if (error.code === 'ERR_NETPOLL_EPERM') return notPermitted('xdp', name, what, error);
  if (error.code !== 'ERR_NETPOLL_NO_XDP') return error;
  return new SetupError(error.code, `${error.message}; ${schemeInstead('xdp', name)}`, { cause: error });
}

function programName(udpPort: number | undefined): string {
  return udpPort === undefined ? 'netpoll_all' : `netpoll_u${udpPort}`;
}
