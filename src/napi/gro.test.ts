import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { testDevice, testNet } from '../device/device.fixture.ts';
import { ethTypeTrans } from '../device/eth.ts';
import { NETIF_F_GRO, NETIF_F_GRO_FRAGLIST, NETIF_F_GRO_UDP_FWD } from '../device/features.ts';
import { napiCompleteDone, napiDisable, napiEnable, napiSchedule, netifNapiAdd } from '../device/napi_struct.ts';
import { CHECKSUM_COMPLETE, CHECKSUM_PARTIAL, CHECKSUM_UNNECESSARY } from '../skb/checksum_state.ts';
import { type SkBuff, skbPush, skbPut } from '../skb/sk_buff.ts';
import { skbGsoSegment } from '../stack/gso.ts';
import { netInit } from '../stack/net_init.ts';
import { bytesOf } from '../stack/super_frame.fixture.ts';
import { sum32 } from '../wire/checksum.ts';
import { ETH_P_ALL } from '../wire/eth.ts';
import { GroRig, tcpFrame, tcpTrain } from './gro.fixture.ts';
import { GRO_HELD, GRO_MERGED, GRO_MERGED_FREE, GRO_NORMAL, groFlush, groReceive } from './gro.ts';

/** A driver whose polls take `frames` in turn, in a machine with a stack; a tap writes down what goes up. */
function machine(frames: readonly Uint8Array[], options: { hz?: number; weight?: number; features?: number } = {}) {
  const made = testNet(options.hz === undefined ? {} : { hz: options.hz });
  const stack = netInit(made.net);
  const dev = testDevice(made.net);
  dev.features = options.features ?? NETIF_F_GRO;
  const up: number[] = [];
  stack.types.add(ETH_P_ALL, (skb) => {
    up.push(skb.len + 14);
    skb.pool.consume(skb);
    return 0;
  });
  let next = 0;
  const napi = netifNapiAdd(
    dev,
    (self, budget) => {
      let work = 0;
      for (; work < budget && next < frames.length; work++) {
        const bytes = frames[next++]!;
        const skb = made.machine.skbs.allocForDevice(dev, bytes.length)!;
        skb.arena.bytes.set(bytes, skbPut(skb, bytes.length));
        skb.protocol = ethTypeTrans(skb, dev);
        self.receive(skb);
      }
      if (work < budget) napiCompleteDone(self, work);
      return work;
    },
    options.weight ?? 64,
  );
  napiEnable(napi);
  return { ...made, dev, napi, up };
}

describe('receive offload in a machine', () => {
  it('sends segments of one poll up as one frame when the poll is over', () => {
    const made = machine(tcpTrain(10, 100));
    napiSchedule(made.napi);
    made.machine.turn();
    expect(made.up).toEqual([54 + 1000]);
    expect([made.machine.skbs.inUse, made.net.softnet[0]!.processed]).toEqual([0, 1]);
  });

  it('is not asked for a device without it', () => {
    const made = machine(tcpTrain(3, 100), { features: 0 });
    napiSchedule(made.napi);
    made.machine.turn();
    expect(made.up).toEqual([154, 154, 154]);
  });

  it('ends an aggregation where a poll has used up its weight', () => {
    const made = machine(tcpTrain(8, 100), { weight: 4 });
    napiSchedule(made.napi);
    made.machine.turn();
    expect(made.up).toEqual([454, 454]);
  });

  it('with a tick of a millisecond goes on across polls of the same tick', () => {
    const made = machine(tcpTrain(8, 100), { weight: 4, hz: 1000 });
    napiSchedule(made.napi);
    made.machine.turn();
    expect(made.up).toEqual([854]);
  });

  it('stands aside with interrupts off: frames wait on the backlog, not merged', () => {
    const made = machine(tcpTrain(3, 100));
    const were = made.machine.cpu.localIrqSave();
    made.napi.poll(made.napi, 3);
    expect(made.up).toEqual([]);
    made.machine.cpu.localIrqRestore(were);
    made.machine.turn();
    expect(made.up).toEqual([154, 154, 154]);
  });

  it('keeps nothing of an instance that is disabled', () => {
    const made = machine(tcpTrain(3, 100));
    made.napi.poll(made.napi, 3);
    expect(made.up).toEqual([]);
    napiDisable(made.napi);
    expect(made.up).toEqual([354]);
    expect(made.machine.skbs.inUse).toBe(0);
  });
});

describe('napi_gro_receive', () => {
  it('says what became of a frame: held, merged into fragments, into a chain after 17, or neither', () => {
    const rig = new GroRig(NETIF_F_GRO);
    const results = tcpTrain(19, 10).map((frame) => rig.receive(frame));
    expect(results[0]).toBe(GRO_HELD);
    expect(results.slice(1, 18)).toEqual(new Array(17).fill(GRO_MERGED_FREE));
    expect(results[18]).toBe(GRO_MERGED);
    const arp = tcpFrame(0, 10);
    arp.set([8, 6], 12);
    expect(rig.receive(arp)).toBe(GRO_NORMAL);
  });

  it('holds 8 flows in a bucket; the ninth sends the oldest up', () => {
    const rig = new GroRig(NETIF_F_GRO);
    for (let flow = 0; flow < 9; flow++) rig.receive(tcpFrame(1, 10 + flow, 1500 + flow));
    expect(rig.delivered.map((skb) => skb.len + 14)).toEqual([64]);
    expect(rig.flush().map((each) => each.len)).toEqual([64, 65, 66, 67, 68, 69, 70, 71, 72]);
  });

  it('keeps flows with different hashes apart, and flushes bucket by bucket', () => {
    const rig = new GroRig(NETIF_F_GRO);
    for (const hash of [5, 3, 13, 5]) {
      const skb = rig.frame(tcpFrame(hash === 5 && rig.gro.held > 2 ? 11 : 1, 10, 1500 + hash));
      skb.hash = hash;
      groReceive(rig.gro, skb);
    }
    expect(rig.gro.held).toBe(3);
    expect(rig.flush().map((each) => Buffer.from(each.hex, 'hex').readUInt16BE(34) - 1500)).toEqual([3, 5, 13]);
  });

  it('merges nothing across VLAN tags that the device took out', () => {
    const rig = new GroRig(NETIF_F_GRO);
    for (const [i, tci] of [5, 6, 6].entries()) {
      const skb = rig.frame(tcpFrame(1 + 10 * i, 10));
      skb.vlanTci = tci;
      groReceive(rig.gro, skb);
    }
    expect(rig.flush().map((each) => each.gso_size)).toEqual([0, 10]);
  });

  it('leaves a frame alone whose bytes somebody else reads', () => {
    const rig = new GroRig(NETIF_F_GRO);
    const skb = rig.frame(tcpFrame(1, 10));
    const clone = rig.pool.clone(skb)!;
    expect(groReceive(rig.gro, skb)).toBe(GRO_NORMAL);
    rig.pool.consume(clone);
    expect(rig.flush()).toHaveLength(1);
  });

  for (const [name, summed] of [
    ['a checksum that the device verified', CHECKSUM_UNNECESSARY],
    ['the device’s sum of the whole packet', CHECKSUM_COMPLETE],
    ['a checksum that a virtual peer left open', CHECKSUM_PARTIAL],
  ] as const) {
    it(`takes ${name} for an answer`, () => {
      const rig = new GroRig(NETIF_F_GRO);
      for (let i = 0; i < 3; i++) {
        const skb = rig.frame(tcpFrame(1 + 10 * i, 10));
        // Only COMPLETE can still find this out.
        if (summed !== CHECKSUM_COMPLETE) skb.arena.view.setUint16(skb.data + 36, 0x1234);
        skb.ipSummed = summed;
        skb.csum = sum32(skb.arena.view, skb.data, skb.len);
        skb.csumStart = skb.data + 20;
        groReceive(rig.gro, skb);
      }
      expect(rig.flush().map((each) => [each.flags, each.gso_size, each.len])).toEqual([[1, 10, 84]]);
    });
  }

  it('does not believe a sum of the whole packet that is wrong', () => {
    const rig = new GroRig(NETIF_F_GRO);
    const skb = rig.frame(tcpFrame(1, 10));
    skb.arena.view.setUint16(skb.data + 36, 0x1234);
    skb.ipSummed = CHECKSUM_COMPLETE;
    skb.csum = sum32(skb.arena.view, skb.data, skb.len);
    expect(groReceive(rig.gro, skb)).toBe(GRO_NORMAL);
    expect(rig.delivered[0]!.ipSummed).toBe(CHECKSUM_COMPLETE);
    expect(rig.flush()[0]!.flags).toBe(0);
  });

  it.each([
    ['frames', NETIF_F_GRO],
    ['lists', NETIF_F_GRO | NETIF_F_GRO_FRAGLIST],
  ])('makes %s that GSO cuts into the very segments that came', (_, features) => {
    const rig = new GroRig(features);
    const train = tcpTrain(30, 700);
    for (const frame of train) rig.receive(frame);
    groFlush(rig.gro, false);
    expect(rig.delivered).toHaveLength(1);
    const skb = rig.delivered.pop()!;
    skbPush(skb, 14);
    const seen: string[] = [];
    for (let each = skbGsoSegment(skb, 0); each !== null && typeof each === 'object'; ) {
      const { next }: SkBuff = each;
      each.next = null;
      seen.push(Buffer.from(bytesOf(each)).toString('hex'));
      rig.pool.consume(each);
      each = next;
    }
    rig.pool.consume(skb);
    expect(seen).toEqual(train.map((frame) => Buffer.from(frame).toString('hex')));
    expect(rig.pool.inUse).toBe(0);
  });

  it('whatever comes: nothing is thrown, no frame lost, no byte of payload made or lost', () => {
    const features = [NETIF_F_GRO, NETIF_F_GRO | NETIF_F_GRO_UDP_FWD, NETIF_F_GRO | NETIF_F_GRO_FRAGLIST];
    fc.assert(
      fc.property(
        fc.constantFrom(...features),
        fc.array(fc.tuple(fc.nat(11), fc.nat(120), fc.nat(90), fc.nat(255)), { maxLength: 40 }),
        (bits, steps) => {
          const rig = new GroRig(bits);
          let seq = 1000;
          for (const [kind, len, at, value] of steps) {
            const frame = tcpFrame(seq, len, 1500 + (kind & 1));
            seq += len;
            // Most are damaged in one byte, some cut, a few both.
            if (kind > 2) frame[at % frame.length] = value;
            rig.receive(kind > 9 ? frame.slice(0, Math.max(15, at)) : frame);
          }
          rig.flush();
          expect(rig.pool.inUse).toBe(0);
          expect(rig.pool.arena.available).toBe(rig.pool.arena.slots);
          expect(rig.gro.held).toBe(0);
        },
      ),
    );
  });
});
