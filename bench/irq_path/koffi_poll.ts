/** (a) A uv_poll_t on this thread's own event loop, which koffi wraps itself (`koffi.node.poll`). Level-triggered. */
import koffi from 'koffi';
import type { Watch } from './way.ts';

export function watch(fd: number, onReadable: () => void): Watch {
  const fire = (): void => {
    handle.stop();
    onReadable();
  };
  const handle = koffi.node.poll(fd, { readable: true }, fire);
  handle.stop();
  const options = { readable: true };
  return { arm: () => handle.start(options, fire), close: () => handle.close() };
}
