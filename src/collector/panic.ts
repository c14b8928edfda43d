/**
 * Recognises where a kernel reports its own trouble, so that people see a panic as one block.
 *
 *   [6.7] BUG: kernel NULL pointer dereference     opens a block (oops)
 *   [6.7] Oops: 0000 [#1] ...
 *   ...   registers, call trace
 *   [6.7] ---[ end trace ]---                      it may end here, or go on:
 *   [6.7] Kernel panic - not syncing: Fatal        the block becomes a panic
 *   [6.7] ---[ end Kernel panic ... ]---           closes it
 *
 * One open block a source. It takes every line of that source until its end, or until the sender was silent for a second
 * of its own time (two seconds of ours where lines have no time), or 2,000 lines. Recognition is by the words that the
 * kernel has used for two decades; finding the cause, and grouping the same trouble of many hosts, is not done here.
 */

import type { Message } from './message.ts';

export type BlockKind = 'warning' | 'oops' | 'panic';

/** A stretch of messages of one source that belong to one report. */
export interface Block {
  readonly id: number;
  readonly host: string;
  kind: BlockKind;
  /** The line that says most: the panic's, else the one that opened the block. */
  title: string;
  readonly received: string;
  lines: number;
  open: boolean;
}

const PANIC = /Kernel panic - not syncing/;
const OOPS =
  /^(?:watchdog: )?BUG: |^Oops\b|^Internal error: |^Unable to handle kernel |^general protection fault|^kernel BUG at |^divide error: |^invalid opcode: |^stack segment: |^(?:double|page) fault: |^Unhandled fault: |^kernel tried to execute /i;
const WARNING =
  /^WARNING: |^rcu: INFO: .*(?:stall|detected)|^INFO: task .+ blocked for more than|^INFO: rcu_|^(?:Memory cgroup o|O)ut of memory: Kill|^UBSAN: |^refcount_t: |^list_(?:add|del) corruption|^=+\[ cut here|^-+\[ cut here/;
const END_PANIC = /^---\[ end Kernel panic|^Rebooting in [0-9]+ seconds/;
const END_TRACE = /^---\[ end trace/;
/** What follows an end of trace and still belongs to it. */
const TRAILER =
  /^(?:RIP|RSP|EIP|ESP|Code|CR2|CS|DS|FS|GS|PKRU|note|Modules linked in|Kernel Offset|R[A-Z0-9]{2}|pc|lr|sp|x[0-9]+) ?:|^Kernel |^Rebooting|^---\[/;

const LINES_MAX = 2000;
const SILENCE_US = 1_000_000;
const SILENCE_RECEIVED_US = 2_000_000;
const SOURCES_MAX = 2048;

interface State {
  block: Block;
  lastUsec: number | null;
  lastUs: number;
  traceEnded: boolean;
  panicEnded: boolean;
}

export class PanicFinder {
  readonly #states = new Map<string, State>();
  #nextId = 1;

  /** The block that this message belongs to, or null. `nowUs` is when it was received. The block object is live. */
  message(message: Message, nowUs: number): Block | null {
    const key = `${message.format === 'extended' ? 'x' : 'b'} ${message.host}`;
    const kind = kindOf(message.text);
    let state = this.#states.get(key);
    if (state !== undefined && isOver(state, message, kind, nowUs)) {
      this.#close(key, state);
      state = undefined;
    }
    if (state === undefined) {
      if (kind === null) return null;
      state = this.#open(key, kind, message, nowUs);
    }
    advance(state, message, kind, nowUs);
    return state.block;
  }

  #open(key: string, kind: BlockKind, message: Message, nowUs: number): State {
    for (const [oldKey, old] of this.#states) {
      if (this.#states.size < SOURCES_MAX) break;
      this.#close(oldKey, old);
    }
    const { host, text, received } = message;
    const block: Block = { id: this.#nextId++, host, kind, title: text, received, lines: 0, open: true };
    const state = { block, lastUsec: null, lastUs: nowUs, traceEnded: false, panicEnded: false };
    this.#states.set(key, state);
    return state;
  }

  #close(key: string, state: State): void {
    state.block.open = false;
    this.#states.delete(key);
  }
}

function kindOf(text: string): BlockKind | null {
  if (PANIC.test(text)) return 'panic';
  if (OOPS.test(text)) return 'oops';
  return WARNING.test(text) ? 'warning' : null;
}

function isOver(state: State, message: Message, kind: BlockKind | null, nowUs: number): boolean {
  if (state.panicEnded || state.block.lines >= LINES_MAX) return true;
  const usec = message.usec === null ? null : Number(message.usec);
  if (usec !== null && state.lastUsec !== null) {
    // A panicked kernel may take long to say its last line; a line from far before is another boot.
    const silence = usec - state.lastUsec;
    if (silence > SILENCE_US && !END_PANIC.test(message.text) && kind !== 'panic') return true;
    if (silence < -10 * SILENCE_US) return true;
  } else if (nowUs - state.lastUs > SILENCE_RECEIVED_US) {
    return true;
  }
  return state.traceEnded && kind !== 'panic' && !TRAILER.test(message.text.trimStart());
}

const RANK: Readonly<Record<BlockKind, number>> = { warning: 0, oops: 1, panic: 2 };
const CUT_HERE = /\[ cut here/;

function advance(state: State, message: Message, kind: BlockKind | null, nowUs: number): void {
  const block = state.block;
  block.lines++;
  if (kind !== null && (RANK[kind] > RANK[block.kind] || CUT_HERE.test(block.title))) {
    block.title = message.text;
    if (RANK[kind] > RANK[block.kind]) block.kind = kind;
  }
  if (END_TRACE.test(message.text)) state.traceEnded = true;
  if (END_PANIC.test(message.text) && block.kind === 'panic') state.panicEnded = true;
  if (state.panicEnded) block.open = false;
  if (message.usec !== null) state.lastUsec = Number(message.usec);
  state.lastUs = nowUs;
}
