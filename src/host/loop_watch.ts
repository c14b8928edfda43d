/**
 * A descriptor as an interrupt line of the host's executive: masked at first, unmasked for one interrupt at a time.
 *
 *     closed <-- masked <--- its interrupt ---- armed        raise(): as if the hardware did it, in a later turn
 *                       ---- arm(true) ------>
 */
import type { IrqController, IrqInput } from './irq_controller.ts';

/** A descriptor as an interrupt line. */
export interface Watch {
  /** True unmasks: the handler runs once when the descriptor is readable, or at once in a later turn if it is already. */
  arm(on: boolean): void;
  /** As if the hardware raised the line: the handler runs in a later turn of the loop if the watch is armed then. */
  raise(): void;
  /** Masks, for a while: until it is armed the descriptor's becoming readable, or writable, costs nobody anything. One system call. */
  rest(): void;
  /** Stops for good. The descriptor stays open: its owner closes it afterwards. */
  close(): void;
}

export interface WatchOptions {
  /** False: this watch does not keep the process alive. True if absent. */
  readonly keepAlive?: boolean;
  /** The descriptor that spin() waits for, if another one than the watched. */
  readonly spinFd?: number;
}

/** A line at the thread's controller. */
export class LoopWatch implements Watch {
  readonly #controller: IrqController;
  readonly #input: IrqInput;
  readonly #onReadable: () => void;
  readonly #raise: (watch: LoopWatch) => void;
  readonly #onClose: () => void;
  #armed = false;
  #raised = false;
  #closed = false;

  constructor(
    controller: IrqController,
    fd: number,
    onReadable: () => void,
    raise: (watch: LoopWatch) => void,
    onClose: () => void,
  ) {
    this.#controller = controller;
    this.#input = controller.add(fd, () => this.#fire());
    this.#onReadable = onReadable;
    this.#raise = raise;
    this.#onClose = onClose;
  }

  arm(on: boolean): void {
    if (this.#closed || on === this.#armed) return;
    this.#armed = on;
    this.#controller.unmask(this.#input, on);
  }

  raise(): void {
    if (this.#raised) return;
    this.#raised = true;
    this.#raise(this);
  }

  rest(): void {
    if (this.#closed) return;
    this.#armed = false;
    this.#controller.rest(this.#input);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#armed = false;
    this.#controller.remove(this.#input);
    this.#onClose();
  }

  /** In a later turn of the loop. Masks the line, as the descriptor's own interrupt would have. */
  fireRaised(): void {
    this.#raised = false;
    if (!this.#armed) return;
    this.#controller.unmask(this.#input, false);
    this.#fire();
  }

  /** The controller has masked the line. */
  #fire(): void {
    if (!this.#armed) return;
    this.#armed = false;
    this.#onReadable();
  }
}
