/**
 * ThrottledWrites: limits how often the guest's output is written to the terminal, which redraws
 * all its rows for each write. The first bytes after a pause are written at once, so that an echo
 * is not delayed. More bytes are written at most 20 times per second.
 *
 * Called by: ConsolePanel.
 */

/** Least time between two writes. */
const THROTTLE_MS = 50;

export class ThrottledWrites {
  readonly #write: (bytes: Uint8Array) => void;
  #queue: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Writes the bytes, now or later. */
  add(bytes: Uint8Array): void {
    if (this.#timer !== undefined) this.#queue.push(bytes);
    else {
      this.#write(bytes);
      this.#throttle();
    }
  }

  /** Drops the queued bytes. The next ones are written at once. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue = [];
  }

  #throttle(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const queue = this.#queue;
      this.#queue = [];
      if (queue.length === 0) return;
      for (const bytes of queue) this.#write(bytes);
      this.#throttle();
    }, THROTTLE_MS);
  }
}
