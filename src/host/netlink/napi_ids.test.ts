import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVeth, noVeth, type Veth } from '../veth.fixture.ts';
import { napiIds, queueNapis } from './napi_ids.ts';

describe('which NAPI instance polls a queue', () => {
  it('is what the driver says', () => {
    const queues = [
      { queue: 1, id: 8 },
      { queue: 0, id: 9 },
    ];
    expect(queueNapis(queues, [8, 9, 10])).toEqual([9, 8]);
  });

  it('is the one made in its turn where the driver says nothing and there are as many', () => {
    const queues = [
      { queue: 0, id: undefined },
      { queue: 1, id: undefined },
    ];
    expect(queueNapis(queues, [31, 30])).toEqual([30, 31]);
  });

  it('is not known where there are more or fewer', () => {
    expect(queueNapis([{ queue: 0, id: undefined }], [30, 31])).toEqual([undefined]);
    expect(queueNapis([{ queue: 0, id: undefined }], [])).toEqual([undefined]);
  });

  describe.skipIf(noVeth !== null)(`of a real interface${noVeth === null ? '' : ` (skip: ${noVeth})`}`, () => {
    let veth: Veth;
    beforeEach(() => {
      veth = createVeth();
    });
    afterEach(() => veth.remove());

    it('is not known of a veth that has no program and no receive offload', () => {
      const ifindex = Number(readFileSync(`/sys/class/net/${veth.a}/ifindex`, 'latin1'));
      expect(napiIds(ifindex).filter((id) => id !== undefined)).toEqual([]);
    });
  });
});
