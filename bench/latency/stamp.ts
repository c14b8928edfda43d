/** Bytes of payload: seconds and nanoseconds of CLOCK_MONOTONIC, big-endian, and room to make the frame an ordinary one. */
export const STAMP_LEN = 18;
/** Samples that a receiver keeps between two reports. */
export const SAMPLES_MAX = 1 << 20;

/** Microseconds since the stamp. */
export function sinceStamp(seconds: number, ns: number): number {
  const [s, n] = process.hrtime();
  return (s - seconds) * 1e6 + (n - ns) / 1e3;
}
