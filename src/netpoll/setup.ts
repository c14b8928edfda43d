/**
 * Setting a client up on its device, and taking it down.
 *
 *  1. find the device by name or by hardware address
 *  2. refuse one that is enslaved, or does not allow netpoll
 *  3. bring it up if it is down, and wait for the carrier (4 s at most; going on without it is not an error)
 *  4. take the local address from the device if the client has none
 *  5. share or make what netpoll keeps for the device, fill the reserve, install the trap if the client receives (attach.ts)
 *
 * A refusal leaves the client as it was. Answers to netpoll_setup; the words that it logs are the kernel's.
 */
import { Errno, SetupError } from '../base/status.ts';
import { devJoinIpGroups } from '../device/ip_groups.ts';
import type { Net } from '../device/net.ts';
import { ARPHRD_ETHER, type NetDevice, netifCarrierOk, netifRunning } from '../device/net_device.ts';
import { devOpen } from '../device/open.ts';
import { type IpAddress, printIp, printMac } from '../wire/address.ts';
import { macEquals } from '../wire/eth.ts';
import { netpollAttach } from './attach.ts';
import type { Netpoll } from './netpoll.ts';

export { netpollCleanup } from './attach.ts';

export interface SetupOptions {
  /** How long to wait for a carrier after the device was brought up (`netpoll.carrier_timeout`); 4 s if absent. */
  readonly carrierTimeoutNs?: number;
}

const CARRIER_TIMEOUT_NS = 4e9;
const CARRIER_STEP_NS = 1e6;

/** 0, or the negative errno with the reason in the machine's log. The device stays up if it was brought up. */
export function netpollSetup(net: Net, np: Netpoll, options: SetupOptions = {}): number {
  const { printk } = net.machine;
  const refuse = (errno: number, why: string): number => {
    printk.err(`netpoll: ${np.name}: ${why}`);
    return -errno;
  };
  const dev = findDevice(net, np);
  const wanted = np.devName !== '' || np.devMac === null ? np.devName : printMac(np.devMac);
  if (dev === undefined) return refuse(Errno.ENODEV, `${wanted} doesn't exist, aborting`);
  if (dev.master !== null) return refuse(Errno.EBUSY, `${dev.name} is a slave device, aborting`);
  if (!netifRunning(dev)) {
    printk.info(`netpoll: ${np.name}: device ${dev.name} not up yet, forcing it`);
    const error = openForced(dev, refuse);
    if (error < 0) return refuse(-error, `failed to open ${dev.name}`);
    if (!waitForCarrier(dev, options.carrierTimeoutNs ?? CARRIER_TIMEOUT_NS)) {
      printk.notice(`netpoll: ${np.name}: timeout waiting for carrier`);
    }
  }
  const localIp = np.localIp ?? localAddress(dev, np.remoteIp);
  if (localIp === undefined) {
    return refuse(
      Errno.EDESTADDRREQ,
      `no ${np.remoteIp.family === 4 ? 'IP' : 'IPv6'} address for ${dev.name}, aborting`,
    );
  }
  if (np.localIp === null) {
    printk.info(`netpoll: ${np.name}: local ${localIp.family === 4 ? 'IP' : 'IPv6'} ${printIp(localIp)}`);
  }
  const error = netpollAttach(np, dev);
  if (error < 0) return error;
  np.localIp = localIp;
  devJoinIpGroups(dev, localIp);
  return 0;
}

/** A port of the host may refuse with a sentence of its own (no privileges, no such interface); it is said first. */
function openForced(dev: NetDevice, refuse: (errno: number, why: string) => number): number {
  try {
    return devOpen(dev);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return refuse(Errno.EIO, error.message);
  }
}

function findDevice(net: Net, np: Netpoll): NetDevice | undefined {
  if (np.devName !== '') return net.byName(np.devName);
  const mac = np.devMac;
  return mac === null
    ? undefined
    : net.devices.find((dev) => dev.type === ARPHRD_ETHER && macEquals(dev.devAddr, 0, mac));
}

/** Waits with the thread held, as the kernel's setup does; looks at the hardware once a millisecond. */
function waitForCarrier(dev: NetDevice, timeoutNs: number): boolean {
  const { executive } = dev.net.machine;
  const endNs = executive.now() + timeoutNs;
  for (;;) {
    dev.ops.link?.(dev);
    if (netifCarrierOk(dev)) return true;
    if (executive.now() >= endNs) return false;
    executive.spin(CARRIER_STEP_NS);
  }
}

/** The first address of the remote's family; for IPv6 one that is link-local exactly if the remote is. */
function localAddress(dev: NetDevice, remote: IpAddress): IpAddress | undefined {
  return dev.addresses.find(
    (each) => each.family === remote.family && (each.family === 4 || isLinkLocal(each) === isLinkLocal(remote)),
  );
}

/** fe80::/10, and multicast that stays on the link (`IPV6_ADDR_LINKLOCAL`). */
function isLinkLocal(address: IpAddress): boolean {
  if (address.family !== 6) return false;
  const [first = 0, second = 0] = address.v6;
  return first === 0xff ? (second & 0x0f) === 2 : first === 0xfe && (second & 0xc0) === 0x80;
}
