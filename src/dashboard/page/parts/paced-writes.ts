/**
 * PacedWrites: what the guest prints on its way into the terminal. The first bytes after a pause go at once, so that an echo
 * is not delayed; in a flood they go twenty times a second, because the terminal draws all its rows anew each time.
 */

const PACE_MS = 50;

export class PacedWrites {
  readonly #write: (bytes: Uint8Array) => void;
  #waiting: Uint8Array[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  add(bytes: Uint8Array): void {
    if (this.#timer !== undefined) this.#waiting.push(bytes);
    else {
      this.#write(bytes);
      this.#rest();
    }
  }

  /** What waits belongs to a console that is no more. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #rest(): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const waiting = this.#waiting;
      this.#waiting = [];
      if (waiting.length === 0) return;
      for (const bytes of waiting) this.#write(bytes);
      this.#rest();
    }, PACE_MS);
  }
}
