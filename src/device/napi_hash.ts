/** napi_hash: the enabled instances of a machine by their id, for who has seen a frame and wants to poll where it came from. */
import type { NapiStruct } from './napi_struct.ts';

const BUCKETS = 256;

export class NapiHash {
  readonly #buckets: NapiStruct[][] = Array.from({ length: BUCKETS }, () => []);

  add(napi: NapiStruct): void {
    const bucket = this.#buckets[napi.id % BUCKETS]!;
    if (!bucket.includes(napi)) bucket.push(napi);
  }

  remove(napi: NapiStruct): void {
    const bucket = this.#buckets[napi.id % BUCKETS]!;
    const at = bucket.indexOf(napi);
    if (at >= 0) bucket.splice(at, 1);
  }

  /** The enabled instance with this id, or undefined. (`napi_by_id`) */
  byId(id: number): NapiStruct | undefined {
    return this.#buckets[id % BUCKETS]!.find((napi) => napi.id === id);
  }
}
