/** For tests: feeds datagrams to the streams the way a capture or a recorded list of arrivals does. */

import { readCapture } from '../../test/golden/netconsole/read_capture.ts';
import { type CollectorCounters, newCollectorCounters } from './counters.ts';
import type { Message } from './message.ts';
import { defaultStreamsLimits, Streams, type StreamsLimits } from './streams.ts';

export interface Fed {
  readonly streams: Streams;
  readonly counters: CollectorCounters;
  readonly messages: Message[];
}

export function newStreams(limits: Partial<StreamsLimits> = {}): Fed {
  const counters = newCollectorCounters();
  const messages: Message[] = [];
  const streams = new Streams({ ...defaultStreamsLimits, ...limits }, counters, (message) => messages.push(message));
  return { streams, counters, messages };
}

/** A whole capture file through fresh streams. `dstPort`: only datagrams to this port. */
export function feedCapture(path: string, dstPort?: number): Fed {
  const fed = newStreams();
  let nowUs = 0;
  for (const datagram of readCapture(path)) {
    if (dstPort !== undefined && datagram.dstPort !== dstPort) continue;
    nowUs = datagram.tsUs;
    fed.streams.datagram(datagram.src, datagram.srcPort, datagram.dstPort, datagram.payload, nowUs);
  }
  fed.streams.flush(nowUs);
  return fed;
}

/** Text of one char a byte, as datagrams of one source; `arrivals` are [milliseconds, text]. */
export function feedArrivals(
  arrivals: readonly (readonly [number, string])[],
  limits: Partial<StreamsLimits> = {},
): Fed {
  const fed = newStreams(limits);
  let nowUs = 0;
  for (const [ms, text] of arrivals) {
    nowUs = ms * 1000;
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    fed.streams.datagram('10.0.0.1', 6665, 6666, bytes, nowUs);
  }
  fed.streams.flush(nowUs);
  return fed;
}
