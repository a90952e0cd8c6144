/**
 * GuestConsole: the guest's serial console for all pages of a VM. It keeps a history of the output
 * for pages that open later, and queues input until the serial port accepts it.
 *
 * Called by: the owner of the serial port (runSession), which must call `write` with the guest's
 * output, and `room` when the port can accept input again; PageConnection and LiveView.
 */

/** How much output is kept. */
export const CONSOLE_HISTORY_BYTES = 64 * 1024;
/** How much input is queued for a guest that does not read. More is dropped. */
export const TYPED_QUEUE_BYTES = 64 * 1024;

export class GuestConsole {
  readonly #receive: (bytes: Uint8Array) => number;
  /** A ring buffer: byte n of the output is at index n modulo its length. */
  readonly #history = new Uint8Array(CONSOLE_HISTORY_BYTES);
  /** How many bytes the guest has written so far. */
  #written = 0;
  /** Input that the serial port has not accepted yet. */
  #queue: Uint8Array = new Uint8Array(0);
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();

  /** `receive`: gives bytes to the serial port and returns how many it accepted. */
  constructor(receive: (bytes: Uint8Array) => number) {
    this.#receive = receive;
  }

  /** Output of the guest. `bytes` may be reused after the call. */
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
    for (const listener of this.#listeners) listener(bytes);
  }

  /** The latest bytes, oldest first. */
  get history(): Uint8Array {
    if (this.#written <= CONSOLE_HISTORY_BYTES) return this.#history.slice(0, this.#written);
    const at = this.#written % CONSOLE_HISTORY_BYTES;
    return Buffer.concat([this.#history.subarray(at), this.#history.subarray(0, at)]);
  }

  /** Calls `listener` with new output. Returns a function that removes it. */
  onBytes(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Takes input for the guest. What neither the serial port nor the queue has room for is dropped.
   */
  type(bytes: Uint8Array): void {
    const accepted = this.#queue.length === 0 ? this.#receive(bytes) : 0;
    const room = TYPED_QUEUE_BYTES - this.#queue.length;
    this.#queue = Buffer.concat([this.#queue, bytes.subarray(accepted, accepted + room)]);
  }

  /**
   * Call it when the serial port can accept input again. That happens during a guest's access, so
   * the bytes follow in a later turn of the event loop.
   */
  readonly room = (): void => {
    if (this.#queue.length === 0) return;
    setImmediate(() => {
      const queue = this.#queue;
      this.#queue = queue.subarray(queue.length === 0 ? 0 : this.#receive(queue));
    });
  };
}
