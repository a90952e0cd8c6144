/**
 * GuestConsole: the guest's console for pages. It keeps the latest bytes, for a page that is opened later, and what pages
 * type until the serial port takes it. Whoever owns the serial port gives it what the guest prints, and says when there
 * is room again.
 */

/** The latest of what the guest printed. */
export const CONSOLE_HISTORY_BYTES = 64 * 1024;
/** What may wait for a guest that does not read; what is typed on top is dropped. */
export const TYPED_QUEUE_BYTES = 64 * 1024;

export class GuestConsole {
  readonly #receive: (bytes: Uint8Array) => number;
  readonly #history = new Uint8Array(CONSOLE_HISTORY_BYTES);
  /** Bytes ever written to it. */
  #written = 0;
  #waiting: Uint8Array = new Uint8Array(0);
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();

  /** `receive`: the serial port; returns how many bytes it took. */
  constructor(receive: (bytes: Uint8Array) => number) {
    this.#receive = receive;
  }

  /** The guest prints. The bytes are not kept. */
  write(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - CONSOLE_HISTORY_BYTES));
    let at = (this.#written + bytes.length - kept.length) % CONSOLE_HISTORY_BYTES;
    for (let from = 0; from < kept.length;) {
      const part = kept.subarray(from, from + CONSOLE_HISTORY_BYTES - at);
      this.#history.set(part, at);
      from += part.length;
      at = (at + part.length) % CONSOLE_HISTORY_BYTES;
    }
    this.#written += bytes.length;
    for (const hear of this.#listeners) hear(bytes);
  }

  /** The latest bytes, oldest first. */
  get history(): Uint8Array {
    if (this.#written <= CONSOLE_HISTORY_BYTES) return this.#history.slice(0, this.#written);
    const at = this.#written % CONSOLE_HISTORY_BYTES;
    return Buffer.concat([this.#history.subarray(at), this.#history.subarray(0, at)]);
  }

  onBytes(hear: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(hear);
    return () => void this.#listeners.delete(hear);
  }

  /** Somebody types. What neither the serial port nor the queue has room for is dropped. */
  type(bytes: Uint8Array): void {
    const taken = this.#waiting.length === 0 ? this.#receive(bytes) : 0;
    const room = TYPED_QUEUE_BYTES - this.#waiting.length;
    this.#waiting = Buffer.concat([this.#waiting, bytes.subarray(taken, taken + room)]);
  }

  /** The serial port has room again. It says so inside of a guest's access, so the bytes follow in a turn of their own. */
  readonly room = (): void => {
    if (this.#waiting.length === 0) return;
    setImmediate(() => {
      const waiting = this.#waiting;
      this.#waiting = waiting.subarray(waiting.length === 0 ? 0 : this.#receive(waiting));
    });
  };
}
