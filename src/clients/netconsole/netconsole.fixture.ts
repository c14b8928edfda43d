/** For tests: a machine without a stack, devices that write down what they are given, and a log that can be read. */
import { NETDEV_TX_OK } from '../../base/status.ts';
import { type TestNet, testNet } from '../../device/device.fixture.ts';
import { allocEtherdev } from '../../device/eth.ts';
import type { NetDevice } from '../../device/net_device.ts';
import { devOpen } from '../../device/open.ts';
import { registerNetdevice } from '../../device/register.ts';
import type { SkBuff } from '../../skb/sk_buff.ts';
import { parseIp } from '../../wire/address.ts';
import { decodeText } from '../../wire/netconsole_text.ts';
import { createNetconsole, type Netconsole, type NetconsoleOptions, parseNetconsoleParam } from './netconsole.ts';

/** `uname -r` of the machine. */
export const RELEASE = '6.1.0-test';

/** The same, with the bytes of each payload. */
export function recordingRig(param: string): NetconsoleRig & { readonly payloads: Uint8Array[] } {
  const payloads: Uint8Array[] = [];
  return { ...netconsoleRig(param, {}, (payload) => payloads.push(payload)), payloads };
}

export interface NetconsoleRig extends TestNet {
  readonly netconsole: Netconsole;
  /** Payloads sent so far, with the device that they left through and the port they go to: `eth0:6666 text`. */
  readonly sent: string[];
  /** A registered device that is up, with 10.0.0.1 and fc00::1. */
  device(name: string, mac?: number): NetDevice;
  /** The log's lines from sequence number `from` on, with their level: `<6>text`. */
  log(from?: number): string[];
}

/** `param` is the value of netconsole=; eth0 is there. */
export function netconsoleRig(
  param: string | null,
  options: NetconsoleOptions = {},
  onPayload: (payload: Uint8Array) => void = () => {},
): NetconsoleRig {
  const made = testNet();
  const { net, machine } = made;
  Object.assign(machine, { release: RELEASE });
  const sent: string[] = [];
  const startXmit = (skb: SkBuff, dev: NetDevice): number => {
    const udp = skb.data + (skb.protocol === 0x86dd ? 54 : 34);
    const port = skb.arena.view.getUint16(udp + 2);
    const payload = skb.arena.bytes.slice(udp + 8, skb.data + skb.len);
    sent.push(`${dev.name}:${port} ${decodeText(payload)}`);
    onPayload(payload);
    skb.pool.consume(skb);
    return NETDEV_TX_OK;
  };
  const device = (name: string, mac = 1): NetDevice => {
    const dev = allocEtherdev(net, { name, ops: { open: () => 0, startXmit } });
    dev.devAddr.set([2, 0, 0, 0, 0, mac]);
    dev.addresses.push(parseIp('10.0.0.1')!, parseIp('fc00::1')!);
    if (registerNetdevice(dev) < 0 || devOpen(dev) < 0) throw new Error(`${name} does not come up`);
    return dev;
  };
  device('eth0');
  const parsed = parseNetconsoleParam(param ?? '');
  if (param !== null && !parsed.ok) throw new Error(parsed.reason);
  const netconsole = createNetconsole(net, parsed.ok ? parsed.specs : [], options);
  const log = (from = 0): string[] => {
    const lines: string[] = [];
    for (let seq = from; seq < machine.printk.nextSeq; seq++) {
      const record = machine.printk.record(seq)!;
      lines.push(`<${record.level}>${decodeText(record.text)}`);
    }
    return lines;
  };
  return { ...made, netconsole, sent, device, log };
}
