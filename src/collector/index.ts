/** The far end of netconsole: from datagrams to messages, a store, a page. */

export { type Collector, type CollectorOptions, createCollector, type MessageListener } from './collector.ts';
export { type CollectorCounters, counterNames } from './counters.ts';
export { isoMicros, type Message } from './message.ts';
export { jsonLine } from './output_jsonl.ts';
export { levelName, levelNames, type TextOutput, textOutput } from './output_text.ts';
export { type Block, type BlockKind, PanicFinder } from './panic.ts';
export { type Entry, type HostSummary, type Query, Store } from './store.ts';
export { defaultStreamsLimits, Streams, type StreamsLimits } from './streams.ts';
