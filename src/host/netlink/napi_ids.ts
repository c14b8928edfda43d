/**
 * Which NAPI instance polls which receive queue of an interface, asked of the kernel (generic netlink, family `netdev`, Linux 6.8).
 *
 *     family "netdev" --> its number --> queue-get: queue, NAPI id      where the driver has told (netif_queue_set_napi)
 *                                    --> napi-get:  all ids             as many as queues: in the order in which they were made
 *
 * A veth says nothing of its queues and makes an instance for each, in their order, when a program is attached or GRO is on.
 *
 *     struct genlmsghdr { u8 cmd @0, version @1; u16 reserved @2 }
 *
 * Answers to: Documentation/netlink/specs/netdev.yaml, include/uapi/linux/genetlink.h.
 */
import {
  NLM_F_DUMP,
  NLM_F_REQUEST,
  nlAttributes,
  nlMessage,
  nlStringBytes,
  nlU32,
  nlU32Bytes,
  viewOf,
} from './nlmsg.ts';
import { NETLINK_GENERIC, RtnetlinkSocket } from './rtnetlink_socket.ts';

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const NETDEV_CMD_QUEUE_GET = 10;
const NETDEV_CMD_NAPI_GET = 11;
const QUEUE_ID = 1;
const QUEUE_IFINDEX = 2;
const QUEUE_TYPE = 3;
const QUEUE_NAPI_ID = 4;
const QUEUE_TYPE_RX = 0;
const NAPI_IFINDEX = 1;
const NAPI_ID = 2;
const GENL_HDRLEN = 4;

/**
 * The id of the NAPI instance of each receive queue of an interface that is up, by the queue's number; undefined for one that the kernel
 * does not know. Empty on a kernel that cannot be asked. Throws SetupError: no netlink here.
 */
export function napiIds(ifindex: number): (number | undefined)[] {
  const socket = new RtnetlinkSocket(NETLINK_GENERIC);
  try {
    const named: readonly [number, Uint8Array] = [CTRL_ATTR_FAMILY_NAME, nlStringBytes('netdev')];
    const [family] = ask(socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_REQUEST, named);
    const number = family?.get(CTRL_ATTR_FAMILY_ID);
    if (number === undefined || number.length < 2) return [];
    const type = viewOf(number).getUint16(0, true);
    const dump = NLM_F_REQUEST | NLM_F_DUMP;
    const queues = ask(socket, type, NETDEV_CMD_QUEUE_GET, dump, [QUEUE_IFINDEX, nlU32Bytes(ifindex)])
      .filter((each) => nlU32(each.get(QUEUE_TYPE)) === QUEUE_TYPE_RX)
      .map((each) => ({ queue: nlU32(each.get(QUEUE_ID)) ?? 0, id: nlU32(each.get(QUEUE_NAPI_ID)) ?? undefined }));
    const instances = ask(socket, type, NETDEV_CMD_NAPI_GET, dump, [NAPI_IFINDEX, nlU32Bytes(ifindex)])
      .map((each) => nlU32(each.get(NAPI_ID)))
      .filter((id) => id !== null);
    return queueNapis(queues, instances);
  } finally {
    socket.close();
  }
}

/** By queue number: what the kernel says of the queue; else, with as many instances as queues, the one made in its turn. */
export function queueNapis(
  queues: readonly { readonly queue: number; readonly id: number | undefined }[],
  instances: readonly number[],
): (number | undefined)[] {
  const said = queues.some(({ id }) => id !== undefined);
  const made = said || instances.length !== queues.length ? [] : instances.toSorted((a, b) => a - b);
  const found: (number | undefined)[] = [];
  for (const { queue, id } of queues) found[queue] = id ?? made[queue];
  return found;
}

function ask(
  socket: RtnetlinkSocket,
  type: number,
  command: number,
  flags: number,
  attribute: readonly [number, Uint8Array],
): Map<number, Uint8Array>[] {
  const fixed = Uint8Array.of(command, 1, 0, 0);
  const { messages, errno } = socket.ask((seq) => nlMessage(type, flags, seq, fixed, [attribute]));
  return errno === 0 ? messages.map(({ payload }) => nlAttributes(payload, GENL_HDRLEN)) : [];
}
