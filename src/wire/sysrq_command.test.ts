import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SYSRQ_FRAME_LEN, SysrqFrame, type SysrqMac, SysrqStatus, SysrqType, sysrqHostId } from './sysrq_command.ts';

const hmac =
  (key: Uint8Array): SysrqMac =>
  (message, len, tag) =>
    tag.set(createHmac('sha256', key).update(message.slice(0, len)).digest());

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const number53 = fc.integer({ min: 0, max: 2 ** 53 - 1 });

interface Fields {
  type: SysrqType;
  key: string;
  status: SysrqStatus;
  nonce: Uint8Array;
  bootId: Uint8Array;
  counter: number;
  issuedMs: number;
  host: string;
}

const fields: fc.Arbitrary<Fields> = fc.record({
  type: fc.constantFrom(...Object.values(SysrqType)),
  key: fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyzABCXYZ?'),
  status: fc.constantFrom(...Object.values(SysrqStatus)),
  nonce: bytes16,
  bootId: bytes16,
  counter: number53,
  issuedMs: number53,
  host: fc.string({ minLength: 1, maxLength: 10, unit: 'grapheme' }).filter((text) => sysrqHostId(text) !== null),
});

function write(each: Fields): SysrqFrame {
  const frame = new SysrqFrame().reset(each.type);
  frame.setNonce(each.nonce);
  frame.setHostId(sysrqHostId(each.host)!);
  if (each.type !== SysrqType.QUESTION) {
    frame.setBootId(each.bootId);
    frame.counter = each.counter;
    frame.issuedMs = each.issuedMs;
  }
  if (each.type === SysrqType.COMMAND || each.type === SysrqType.RESULT) frame.key = each.key;
  if (each.type === SysrqType.RESULT) frame.status = each.status;
  return frame;
}

describe('a SysRq frame', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fields, key32, fc.nat(50), (each, key, offset) => {
        const written = write(each);
        written.seal(hmac(key));
        const around = new Uint8Array(offset + SYSRQ_FRAME_LEN + 3).fill(0xaa);
        around.set(written.bytes, offset);
        const read = new SysrqFrame();
        expect(read.load(around, offset, SYSRQ_FRAME_LEN)).toBe(true);
        expect(read.bytes).toEqual(written.bytes);
        expect(read.sealed(hmac(key))).toBe(true);
        expect([read.type, read.hostId]).toEqual([each.type, each.host]);
        expect(read.sameNonce(each.nonce)).toBe(true);
        if (each.type === SysrqType.QUESTION) return;
        expect([read.counter, read.issuedMs, read.sameBootId(each.bootId)]).toEqual([
          each.counter,
          each.issuedMs,
          true,
        ]);
        if (each.type === SysrqType.COMMAND || each.type === SysrqType.RESULT) expect(read.key).toBe(each.key);
        if (each.type === SysrqType.RESULT) expect(read.status).toBe(each.status);
      }),
    );
  });

  it('with any bit changed is refused: by its form, or by its tag', () => {
    fc.assert(
      fc.property(fields, key32, fc.nat(SYSRQ_FRAME_LEN * 8 - 1), (each, key, bit) => {
        const frame = write(each);
        frame.seal(hmac(key));
        const changed = frame.bytes.slice();
        changed[bit >> 3]! ^= 1 << (bit & 7);
        const read = new SysrqFrame();
        expect(read.load(changed, 0, changed.length) && read.sealed(hmac(key))).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('with another key is not sealed', () => {
    fc.assert(
      fc.property(fields, key32, key32, (each, right, wrong) => {
        fc.pre(right.some((byte, i) => byte !== wrong[i]));
        const frame = write(each);
        frame.seal(hmac(right));
        expect(frame.sealed(hmac(wrong))).toBe(false);
      }),
    );
  });

  it('has exactly one length', () => {
    const frame = new SysrqFrame().reset(SysrqType.QUESTION);
    for (let len = 0; len <= 300; len++) {
      expect(new SysrqFrame().load(new Uint8Array(300).fill(0), 0, len)).toBe(false);
      const padded = new Uint8Array(300);
      padded.set(frame.bytes);
      expect(new SysrqFrame().load(padded, 0, len)).toBe(len === SYSRQ_FRAME_LEN);
    }
    expect(new SysrqFrame().load(frame.bytes, 1, SYSRQ_FRAME_LEN)).toBe(false);
    expect(new SysrqFrame().load(frame.bytes, -1, SYSRQ_FRAME_LEN)).toBe(false);
  });

  it('is never made out of garbage, and reading garbage never throws', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: -5, max: 400 }),
        fc.integer(),
        (bytes, at, len) => {
          expect(new SysrqFrame().load(bytes, at, len)).toBe(false);
        },
      ),
    );
  });

  it('written again from what was read is the same', () => {
    // Whatever passes load has one form: no field is free that is not under a name.
    fc.assert(
      fc.property(
        fields,
        fc.array(fc.tuple(fc.nat(SYSRQ_FRAME_LEN - 1), fc.nat(255)), { maxLength: 4 }),
        (each, pokes) => {
          const frame = write(each);
          for (const [at, value] of pokes) frame.bytes[at] = value;
          const read = new SysrqFrame();
          if (!read.load(frame.bytes, 0, SYSRQ_FRAME_LEN)) return;
          const again = new SysrqFrame().reset(read.type);
          again.copyNonce(read);
          again.copyBoot(read);
          again.counter = read.counter;
          again.issuedMs = read.issuedMs;
          if (read.key !== '') again.key = read.key;
          if (read.status !== 0) again.status = read.status as SysrqStatus;
          again.bytes.set(read.bytes.slice(88), 88);
          expect(again.bytes).toEqual(read.bytes);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a host id', () => {
  it('is 1 to 32 bytes of UTF-8', () => {
    expect(sysrqHostId('')).toBeNull();
    expect(sysrqHostId('a'.repeat(33))).toBeNull();
    expect(sysrqHostId('é'.repeat(17))).toBeNull();
    expect(sysrqHostId('a\0b')).toBeNull();
    expect(sysrqHostId('é'.repeat(16))?.length).toBe(32);
    expect(sysrqHostId('web-1')?.slice(0, 6)).toEqual(Uint8Array.of(0x77, 0x65, 0x62, 0x2d, 0x31, 0));
  });

  it('of two hosts differs', () => {
    const frame = new SysrqFrame().reset(SysrqType.COMMAND);
    frame.setHostId(sysrqHostId('web-1')!);
    expect([frame.sameHostId(sysrqHostId('web-1')!), frame.sameHostId(sysrqHostId('web-10')!)]).toEqual([true, false]);
  });
});
