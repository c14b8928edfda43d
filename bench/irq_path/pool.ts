/** (f) For comparison only: poll() on a thread of libuv's pool, which is what the project forbids itself. */
import { poll, pollfdOf } from './libc.ts';
import type { Watch } from './way.ts';

export function watch(fd: number, onReadable: () => void): Watch {
  const pfd = pollfdOf(fd);
  let closed = false;
  const arm = (): void => {
    poll.async(pfd, 1, 200, (_error: unknown, n: number) => {
      if (closed) return;
      if (n > 0) onReadable();
      else arm();
    });
  };
  return { arm, close: () => void (closed = true) };
}
