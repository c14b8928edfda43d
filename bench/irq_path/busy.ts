/** (g) The limit: no interrupt at all, setImmediate looks at the descriptor in each turn of the loop. One core, always. */
import { poll, pollfdOf } from './libc.ts';
import type { Watch } from './way.ts';

export function watch(fd: number, onReadable: () => void): Watch {
  const pfd = pollfdOf(fd);
  let armed = false;
  let closed = false;
  const look = (): void => {
    if (closed) return;
    setImmediate(look);
    if (!armed || poll(pfd, 1, 0) <= 0) return;
    armed = false;
    onReadable();
  };
  setImmediate(look);
  return { arm: () => void (armed = true), close: () => void (closed = true) };
}
