/**
 * BatchedOutput: a guest writes a character at a time, the host's streams want many at once. Bytes go to the sink in
 * order, when the current turn of the event loop ends or the batch is full, whichever comes first: nothing that the
 * guest wrote stays behind while the host is idle.
 *
 * For character devices. Their `close` calls `flush`, so that the last line of a VM is not lost.
 */

import type { ByteSink } from '../device.js';

/** Bytes of one batch. */
export const OUTPUT_BATCH_BYTES = 4096;

export class BatchedOutput {
  readonly #sink: ByteSink | undefined;
  readonly #batch = new Uint8Array(OUTPUT_BATCH_BYTES);
  #length = 0;

  /** Without a sink the bytes are dropped, as by a cable that ends nowhere. */
  constructor(sink?: ByteSink) {
    this.#sink = sink;
  }

  write(byte: number): void {
    if (this.#sink === undefined) return;
    if (this.#length === 0) queueMicrotask(() => this.flush());
    this.#batch[this.#length++] = byte;
    if (this.#length === OUTPUT_BATCH_BYTES) this.flush();
  }

  /** Gives the sink what waits. The sink gets bytes of its own: a stream may keep them for long. */
  flush(): void {
    if (this.#length === 0) return;
    const bytes = this.#batch.slice(0, this.#length);
    this.#length = 0;
    this.#sink?.write(bytes);
  }
}
