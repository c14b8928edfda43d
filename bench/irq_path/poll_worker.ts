/**
 * The thread of ways (c) and (d): waits for word 0 (armed), blocks in poll(), clears the word, rings the doorbell.
 * Its doorbell is a message, or a notify on word 1 for Atomics.waitAsync on the other side.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { poll, pollfdOf } from './libc.ts';

const { fd, words, bell } = workerData as { fd: number; words: Int32Array; bell: 'message' | 'waitAsync' };
const pfd = pollfdOf(fd);
parentPort!.postMessage('ready');
for (;;) {
  Atomics.wait(words, 0, 0);
  if (Atomics.load(words, 0) < 0) break;
  const n = poll(pfd, 1, 100);
  if (n <= 0) continue;
  if (Atomics.compareExchange(words, 0, 1, 0) < 0) break;
  if (bell === 'message') parentPort!.postMessage(0);
  else {
    Atomics.add(words, 1, 1);
    Atomics.notify(words, 1);
  }
}
