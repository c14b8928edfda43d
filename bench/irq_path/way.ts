/**
 * What each way of turning "a descriptor became readable" into a call has to offer, so that one receiver measures all.
 *
 * `watch(fd, onReadable)`: after `arm()` the handler runs once as soon as fd is readable; then the source is masked until
 * the next `arm()`. That is what an interrupt line is to NAPI.
 */
export interface Watch {
  arm(): void;
  close(): void;
}

export type Way = (fd: number, onReadable: () => void) => Watch | Promise<Watch>;
