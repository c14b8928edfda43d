/** (e) SIGIO: the kernel signals this process when the descriptor changes (edge-triggered, one signal for all of them). */
import { fcntl, getpid, poll, pollfdOf } from './libc.ts';
import type { Watch } from './way.ts';

const F_GETFL = 3;
const F_SETFL = 4;
const F_SETOWN = 8;
const O_ASYNC = 0x2000;

export function watch(fd: number, onReadable: () => void): Watch {
  const pfd = pollfdOf(fd);
  let armed = false;
  const fire = (): void => {
    if (!armed) return;
    armed = false;
    onReadable();
  };
  process.on('SIGIO', fire);
  fcntl(fd, F_SETOWN, getpid());
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL, 0) | O_ASYNC);
  const arm = (): void => {
    armed = true;
    // An edge that came while we were masked is gone: look once, or sleep for ever.
    if (poll(pfd, 1, 0) > 0) setImmediate(fire);
  };
  return { arm, close: () => process.off('SIGIO', fire) };
}
