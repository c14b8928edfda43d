/** (c) A worker thread blocked in poll(); the doorbell is postMessage, the thread is armed again by Atomics.notify. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Watch } from './way.ts';

export async function watch(fd: number, onReadable: () => void): Promise<Watch> {
  const words = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(new URL('./poll_worker.js', import.meta.url), {
    workerData: { fd, words, bell: 'message' },
  });
  await once(worker, 'message');
  worker.on('message', onReadable);
  const set = (value: number): void => {
    Atomics.store(words, 0, value);
    Atomics.notify(words, 0);
  };
  return { arm: () => set(1), close: () => set(-1) };
}
