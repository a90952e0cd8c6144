/**
 * BatchedOutput: collects the characters that a guest writes one by one, because each write to a
 * host stream is expensive.
 *
 * Called by: character devices (uart16550.ts).
 * Callers must: call `flush` in their `close`, so that the last line of a VM is not lost.
 *
 * Bytes go to the sink in order, when the current callback ends (in a microtask) or the batch is
 * full. So no output is left over while the host is idle.
 */

import type { ByteSink } from '../device.js';

/** Limit of the bytes of one batch. */
export const OUTPUT_BATCH_BYTES = 4096;

export class BatchedOutput {
  readonly #sink: ByteSink | undefined;
  readonly #batch = new Uint8Array(OUTPUT_BATCH_BYTES);
  #length = 0;

  /** Without a sink, bytes are dropped. */
  constructor(sink?: ByteSink) {
    this.#sink = sink;
  }

  write(byte: number): void {
    if (this.#sink === undefined) return;
    if (this.#length === 0) queueMicrotask(() => this.flush());
    this.#batch[this.#length++] = byte;
    if (this.#length === OUTPUT_BATCH_BYTES) this.flush();
  }

  /** Passes the batch to the sink, as a copy: a stream may keep it for long. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#batch.slice(0, this.#length);
    this.#length = 0;
    this.#sink?.write(bytes);
  }
}
