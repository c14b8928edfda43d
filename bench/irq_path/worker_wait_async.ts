/** (d) A worker thread blocked in poll(); the doorbell is Atomics.waitAsync on a shared word. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Watch } from './way.ts';

interface AsyncAtomics {
  waitAsync(words: Int32Array, index: number, value: number): { async: boolean; value: Promise<string> | string };
}

export async function watch(fd: number, onReadable: () => void): Promise<Watch> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./poll_worker.js', import.meta.url), {
    workerData: { fd, words, bell: 'waitAsync' },
  });
  await once(worker, 'message');
  const { waitAsync } = Atomics as unknown as AsyncAtomics;
  let seen = 0;
  const rung = (): void => {
    seen = Atomics.load(words, 1);
    onReadable();
  };
  const set = (value: number): void => {
    Atomics.store(words, 0, value);
    Atomics.notify(words, 0);
  };
  const arm = (): void => {
    const wait = waitAsync.call(Atomics, words, 1, seen);
    set(1);
    if (wait.async) void (wait.value as Promise<string>).then(rung);
    else queueMicrotask(rung);
  };
  return { arm, close: () => set(-1) };
}
