/** (b) The same uv_poll_t, driven by hand: the node binary exports libuv's functions, koffi calls them and is called back. */
import koffi from 'koffi';
import type { Watch } from './way.ts';

const UV_POLL = 8;
const UV_READABLE = 1;
const callbackType = koffi.pointer(koffi.proto('void IrqPathPollCb(void *, int, int)'));

export function watch(fd: number, onReadable: () => void): Watch {
  const self = koffi.load(null);
  const defaultLoop = self.func('void *uv_default_loop()');
  const handleSize = self.func('size_t uv_handle_size(int)');
  const init = self.func('int uv_poll_init(void *, void *, int)');
  const start = self.func('uv_poll_start', 'int', ['void *', 'int', 'void *']);
  const stop = self.func('int uv_poll_stop(void *)');
  const closeHandle = self.func('void uv_close(void *, void *)');
  const memory = koffi.alloc('uint8', Number(handleSize(UV_POLL)));
  if (init(defaultLoop(), memory, fd) !== 0) throw new Error('uv_poll_init failed');
  const callback = koffi.register(() => {
    stop(memory);
    onReadable();
  }, callbackType);
  // The memory of a closing handle is libuv's until its close callback ran; this experiment leaves it.
  return { arm: () => start(memory, UV_READABLE, callback), close: () => closeHandle(memory, null) };
}
