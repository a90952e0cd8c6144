/**
 * Gate: whether one generation of a reloaded device may act on its machine. Each load of the module
 * gives a generation. The next one is created while its predecessor still runs: what it drives
 * takes effect when it becomes the current one. The predecessor may still have timers when it was
 * replaced: it drives no line any more, and writes to no guest memory.
 *
 * Called by: DeviceReloader, which opens and ends gates; gated-context.ts and gated-handle.ts.
 */

export class Gate {
  #state: 'staged' | 'open' | 'ended' = 'staged';
  readonly #onOpen: (() => void)[] = [];
  readonly #onAlone: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];

  /** Whether the generation is the current one. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Whether the generation was replaced, or never became the current one. */
  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** `act` is called when the generation becomes the current one, at once if it is already. */
  whenOpened(act: () => void): void {
    if (this.isOpen) act();
    else this.#onOpen.push(act);
  }

  /** `act` is called after that, when the predecessor has ended. */
  whenAlone(act: () => void): void {
    this.#onAlone.push(act);
  }

  /** `act` is called when the generation was replaced, or is discarded. */
  whenEnded(act: () => void): void {
    this.#onEnd.push(act);
  }

  /** A line that both generations hold high stays high. */
  open(predecessor?: Gate): void {
    this.#state = 'open';
    for (const act of this.#onOpen.splice(0)) act();
    predecessor?.end();
    for (const act of this.#onAlone.splice(0)) act();
  }

  end(): void {
    this.#state = 'ended';
    for (const act of this.#onEnd.splice(0)) act();
  }
}
